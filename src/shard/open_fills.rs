//! Open fills: the state that a shard keeps for each path with an open lease.
//!
//! Invariant: a path has an open fill exactly while at least one lease for it is open. So memory is
//! bounded by the number of open leases. A purge reaches the fills of a path without an entry, and
//! a dropped lease leaves nothing behind.
//!
//! Open fills are kept beside the table of records, not in it. The purge of a path unlinks its
//! record, and the mark of the purge on the open fills must outlive the record. Open fills have
//! their own lock, so that opening or dropping a lease does not block lookups.
//!
//! Lock order: the shard, then its open fills. Each of these holds for the two locks:
//! - A purge holds the shard exclusively, and marks the fills under both locks. It takes its number
//!   while it holds the fills. A lease reads the clock while it holds the fills. So the number of a
//!   purge is larger than the clock of a lease if and only if the fill began before the purge
//!   marked it.
//! - A lease that begins after the mark, while the purge still unlinks the record, comes after the
//!   purge: neither a lookup nor a commit sees the record in between, as both need the shard.
//! - A purge of a record that a broad invalidation may have reached takes its view of the scopes
//!   under both locks, so that it happens at one moment for the fills and for the entries.
//! - A commit closes its fill while it holds the shard exclusively. So no purge comes between the
//!   check and the write.
//! - A claim looks for the entry and for a pending value under both locks, with the shard's shared.
//!   So it comes before or after each commit as a whole: a value is pending until it is stored.
//! - The sweep records the matching prefix rules under both locks. A lease that begins afterwards
//!   has seen the flush or purge up to which the sweep retires rules.
//!
//! Tried and wrong: a purge that reads the number of open leases without the lock and, if it is
//! zero, marks nothing. A fill that begins at the same time may read the source as it was before
//! the purging thread changed it, and is stored. The lock orders the two.

use super::path_ref::PathRef;
use super::pending::{PendingId, PendingValues};
use crate::hash::PathHash;
use crate::outcome::Lookup;
use crate::scopes::{Generation, LastInvalidations, Scopes, Standing, View};
use crate::severity::Severity;
use crate::sync::Mutex;
use crate::variants::Wanted;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The moment at which a fill began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillStart {
    /// The number of the last invalidation that had begun. Decides against purges of the path,
    /// which take their number under the same lock.
    pub(crate) clock: Generation,
    /// The number of the last broad invalidation that had happened. Decides against flushes.
    pub(crate) broad: Generation,
    /// The number of the path's open fill, by which the lease closes it.
    fill: u64,
}

/// The text of a path, up to 96 bytes of it in place: longer than most paths, so that a fill needs
/// no allocation.
pub(crate) struct PathText(SmallVec<[u8; 96]>);

impl PathText {
    /// The bytes are those of a text.
    #[inline]
    pub(crate) fn new(path: &[u8]) -> Self {
        Self(SmallVec::from_slice(path))
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was made of text")
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() } else { 0 }
    }
}

impl fmt::Debug for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[derive(Debug)]
struct OpenFill {
    /// Identifies the fill among all fills of the shard, open or ended.
    number: u64,
    hash: PathHash,
    tenant: u32,
    path: PathText,
    leases: usize,
    /// How many of `leases` a hard purge of the path has voided.
    voided: usize,
    /// The last hard purge of the path since the fill was opened.
    purged: Generation,
    /// The last soft one.
    softened: Generation,
    /// The last invalidations of the path by prefix rules that have retired. Unlike purges of the
    /// path, they are compared with a lease's broad generation.
    retired: LastInvalidations,
}

impl OpenFill {
    fn is_of(&self, key: &PathRef<'_>) -> bool {
        self.tenant == key.tenant.id() && *self.path.0 == *key.path
    }

    /// The leases that can still commit, as far as purges of the path go.
    fn valid(&self) -> usize {
        self.leases - self.voided
    }
}

/// The effect of a purge of a path on its open fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PurgeMark {
    pub(crate) generation: Generation,
    /// How many leases it overtook. A hard purge overtakes those that it voids and that no purge
    /// had voided before, a soft one all that can still commit.
    pub(crate) overtaken: usize,
}

