//! `Flights`: fills under way, so that several requests that miss one rendition wait for one fill
//! instead of each beginning its own.
//!
//! Invariants: for each key there is at most one flight that can be joined. It can be joined until
//! it *lands*: one step under the board's lock removes it from the board and commits its lease. So
//! every request that has joined did so before the commit.
//!
//! If a purge had returned before the request joined, that commit is refused. The request can
//! detect this, so a stored value is as recent as the request.
//!
//! A request that arrives after the landing looks into the index once more, under the same lock,
//! and finds the stored value.
//!
//! A flight without waiting clients is dropped, with its lease.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

/// A flight with waiting clients.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The way in which a client came to wait for a flight.
pub(crate) enum Boarded<T: Clone> {
    /// They began it.
    Began(Flight<T>),
    /// It had begun before.
    Joined(Flight<T>),
    /// No flight is needed: it has landed in between.
    Landed(T),
}

/// The flights under way.
pub(crate) struct Flights<K, T: Clone> {
    board: Mutex<Board<K, T>>,
}

struct Board<K, T: Clone> {
    flights: HashMap<K, (u64, WeakShared<BoxFuture<'static, T>>)>,
    begun: u64,
}

/// A flight's place on the board. It goes when the flight lands or is dropped.
pub(crate) struct Place<K: Eq + Hash, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
    number: u64,
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    pub(crate) fn new() -> Self {
        Self { board: Mutex::new(Board { flights: HashMap::new(), begun: 0 }) }
    }

    /// Joins the flight of `key`. If there is none and `look` finds no value either, begins a
    /// flight that does `work`.
    pub(crate) fn board<F>(
        self: &Arc<Self>,
        key: &K,
        look: impl FnOnce() -> Option<T>,
        work: impl FnOnce(Place<K, T>) -> F + Send + 'static,
    ) -> Boarded<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut board = self.board.lock();
        if let Some(flight) = board.flights.get(key).and_then(|(_, flight)| flight.upgrade()) {
            return Boarded::Joined(flight);
        }
        if let Some(found) = look() {
            return Boarded::Landed(found);
        }
        board.begun += 1;
        let number = board.begun;
        let place = Place { flights: Arc::clone(self), key: key.clone(), number };
        // Not started here, while the board is locked: dropping a place also locks it.
        let flight = async move { work(place).await }.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            board.flights.insert(key.clone(), (number, weak));
        }
        Boarded::Began(flight)
    }

    /// Removes the flights that an invalidation has overtaken: their commits will be refused, and
    /// new requests need not wait for them.
    pub(crate) fn overtake(&self, overtaken: impl Fn(&K) -> bool) {
        self.board.lock().flights.retain(|key, _| !overtaken(key));
    }

    /// How many flights are under way.
    pub(crate) fn len(&self) -> usize {
        self.board.lock().flights.len()
    }
}

