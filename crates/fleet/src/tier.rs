//! The numbers that an edge sends to a shield, and that a shield compares.
//!
//! Invariant: the numbers are read under the lock of the state machine, so that no message is half
//! applied. A number covers the own invalidations of the node only if the stream has delivered
//! them: before that they have no number, and the shield may not have them.

use crate::engine::{Announcements, Engine};
use crate::fleet::{Fleet, Watermark};
use cache_index_persist::Codec;
use std::time::Duration;

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Fleet<V, E> {
    /// Returns how far this node has followed the stream, between two messages: `begun` and
    /// `applied` are equal. `None` until the stream is known.
    ///
    /// A shield compares the number of an edge with `applied`, and looks into its index after that.
    ///
    /// **Locks:** that of the state machine.
    pub fn settled_watermark(&self) -> Option<Watermark> {
        self.shared.settled_watermark()
    }

    /// Returns the watermark that an edge sends to a shield. It first waits until the stream has
    /// delivered the own invalidations that were made before the call. `None` if that takes longer
    /// than `patience`: the answer of a shield must then not be kept.
    ///
    /// The edge must take the lease of its fill **before** it calls this.
    ///
    /// **Locks:** that of the state machine.
    pub async fn numbered_watermark(&self, patience: Duration) -> Option<Watermark> {
        let end = self.shared.node().lock().outbox().end();
        let numbered = async {
            loop {
                let is_delivered = self.shared.node().lock().outbox().is_delivered(end)?;
                if is_delivered {
                    return self.settled_watermark();
                }
                self.shared.changed().await;
            }
        };
        tokio::time::timeout(patience, numbered).await.unwrap_or_default()
    }
}
