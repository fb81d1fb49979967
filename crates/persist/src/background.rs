//! `Background`: the thread that writes snapshots when they are due.
//!
//! Invariant: it never wakes up without need; a call that makes a snapshot due wakes it up.

use crate::codec::Codec;
use crate::config::PersistConfig;
use crate::log::Log;
use crate::parts::Parts;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a snapshot that failed, or that heals the log, waits; twice as long after each further
/// failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Signal {
    is_ending: bool,
    /// The log has grown large, or has failed.
    is_wanted: bool,
}

#[derive(Debug, Default)]
struct Shared {
    signal: Mutex<Signal>,
    changed: Condvar,
}

/// The thread that writes snapshots.
#[derive(Debug)]
pub(crate) struct Background {
    shared: Arc<Shared>,
    snapshot_after_bytes: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    pub(crate) fn start<V: Codec + Clone + Send + Sync + 'static>(
        parts: Arc<Parts<V>>,
        config: &PersistConfig,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let period = config.snapshot_every();
        let thread = std::thread::Builder::new().name("cache-index-snap".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&parts, period)
        })?;
        let snapshot_after_bytes = match period {
            Some(_) => config.snapshot_after_bytes(),
            None => u64::MAX,
        };
        Ok(Self { shared, snapshot_after_bytes, thread: Mutex::new(Some(thread)) })
    }

    /// Wakes the thread up if the log has grown large or has failed.
    pub(crate) fn consider(&self, log: &Log) {
        if log.counts().bytes >= self.snapshot_after_bytes || log.fault().is_some() {
            let mut signal = self.shared.signal.lock();
            if !signal.is_wanted {
                signal.is_wanted = true;
                self.shared.changed.notify_one();
            }
        }
    }

    /// Ends the thread, after the snapshot that it is writing.
    pub(crate) fn end(&self) {
        self.shared.signal.lock().is_ending = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // It has no result. A panic of the caller's `Clone` or `encode` was printed by the
            // thread.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run<V: Codec + Clone>(&self, parts: &Parts<V>, period: Option<Duration>) {
        if parts.was_damaged() {
            // Before a crash, so that the next start is not cold again.
            self.signal.lock().is_wanted = true;
        }
        let mut retry = FIRST_RETRY;
        let mut due = period.map(|period| Instant::now() + period);
        while self.wait(due) {
            let result = parts.snapshot();
            due = if result.is_ok() {
                retry = FIRST_RETRY;
                period.map(|period| Instant::now() + period)
            } else {
                let wait = retry;
                retry = LAST_RETRY.min(retry * 2);
                // Until then nothing wakes the thread but the end: a full disk is not asked again
                // with every purge.
                if !self.pause(wait) {
                    return;
                }
                Some(Instant::now())
            };
        }
    }

    /// Waits until a snapshot is due. Returns false at the end.
    fn wait(&self, due: Option<Instant>) -> bool {
        let mut signal = self.signal.lock();
        loop {
            if signal.is_ending {
                return false;
            }
            if signal.is_wanted || due.is_some_and(|due| due <= Instant::now()) {
                // Before the snapshot: a failure of the log during it asks for another one.
                signal.is_wanted = false;
                return true;
            }
            match due {
                Some(due) => drop(self.changed.wait_until(&mut signal, due)),
                None => self.changed.wait(&mut signal),
            }
        }
    }

    /// Waits. Returns false at the end.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut signal = self.signal.lock();
        while !signal.is_ending && Instant::now() < until {
            self.changed.wait_until(&mut signal, until);
        }
        !signal.is_ending
    }
}