/// The invalidations of a fill until it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FillEnd<V> {
    /// By a purge of its path.
    pub(crate) overtaken: Overtaken,
    /// The last invalidations of the path by prefix rules that have retired.
    pub(crate) retired: LastInvalidations,
    /// The value that its claim had registered, to be dropped outside of the locks.
    pub(crate) pending: Option<V>,
}

/// The moment at which a claim began, and its pending value.
#[derive(Clone, Debug)]
pub(crate) struct ClaimStart {
    pub(crate) began: FillStart,
    pub(crate) pending: PendingId,
    pub(crate) variant: Arc<str>,
}

/// The result of a claim.
pub(crate) enum ClaimAnswer<V> {
    Live(V),
    Stale(V, Option<ClaimStart>),
    Pending(V),
    Claimed(ClaimStart),
}

/// The open fills of one shard.
#[derive(Debug)]
pub(crate) struct OpenFills<V>(Mutex<Fills<V>>);

#[derive(Debug)]
struct Fills<V> {
    table: HashTable<OpenFill>,
    pending: PendingValues<V>,
    leases: usize,
    /// How many fills were opened so far.
    opened: u64,
}

impl<V> Default for OpenFills<V> {
    fn default() -> Self {
        let (table, pending) = (HashTable::new(), PendingValues::default());
        Self(Mutex::new(Fills { table, pending, leases: 0, opened: 0 }))
    }
}

/// The effect of purges of the path on a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overtaken {
    No,
    Soft,
    Hard,
}

impl<V> OpenFills<V> {
    /// How many leases are open, and how many of them are claims.
    pub(crate) fn leases(&self) -> (usize, usize) {
        let fills = self.0.lock();
        (fills.leases, fills.pending.len())
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        let fills = self.0.lock();
        let texts: usize = fills.table.iter().map(|fill| fill.path.bytes()).sum();
        fills.table.allocation_size() + texts + fills.pending.bytes()
    }

    /// Opens one more fill of the path.
    #[inline]
    pub(crate) fn open(&self, key: &PathRef<'_>, scopes: &Scopes) -> FillStart {
        let mut fills = self.0.lock();
        let fill = fills.open(key);
        FillStart { clock: scopes.clock.load_relaxed(), broad: scopes.broad(), fill }
    }

    /// Opens one more fill of the path, which a later claim of the same variant finds as pending;
    /// unless the variant is live, or pending already.
    ///
    /// The caller has the shard locked, shared. `lookup` looks for the variant in it.
    pub(crate) fn claim(
        &self,
        key: &PathRef<'_>,
        variant: Wanted<'_>,
        value: &V,
        scopes: &Scopes,
        lookup: impl FnOnce(&View) -> Lookup<V>,
    ) -> ClaimAnswer<V>
    where
        V: Clone,
    {
        let mut fills = self.0.lock();
        // One view for the entry, the pending value and the new lease: the claim happens at that
        // moment, as far as broad scopes go.
        let view = scopes.view_of(key.tenant, key.path, Generation::START);
        let stale = match lookup(&view) {
            Lookup::Live(value) => return ClaimAnswer::Live(value),
            Lookup::Stale(value) => Some(value),
            Lookup::Miss => None,
        };
        match (stale, fills.pending(key, variant, &view)) {
            (None, Some(pending)) => ClaimAnswer::Pending(pending.clone()),
            (Some(stale), Some(_)) => ClaimAnswer::Stale(stale, None),
            (stale, None) => {
                // The caller's `clone` runs before any change.
                let value = value.clone();
                let fill = fills.open(key);
                let (clock, broad) = (scopes.clock.load_relaxed(), view.as_of);
                let text: Arc<str> = variant.text.into();
                let named = (Arc::clone(&text), variant.hash());
                let pending = fills.pending.add(fill, named, [clock, broad], value);
                let began = FillStart { clock, broad, fill };
                let start = ClaimStart { began, pending, variant: text };
                match stale {
                    Some(stale) => ClaimAnswer::Stale(stale, Some(start)),
                    None => ClaimAnswer::Claimed(start),
                }
            }
        }
    }

    /// Ends a fill of a path with this hash, and the claim that it may be.
    pub(crate) fn close(
        &self,
        hash: PathHash,
        began: FillStart,
        pending: Option<PendingId>,
    ) -> FillEnd<V> {
        self.0.lock().close(hash, began, pending)
    }

