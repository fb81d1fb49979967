//! `Stall`: a place in the program where a test can hold it, so that no test depends on luck.

use std::sync::Arc;
use tokio::sync::watch;

/// Holds everything that passes while it is set.
#[derive(Clone)]
pub(crate) struct Stall {
    is_set: Arc<watch::Sender<bool>>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Default for Stall {
    fn default() -> Self {
        Self { is_set: Arc::new(watch::Sender::new(false)), waiting: Arc::default() }
    }
}

impl Stall {
    pub(crate) fn set(&self, is_set: bool) {
        self.is_set.send_replace(is_set);
    }

    /// Waits until something is held.
    pub(crate) async fn arrived(&self) {
        // The sender is in `self`.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    pub(crate) async fn passed(&self) {
        let mut is_set = self.is_set.subscribe();
        // Only those are counted that are held.
        if *is_set.borrow_and_update() {
            self.waiting.send_modify(|waiting| *waiting += 1);
            let _ = is_set.wait_for(|is_set| !is_set).await;
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }
}
