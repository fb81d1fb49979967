//! `Spare`: prepares the next segment of the log on a thread of its own.
//!
//! Invariant: a spare is a file of zeros that is durable under its name, and that no manifest
//! names. It is used only if its number is larger than those of all segments in use; otherwise it
//! is left to be removed.
//!
//! Without it, all callers would wait while a segment of several megabytes is written and synced.

use crate::store::Store;
use crate::writer::BlankSegment;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

#[derive(Debug, Default)]
struct State {
    is_wanted: bool,
    is_ending: bool,
    ready: Option<BlankSegment>,
}

/// The place in which the thread leaves a segment.
#[derive(Debug, Default)]
pub(crate) struct SpareSlot {
    state: Mutex<State>,
    changed: Condvar,
}

impl SpareSlot {
    /// Asks for a segment, if there is none.
    pub(crate) fn want(&self) {
        let mut state = self.state.lock();
        if state.ready.is_none() && !state.is_wanted {
            state.is_wanted = true;
            self.changed.notify_one();
        }
    }

    /// Takes the segment that is ready, if there is one.
    pub(crate) fn take(&self) -> Option<BlankSegment> {
        self.state.lock().ready.take()
    }

    /// Waits until a segment is wanted. Returns false at the end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.is_wanted && !state.is_ending {
            self.changed.wait(&mut state);
        }
        !state.is_ending
    }

    fn put(&self, segment: Option<BlankSegment>) {
        let mut state = self.state.lock();
        state.is_wanted = false;
        state.ready = segment;
    }
}

/// The thread that prepares segments.
#[derive(Debug)]
pub(crate) struct Spare {
    store: Arc<Store>,
    slot: Arc<SpareSlot>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spare {
    pub(crate) fn start(store: Arc<Store>) -> io::Result<Self> {
        let slot = store.spare();
        let thread = std::thread::Builder::new().name("cache-index-next".to_owned()).spawn({
            let (slot, store) = (Arc::clone(&slot), Arc::clone(&store));
            move || {
                while slot.wait() {
                    // Without a spare, the log creates its segment itself, and reports the failure.
                    let made = catch_unwind(AssertUnwindSafe(|| store.create_blank().ok()));
                    slot.put(made.ok().flatten());
                }
            }
        })?;
        Ok(Self { store, slot, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread, after the segment that it is writing, and removes an unused one.
    pub(crate) fn end(&self) {
        self.slot.state.lock().is_ending = true;
        self.slot.changed.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // Panics were caught.
            let _ = thread.join();
        }
        if let Some(segment) = self.slot.take() {
            self.store.remove(segment.id());
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.end();
    }
}
