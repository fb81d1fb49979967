//! Dead entries that wait for `reclaim` to return them.
//!
//! Invariant: what is put in comes out exactly once, in the order of the paths, whole paths or part
//! by part.

use crate::outcome::DeadRecord;
use crate::scopes::Tenant;
use crate::variants::Entry;
use std::collections::VecDeque;
use std::sync::Arc;

/// The queue of one index.
pub(crate) struct DeadQueue<V> {
    queue: VecDeque<DeadRecord<V>>,
    entries: usize,
    bytes: usize,
}

impl<V> Default for DeadQueue<V> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), entries: 0, bytes: 0 }
    }
}

impl<V> DeadQueue<V> {
    pub(crate) fn push(&mut self, records: impl IntoIterator<Item = DeadRecord<V>>) {
        for dead_record in records {
            self.entries += dead_record.entries.len();
            self.bytes += dead_record.bytes;
            self.queue.push_back(dead_record);
        }
    }

    /// Moves entries to `out` until that holds `limit`, or none is left.
    pub(crate) fn take(&mut self, limit: usize, out: &mut Vec<(Tenant, Arc<str>, Entry<V>)>) {
        while out.len() < limit {
            let Some(dead_record) = self.queue.front_mut() else { break };
            let path: Arc<str> = Arc::from(&*dead_record.path);
            let taken = dead_record.entries.len().min(limit - out.len());
            let entries = dead_record.entries.drain(dead_record.entries.len() - taken..);
            out.extend(entries.map(|entry| (dead_record.tenant.clone(), Arc::clone(&path), entry)));
            self.entries -= taken;
            if dead_record.entries.is_empty() {
                self.bytes -= dead_record.bytes;
                self.queue.pop_front();
            }
        }
        if self.queue.is_empty() {
            // The memory of a large queue goes with it.
            self.queue = VecDeque::new();
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Panics where the counts don't agree with the queue.
    #[cfg(fuzzing)]
    pub(crate) fn check(&self) {
        assert_eq!(
            self.entries,
            self.queue.iter().map(|dead_record| dead_record.entries.len()).sum::<usize>(),
            "entries"
        );
        assert_eq!(
            self.bytes,
            self.queue.iter().map(|dead_record| dead_record.bytes).sum::<usize>(),
            "bytes"
        );
        assert!(
            self.queue.iter().all(|dead_record| !dead_record.entries.is_empty()),
            "an empty dead_record"
        );
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.queue.capacity() * size_of::<DeadRecord<V>>()
    }
}