    /// Takes the number of a purge of the path and marks the open fills with it. For a purge of a
    /// record that no broad invalidation has reached.
    #[inline]
    pub(crate) fn purge(
        &self,
        key: &PathRef<'_>,
        severity: Severity,
        scopes: &Scopes,
    ) -> PurgeMark {
        let mut fills = self.0.lock();
        let generation = scopes.clock.next();
        let overtaken = if fills.leases == 0 { 0 } else { fills.purge(key, severity, generation) };
        PurgeMark { generation, overtaken }
    }

    /// The same, with the view of the scopes at that moment.
    pub(crate) fn purge_with_view(
        &self,
        key: &PathRef<'_>,
        severity: Severity,
        scopes: &Scopes,
    ) -> (PurgeMark, View) {
        let mut fills = self.0.lock();
        let generation = scopes.clock.next();
        let overtaken = fills.purge(key, severity, generation);
        // Under the lock: between two locks, a fill could begin, and the moment of the path could
        // come in a flush over time. The purge would come before the fill, and after that moment.
        let view = scopes.view_of(key.tenant, key.path, Generation::START);
        (PurgeMark { generation, overtaken }, view)
    }

    /// How many leases of the path a purge could still overtake.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn valid(&self, key: &PathRef<'_>) -> usize {
        let fills = self.0.lock();
        let fill = fills.table.find(key.hash.table().spread(), |fill| fill.is_of(key));
        fill.map_or(0, OpenFill::valid)
    }

    /// The same of all paths of the tenant that begin with `prefix`.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn valid_under(&self, tenant: u32, prefix: &str) -> usize {
        let fills = self.0.lock();
        let under =
            |fill: &&OpenFill| fill.tenant == tenant && fill.path.0.starts_with(prefix.as_bytes());
        fills.table.iter().filter(under).map(OpenFill::valid).sum()
    }

    /// Writes down what the open rules say of each path, so that they can retire.
    pub(crate) fn note_rules(&self, scopes: &Scopes) {
        for fill in &mut self.0.lock().table {
            fill.retired = fill.retired.or(scopes.rules_for(fill.tenant, fill.path.as_str()));
        }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(fuzzing)]
    pub(crate) fn check(&self, belongs: impl Fn(PathHash, u32, &str) -> bool) {
        let fills = self.0.lock();
        let counted = fills.table.iter().map(|fill| fill.leases).sum::<usize>();
        assert_eq!(fills.leases, counted, "leases");
        assert!(fills.pending.len() <= fills.leases, "claims");
        for fill in &fills.table {
            let path = fill.path.as_str();
            assert!(belongs(fill.hash, fill.tenant, path), "{fill:?} is filed elsewhere");
            assert!(fill.leases > 0 && fill.voided <= fill.leases, "{fill:?}");
            let of_path = |f: &&OpenFill| f.tenant == fill.tenant && f.path.as_str() == path;
            assert_eq!(fills.table.iter().filter(of_path).count(), 1, "{fill:?} is here twice");
        }
    }
}

impl<V> Fills<V> {
    /// Returns the value that an open claim of the variant will store, unless an invalidation has
    /// reached the claim. A soft one counts: the value will be stored as stale.
    fn pending(&self, key: &PathRef<'_>, variant: Wanted<'_>, view: &View) -> Option<&V> {
        // The prefixes of a forgotten tenant leave no rules, so a purge of one would go unnoticed.
        if self.pending.len() == 0 || view.is_forgotten() {
            return None;
        }
        let fill = self.table.find(key.hash.table().spread(), |fill| fill.is_of(key))?;
        let variant = (variant.text, variant.hash());
        self.pending.find(fill.number, variant, |pending| {
            fill.purged.max(fill.softened) <= pending.clock
                && view.standing_of_fill(pending.broad, fill.retired) == Standing::Untouched
        })
    }

    /// Counts one more lease of the path. Returns the number of its open fill.
    fn open(&mut self, key: &PathRef<'_>) -> u64 {
        self.leases += 1;
        let hash = key.hash.table().spread();
        match self.table.entry(hash, |fill| fill.is_of(key), |fill| fill.hash.table().spread()) {
            Entry::Occupied(mut fill) => {
                fill.get_mut().leases += 1;
                fill.get().number
            }
            Entry::Vacant(vacant) => {
                self.opened += 1;
                vacant.insert(OpenFill {
                    number: self.opened,
                    hash: key.hash,
                    tenant: key.tenant.id(),
                    path: PathText::new(key.path),
                    leases: 1,
                    voided: 0,
                    purged: Generation::START,
                    softened: Generation::START,
                    retired: LastInvalidations::default(),
                });
                self.opened
            }
        }
    }

