//! `Gate`: an origin whose answers can be held back, so that a race can be shown, and tested,
//! without waiting for luck.
//!
//! Invariant: a picture that is held back was read from the origin *before* it was held. It is the
//! old picture, whatever happens in between.

use super::{Fetch, Origin, Wanted};
use cache_index::canonical::Root;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Passes fetches on to another origin, and holds back the chosen ones.
#[derive(Clone)]
pub(crate) struct Gate {
    origin: Arc<dyn Origin>,
    holds: Arc<Mutex<HashMap<String, Hold>>>,
}

struct Hold {
    arrived: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A fetch that is, or will be, held back. It goes on when this is dropped.
pub(crate) struct Held {
    arrived: oneshot::Receiver<()>,
    _released: oneshot::Sender<()>,
}

impl Gate {
    pub(crate) fn new(origin: Arc<dyn Origin>) -> Self {
        Self { origin, holds: Arc::default() }
    }

    /// Holds back the next fetch of `path`, which is canonical text.
    pub(crate) fn hold_next(&self, path: &str) -> Held {
        let (arrive, arrived) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.holds.lock().insert(path.to_owned(), Hold { arrived: arrive, released });
        Held { arrived, _released: release }
    }
}

impl Held {
    /// Waits until the picture was read and is being held back.
    pub(crate) async fn arrived(&mut self) {
        // An error means that the gate is gone; then there is nothing to wait for.
        let _ = (&mut self.arrived).await;
    }
}

impl Origin for Gate {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a> {
        Box::pin(async move {
            let picture = self.origin.fetch(wanted).await;
            let hold = self.holds.lock().remove(wanted.path.as_str());
            if let Some(Hold { arrived, released }) = hold {
                // Errors mean that no test waits on the other side; then nothing is held.
                let _ = arrived.send(());
                let _ = released.await;
            }
            picture
        })
    }

    fn root(&self) -> Root {
        self.origin.root()
    }

    fn examples(&self) -> Vec<String> {
        self.origin.examples()
    }
}
