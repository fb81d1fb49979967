//! The numbers that an edge sends to a shield, and that a shield compares.
//!
//! Invariant: the numbers are read under the lock of the state machine, so that no message is half
//! applied. A number covers the own invalidations of the node only if the stream has delivered
//! them: before that they have no number, and the shield may not have them.
//!
//! A number means the same on both only if the message with it has the same id on both.

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

    /// Returns a checksum of the id of a message that this node has applied, if it is known: the
    /// last 8192 are, but not those before the node joined, before a restart, or before a flush of
    /// everything by the checks.
    ///
    /// An older copy of the stream that was restored keeps the creation time, and gives the numbers
    /// behind its end to other messages. So a number names a message only together with its id: a
    /// shield compares the checksum of an edge with its own for the same number.
    ///
    /// **Cost:** a binary search. **Locks:** that of the state machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine};
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// let engine = MemoryEngine::new();
    /// let (edge, shield) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// let join = |dir: &tempfile::TempDir, name: &str| {
    ///     let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    ///     let config = FleetConfig::builder(name).build()?;
    ///     Ok::<_, Box<dyn std::error::Error>>(Fleet::join(cache, config, engine.handle()))
    /// };
    /// // The shield joins first: it does not know messages from before that.
    /// let shield = join(&shield, "shield")?;
    /// shield.serves_fresh().await;
    /// let edge = join(&edge, "edge")?;
    /// edge.serves_fresh().await;
    ///
    /// let asked = edge.numbered_watermark(Duration::from_secs(9)).await.ok_or("no number")?;
    /// let checksum = edge.checksum(asked.applied).ok_or("flushed meanwhile")?;
    /// while shield.settled_watermark().is_none_or(|own| own.applied < asked.applied) {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    /// }
    /// // The shield has applied the same message, and may answer from its index.
    /// assert_eq!(shield.checksum(asked.applied), Some(checksum));
    /// assert_eq!(shield.checksum(u64::MAX), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checksum(&self, sequence: u64) -> Option<u32> {
        self.shared.node().lock().id_of(sequence).map(|id| crc32c::crc32c(id.as_bytes()))
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