    fn close(
        &mut self,
        hash: PathHash,
        began: FillStart,
        pending: Option<PendingId>,
    ) -> FillEnd<V> {
        let mut entry = self
            .table
            .find_entry(hash.table().spread(), |fill| fill.number == began.fill)
            .expect("a path is here while a lease for it is open");
        self.leases -= 1;
        let fill = entry.get_mut();
        let overtaken = if fill.purged > began.clock {
            fill.voided -= 1;
            Overtaken::Hard
        } else if fill.softened > began.clock {
            Overtaken::Soft
        } else {
            Overtaken::No
        };
        let retired = fill.retired;
        fill.leases -= 1;
        if fill.leases == 0 {
            entry.remove();
            self.shrink();
        }
        let pending = pending.map(|id| self.pending.remove(began.fill, id));
        FillEnd { overtaken, retired, pending }
    }

    #[inline(never)]
    fn purge(&mut self, key: &PathRef<'_>, severity: Severity, generation: Generation) -> usize {
        let found = self.table.find_mut(key.hash.table().spread(), |fill| fill.is_of(key));
        let Some(fill) = found else { return 0 };
        let overtaken = fill.valid();
        match severity {
            Severity::Hard => {
                fill.purged = generation;
                fill.voided = fill.leases;
            }
            Severity::Soft => fill.softened = generation,
        }
        overtaken
    }

