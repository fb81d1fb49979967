//! `Background`: the thread that writes snapshots when they are due.
//!
//! Invariant: it never wakes up without need. A call that makes a snapshot due wakes it up, and so
//! does a log that fails.

use crate::codec::Codec;
use crate::config::PersistConfig;
use crate::log::Log;
use crate::parts::Parts;
use crate::wake::Wake;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a snapshot that failed, or that heals the log, waits; twice as long after each further
/// failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// The thread that writes snapshots.
#[derive(Debug)]
pub(crate) struct Background {
    wake: Arc<Wake>,
    snapshot_after_bytes: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    pub(crate) fn start<V: Codec + Clone + Send + Sync + 'static>(
        parts: Arc<Parts<V>>,
        wake: Arc<Wake>,
        config: &PersistConfig,
    ) -> io::Result<Self> {
        let period = config.snapshot_every();
        let thread = std::thread::Builder::new().name("cache-index-snap".to_owned()).spawn({
            let wake = Arc::clone(&wake);
            move || run(&wake, &parts, period)
        })?;
        let snapshot_after_bytes = match period {
            Some(_) => config.snapshot_after_bytes(),
            None => u64::MAX,
        };
        Ok(Self { wake, snapshot_after_bytes, thread: Mutex::new(Some(thread)) })
    }

    /// Wakes the thread up if the log has grown large.
    pub(crate) fn consider(&self, log: &Log) {
        if log.counts().bytes >= self.snapshot_after_bytes {
            self.wake.ask();
        }
    }

    /// Ends the thread, after the snapshot that it is writing.
    pub(crate) fn end(&self) {
        self.wake.end();
        if let Some(thread) = self.thread.lock().take() {
            // It has no result. A panic of the caller's `Clone` or `encode` was printed by the
            // thread.
            let _ = thread.join();
        }
    }
}

fn run<V: Codec + Clone>(wake: &Wake, parts: &Parts<V>, period: Option<Duration>) {
    if parts.was_damaged() {
        // Before a crash, so that the next start is not cold again.
        wake.ask();
    }
    let mut retry = FIRST_RETRY;
    let mut due = period.map(|period| Instant::now() + period);
    while wake.wait(due) {
        let result = parts.snapshot();
        due = if result.is_ok() {
            retry = FIRST_RETRY;
            period.map(|period| Instant::now() + period)
        } else {
            let until = Instant::now() + retry;
            retry = LAST_RETRY.min(retry * 2);
            // Until then nothing wakes the thread but the end: a full disk is not asked again with
            // every purge.
            if !wake.pause(until) {
                return;
            }
            Some(Instant::now())
        };
    }
}
