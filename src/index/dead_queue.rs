//! Dead entries that wait to be handed over.
//!
//! Invariant: what is put in comes out exactly once, in the order of the paths, whole paths or part by part.

use crate::outcome::Grave;
use crate::scopes::Tenant;
use crate::variants::Entry;
use std::collections::VecDeque;
use std::sync::Arc;

/// The queue of one index.
pub(crate) struct Graves<V> {
    queue: VecDeque<Grave<V>>,
    entries: usize,
    bytes: usize,
}

impl<V> Default for Graves<V> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), entries: 0, bytes: 0 }
    }
}

impl<V> Graves<V> {
    pub(crate) fn push(&mut self, graves: impl IntoIterator<Item = Grave<V>>) {
        for grave in graves {
            self.entries += grave.entries.len();
            self.bytes += grave.bytes;
            self.queue.push_back(grave);
        }
    }

    /// Moves entries to `out` until that holds `limit`, or none is left.
    pub(crate) fn take(&mut self, limit: usize, out: &mut Vec<(Tenant, Arc<str>, Entry<V>)>) {
        while out.len() < limit {
            let Some(grave) = self.queue.front_mut() else { break };
            let path: Arc<str> = Arc::from(&*grave.path);
            let taken = grave.entries.len().min(limit - out.len());
            let entries = grave.entries.drain(grave.entries.len() - taken..);
            out.extend(entries.map(|entry| (grave.tenant.clone(), Arc::clone(&path), entry)));
            self.entries -= taken;
            if grave.entries.is_empty() {
                self.bytes -= grave.bytes;
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
            self.queue.iter().map(|grave| grave.entries.len()).sum::<usize>(),
            "entries"
        );
        assert_eq!(self.bytes, self.queue.iter().map(|grave| grave.bytes).sum::<usize>(), "bytes");
        assert!(self.queue.iter().all(|grave| !grave.entries.is_empty()), "an empty grave");
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.queue.capacity() * size_of::<Grave<V>>()
    }
}