    /// Gives memory back after a burst of leases. Amortized O(1): a table that is halved, or given
    /// back whole, was filled by as many leases as it has places, and has lost most of them since.
    fn shrink(&mut self) {
        // The smallest table has 4 places: keeping it saves an allocation for each lease of a quiet
        // shard. By places and not by `capacity`, which leaves out those that closed fills have
        // used up.
        let places = self.table.num_buckets();
        if places > 4 && self.table.len() <= places / 8 {
            self.table.shrink_to(self.table.len() * 2, |fill| fill.hash.table().spread());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;
    use crate::scopes::{Tenant, Tenants};

    /// Open fills of paths whose hashes are the caller's choice.
    struct World {
        fills: OpenFills<u32>,
        scopes: Scopes,
        hash: PathHash,
        tenants: Tenants,
        a: Tenant,
    }

    impl World {
        fn new() -> Self {
            let tenants = Tenants::new(0);
            let a = tenants.get_or_add("a");
            let hash = Hashing::new().path(0, "p");
            Self {
                fills: OpenFills::default(),
                scopes: Scopes::new(8, crate::monotonic::TimeSource::new(None)),
                hash,
                tenants,
                a,
            }
        }

        fn key<'a>(&'a self, path: &'a str) -> PathRef<'a> {
            PathRef { hash: self.hash, tenant: &self.a, path: path.as_bytes() }
        }

        fn open(&self, path: &str) -> FillStart {
            self.fills.open(&self.key(path), &self.scopes)
        }

        fn close(&self, began: FillStart) -> Overtaken {
            self.fills.close(self.hash, began, None).overtaken
        }

        fn purge(&self, path: &str, severity: Severity) -> usize {
            self.fills.purge(&self.key(path), severity, &self.scopes).overtaken
        }
    }

    #[test]
    fn purge_overtakes_what_began_before_it_and_nothing_later() {
        let world = World::new();
        let first = world.open("p");
        assert_eq!(world.purge("p", Severity::Hard), 1);
        let second = world.open("p");
        assert_eq!(world.purge("q", Severity::Hard), 0);
        assert_eq!(world.close(first), Overtaken::Hard);
        assert_eq!(world.close(second), Overtaken::No);
    }

    #[test]
    fn purge_takes_a_number_also_if_no_fill_is_open() {
        let world = World::new();
        let purge = || world.fills.purge(&world.key("p"), Severity::Hard, &world.scopes);
        let first = purge();
        assert_eq!(first.overtaken, 0);
        let began = world.open("p");
        assert_eq!(began.clock, first.generation);
        let second = purge();
        assert_eq!((second.generation > first.generation, second.overtaken), (true, 1));
        assert_eq!(world.close(began), Overtaken::Hard);
    }

    #[test]
    fn second_purge_counts_only_leases_that_were_not_void() {
        let world = World::new();
        world.open("p");
        assert_eq!(world.purge("p", Severity::Hard), 1);
        world.open("p");
        assert_eq!(world.purge("p", Severity::Soft), 1);
        assert_eq!(world.purge("p", Severity::Hard), 1);
        assert_eq!(world.purge("p", Severity::Hard), 0);
    }

    #[test]
    fn leases_that_were_void_and_closed_are_not_counted() {
        let world = World::new();
        let began = world.open("p");
        (0..3).for_each(|_| assert_eq!(world.open("p").fill, began.fill));
        assert_eq!(world.purge("p", Severity::Hard), 4);
        (0..3).for_each(|_| assert_eq!(world.close(began), Overtaken::Hard));
        assert_eq!(world.fills.valid(&world.key("p")), 0);
        world.open("p");
        assert_eq!(world.fills.valid(&world.key("p")), 1);
        assert_eq!(world.purge("p", Severity::Hard), 1);
    }

    #[test]
    fn closing_the_last_lease_forgets_the_path_and_its_purges() {
        let world = World::new();
        let began = world.open("p");
        assert_eq!(world.fills.leases(), (1, 0));
        assert_eq!(world.purge("p", Severity::Hard), 1);
        assert_eq!(world.close(began), Overtaken::Hard);
        assert!(world.fills.0.lock().table.is_empty());
        assert_eq!(world.fills.leases(), (0, 0));
    }

    #[test]
    fn paths_longer_than_the_place_for_them_are_as_good() {
        let world = World::new();
        for length in [95, 96, 97, 5000] {
            let [path, other] = ["x", "y"].map(|last| "p".repeat(length - 1) + last);
            let began = world.open(&path);
            assert_eq!(world.fills.bytes() >= length, length > 96 || world.fills.bytes() > length);
            assert_eq!(world.purge(&other, Severity::Hard), 0);
            assert_eq!(world.fills.valid_under(world.a.id(), &path), 1);
            assert_eq!(world.purge(&path, Severity::Soft), 1);
            assert_eq!(world.close(began), Overtaken::Soft);
        }
    }

    #[test]
    fn memory_of_a_burst_comes_back_though_some_of_its_leases_stay_open() {
        for left in [0, 10] {
            let (hashing, world) = (Hashing::new(), World::new());
            let paths: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
            let key = |n: usize| {
                let path: &str = &paths[n];
                PathRef { hash: hashing.path(world.a.id(), path), ..world.key(path) }
            };
            let open = |n| world.fills.open(&key(n), &world.scopes);
            let began: Vec<_> = (0..10_000).map(open).collect();
            let peak = world.fills.bytes();
            for (n, began) in began.iter().enumerate().skip(left) {
                world.fills.close(key(n).hash, *began, None);
            }
            assert!(world.fills.bytes() * 50 < peak, "{} of {peak}", world.fills.bytes());
            assert!((0..left).all(|n| world.fills.valid(&key(n)) == 1));
        }
    }

    #[test]
    fn fills_whose_hashes_are_the_same_are_told_apart() {
        let world = World::new();
        let b = world.tenants.get_or_add("b");
        let of = [world.key("p"), world.key("q"), PathRef { tenant: &b, ..world.key("p") }];
        let began = of.each_ref().map(|key| world.fills.open(key, &world.scopes));
        let purge = |key, severity| world.fills.purge(key, severity, &world.scopes).overtaken;
        assert_eq!(purge(&of[0], Severity::Hard), 1);
        assert_eq!(purge(&of[2], Severity::Soft), 1);
        assert_eq!(of.each_ref().map(|key| world.fills.valid(key)), [0, 1, 1]);
        assert_eq!(world.fills.valid_under(world.a.id(), ""), 1);
        // From the last on: what was opened first comes first to hand, and is another's.
        let mut closed = began;
        closed.reverse();
        let closed = closed.map(|began| world.close(began));
        assert_eq!(closed, [Overtaken::Soft, Overtaken::No, Overtaken::Hard]);
    }
}