impl<K: Eq + Hash, T: Clone> Place<K, T> {
    /// Ends the flight: from here on it cannot be joined. `commit` is done before another flight
    /// can begin.
    pub(crate) fn land<R>(self, commit: impl FnOnce() -> R) -> R {
        let mut board = self.flights.board.lock();
        board.clear(&self.key, self.number);
        let result = commit();
        drop(board);
        result
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Place<K, T> {
    fn drop(&mut self) {
        self.flights.board.lock().clear(&self.key, self.number);
    }
}

impl<K: Eq + Hash, T: Clone> Board<K, T> {
    /// Takes a flight off, unless another has taken its place since.
    fn clear(&mut self, key: &K, number: u64) {
        if self.flights.get(key).is_some_and(|(current, _)| *current == number) {
            self.flights.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    type Counted = Arc<Flights<&'static str, usize>>;

    /// A flight that returns its number once it is released.
    fn held(
        count: &Arc<AtomicUsize>,
    ) -> (
        oneshot::Sender<()>,
        impl Fn(Place<&'static str, usize>) -> BoxFuture<'static, usize> + Clone + Send + use<>,
    ) {
        let (release, released) = oneshot::channel::<()>();
        let (released, count) = (Arc::new(Mutex::new(Some(released))), Arc::clone(count));
        let work = move |place: Place<&'static str, usize>| {
            let (released, count) = (released.lock().take(), Arc::clone(&count));
            async move {
                if let Some(released) = released {
                    let _ = released.await;
                }
                place.land(|| count.fetch_add(1, Ordering::SeqCst))
            }
            .boxed()
        };
        (release, work)
    }

    #[tokio::test]
    async fn many_wait_for_one_flight_and_the_next_begins_another() {
        let (flights, count): (Counted, _) = (Arc::new(Flights::new()), Arc::default());
        let (release, work) = held(&count);
        let Boarded::Began(first) = flights.board(&"a", || None, work.clone()) else {
            panic!("nothing to join")
        };
        let mut waiting = vec![first];
        for _ in 0..10 {
            let Boarded::Joined(flight) = flights.board(&"a", || None, work.clone()) else {
                panic!("a second")
            };
            waiting.push(flight);
        }
        assert!(
            matches!(flights.board(&"b", || None, work.clone()), Boarded::Began(_)),
            "another key"
        );
        release.send(()).unwrap();
        for flight in waiting {
            assert_eq!(flight.await, 0);
        }
        assert_eq!(flights.len(), 0);
        let (_, work) = held(&count);
        let Boarded::Began(second) = flights.board(&"a", || None, work.clone()) else {
            panic!("it has landed")
        };
        drop(second);
        assert_eq!(flights.len(), 0, "nobody waits for it");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_flight_goes_on_when_who_began_it_leaves_and_ends_when_the_last_does() {
        let (flights, count): (Counted, _) = (Arc::new(Flights::new()), Arc::default());
        let (release, work) = held(&count);
        let Boarded::Began(first) = flights.board(&"a", || None, work.clone()) else { panic!() };
        let Boarded::Joined(second) = flights.board(&"a", || None, work.clone()) else { panic!() };
        drop(first);
        assert_eq!(flights.len(), 1);
        release.send(()).unwrap();
        assert_eq!(second.await, 0);

        let (_release, work) = held(&count);
        let Boarded::Began(third) = flights.board(&"a", || None, work.clone()) else { panic!() };
        assert_eq!(flights.len(), 1);
        drop(third);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn nobody_joins_a_flight_that_was_overtaken() {
        let (flights, count): (Counted, _) = (Arc::new(Flights::new()), Arc::default());
        let (release, work) = held(&count);
        let Boarded::Began(first) = flights.board(&"a", || None, work.clone()) else { panic!() };
        flights.overtake(|key| *key == "b");
        assert!(matches!(flights.board(&"a", || None, work.clone()), Boarded::Joined(_)));
        flights.overtake(|key| *key == "a");
        let work = |place: Place<_, _>| async move { place.land(|| 7) };
        let Boarded::Began(second) = flights.board(&"a", || None, work) else { panic!() };
        assert_eq!(second.await, 7, "it waits for nobody");
        release.send(()).unwrap();
        assert_eq!(first.await, 0, "who waited for it still gets its result");
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn what_has_landed_before_is_found_and_not_made_again() {
        let (flights, count): (Counted, _) = (Arc::new(Flights::new()), Arc::default());
        let (_release, work) = held(&count);
        assert!(matches!(flights.board(&"a", || Some(7), work.clone()), Boarded::Landed(7)));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn nobody_joins_a_flight_that_has_landed() {
        let flights: Arc<Flights<&str, bool>> = Arc::new(Flights::new());
        let again = Arc::clone(&flights);
        let Boarded::Began(flight) = flights.board(
            &"a",
            || None,
            move |place| async move {
                place.land(|| ());
                // It still runs, but its commit is done. A new request may come after a purge that
                // the flight does not know of.
                matches!(again.board(&"a", || None, |_| async { true }), Boarded::Began(_))
            },
        ) else {
            panic!()
        };
        assert!(flight.await);
    }
}
