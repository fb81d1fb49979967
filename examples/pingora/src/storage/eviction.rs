//! Eviction: the order in which objects go when memory is short.
//!
//! First in, first out, with a second chance for objects that were served since. A lookup only sets
//! a flag, and waits for nobody.

use super::object::{Kept, Object};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Objects in the order of eviction. It keeps none of them alive: objects that a purge has removed
/// are freed at once, and their places are cleaned up when the queue has doubled.
#[derive(Default)]
pub(super) struct Queue(Mutex<Places>);

#[derive(Default)]
struct Places {
    objects: VecDeque<Weak<Object>>,
    /// The length at which places of freed objects are removed.
    clean_at: usize,
}

/// The place at the front of the queue.
pub(super) enum Front {
    /// The object is to be evicted.
    Evict(Kept),
    /// The object is gone, or has got a second chance.
    Passed,
    Empty,
}

impl Queue {
    pub(super) fn push(&self, object: &Kept) {
        let mut places = self.0.lock();
        places.objects.push_back(Arc::downgrade(&object.0));
        if places.objects.len() > places.clean_at {
            places.objects.retain(|object| object.strong_count() > 0);
            places.clean_at = 2 * places.objects.len().max(32);
        }
    }

    pub(super) fn next(&self) -> Front {
        let Some(front) = self.0.lock().objects.pop_front() else { return Front::Empty };
        let Some(object) = front.upgrade().map(Kept) else { return Front::Passed };
        if object.0.used.swap(false, Ordering::Relaxed) {
            self.push(&object);
            return Front::Passed;
        }
        Front::Evict(object)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().objects.len()
    }
}
