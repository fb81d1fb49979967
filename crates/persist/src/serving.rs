//! `Serving`: an index that is already in use while its snapshot is loaded.
//!
//! Invariant: the log was replayed before the first lookup, in a restore that had begun. So no
//! entry is restored that a record, or a purge since, has killed.

use crate::codec::Codec;
use crate::damage::{ColdKind, ColdReason};
use crate::load::{Load, LoadCounts};
use crate::outcome::Recovery;
use cache_index::{CacheIndex, Hard, Restore};
use parking_lot::{Condvar, Mutex};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// The counts of the log that was replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replayed {
    pub(crate) records: u64,
    pub(crate) closed: bool,
    pub(crate) torn: bool,
}

impl Replayed {
    pub(crate) fn warm(self, LoadCounts { stored, refused }: LoadCounts) -> Recovery {
        let Self { records, closed, torn } = self;
        Recovery::Warm { entries: stored, refused, replayed: records, closed, torn }
    }
}

/// The load of an index in use.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) load: Load,
    replayed: Replayed,
    recovery: OnceLock<Recovery>,
    /// Threads that have not ended.
    running: AtomicUsize,
    has_ended: Mutex<bool>,
    ended: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Serving {
    /// Starts the threads.
    pub(crate) fn start<V: Codec + Send + Sync + 'static>(
        index: &Arc<CacheIndex<V>>,
        restore: Restore<V>,
        load: Load,
        replayed: Replayed,
        threads: usize,
    ) -> io::Result<Arc<Self>> {
        let serving = Arc::new(Self {
            load,
            replayed,
            recovery: OnceLock::new(),
            running: AtomicUsize::new(threads),
            has_ended: Mutex::new(false),
            ended: Condvar::new(),
            threads: Mutex::default(),
        });
        let restore = Arc::new(restore);
        for number in 0..threads {
            let (this, index_of_thread, restore) =
                (Arc::clone(&serving), Arc::clone(index), Arc::clone(&restore));
            let name = format!("cache-index-load-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                this.work(&index_of_thread, restore, number == 0);
            });
            match thread {
                Ok(thread) => serving.threads.lock().push(thread),
                // The threads before do its work.
                Err(_) if number > 0 => serving.end_one(&**index),
                Err(error) => return Err(error),
            }
        }
        Ok(serving)
    }

    fn work<V: Codec>(&self, index: &CacheIndex<V>, restore: Arc<Restore<V>>, is_first: bool) {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            if is_first {
                self.load.reserve(&restore);
            }
            self.load.work(index, &restore);
        }));
        if worked.is_err() {
            // The codec or the file layer has panicked, and it is not known how far the block came.
            let kind = ColdKind::Unreadable(io::ErrorKind::Other);
            self.load.fail(ColdReason::new(self.load.file(), kind));
        }
        // Before the end is told: the last one ends the noting of purges.
        drop(restore);
        self.end_one(index);
    }

    fn end_one<V>(&self, index: &CacheIndex<V>) {
        // Acquire and release: the last thread sees what the others have counted.
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let recovery = match self.load.finish() {
                Ok(counts) => Some(self.replayed.warm(counts)),
                Err(None) => None,
                Err(Some(reason)) => {
                    // Nothing of a snapshot that cannot be trusted is kept.
                    index.flush_all(Hard);
                    Some(Recovery::Cold { reason })
                }
            };
            if let Some(recovery) = recovery {
                // Only this thread sets it.
                let _ = self.recovery.set(recovery);
            }
            *self.has_ended.lock() = true;
            self.ended.notify_all();
        }
    }

    /// Returns the state that was found on disk, once everything was loaded.
    pub(crate) fn recovery(&self) -> Option<&Recovery> {
        self.recovery.get()
    }

    /// Waits until everything was loaded. Returns `None` if the load was stopped before.
    pub(crate) fn wait(&self) -> Option<&Recovery> {
        let mut has_ended = self.has_ended.lock();
        while !*has_ended {
            self.ended.wait(&mut has_ended);
        }
        self.recovery.get()
    }

    /// Ends the threads, each after the block that it works on.
    pub(crate) fn stop(&self) {
        self.load.stop();
        for thread in self.threads.lock().drain(..) {
            // Panics were caught.
            let _ = thread.join();
        }
    }
}
