//! The log: group commit by one thread.
//!
//! Invariants: a caller receives `Durable` only after a sync that covers its records has returned.
//! After any failure nothing more is acknowledged, and the file in question is never synced again,
//! until [`Log::mark`] has started a new segment.
//!
//! Callers put their records into the open batch and wait. The thread takes the whole batch, writes
//! it, syncs once, and wakes up every caller with a record in it. Records that arrive during a sync
//! go with the next one. Callers that were woken up together mostly come again together: the thread
//! waits for them for up to an eighth of the time of a sync, instead of syncing for the first. They
//! then go together with the callers that had arrived during the sync. Otherwise there would be two
//! groups that take turns, and each caller would wait for two syncs.

use crate::config::SyncPolicy;
use crate::outcome::{Durability, LogError};
use crate::spare::Spare;
use crate::wake::Wake;
use crate::writer::{Mark, Writer};
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The longest time for which the log waits for callers that waited for the last sync.
const LONGEST_GATHERING: Duration = Duration::from_millis(1);

/// A result that threads wait for.
#[derive(Debug)]
struct Promise<T>(OnceLock<T>);

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Clone> Promise<T> {
    /// Wakes the waiting threads up, all at once. With a condition variable, each of them would
    /// need the lock before the next one wakes up.
    fn keep(&self, result: impl FnOnce() -> T, waiting: &mut Vec<Thread>) {
        self.0.get_or_init(result);
        waiting.drain(..).for_each(|thread| thread.unpark());
    }

    /// Waits on a thread that is among those that [`Self::keep`] wakes up.
    fn wait(&self) -> T {
        loop {
            if let Some(result) = self.0.get() {
                return result.clone();
            }
            std::thread::park();
        }
    }
}

/// Records that will be written together.
#[derive(Debug, Default)]
struct Batch {
    payloads: Vec<Vec<u8>>,
    promise: Arc<Promise<Durability>>,
    /// One for each caller.
    waiting: Vec<Thread>,
}

/// A mark that somebody waits for.
#[derive(Debug, Default)]
struct Marking {
    promise: Arc<Promise<Result<Mark, Arc<LogError>>>>,
    waiting: Vec<Thread>,
}

impl Batch {
    fn keep(&mut self, durability: impl FnOnce() -> Durability) {
        self.promise.keep(durability, &mut self.waiting);
    }
}

impl Marking {
    fn keep(&mut self, mark: impl FnOnce() -> Result<Mark, Arc<LogError>>) {
        self.promise.keep(mark, &mut self.waiting);
    }
}

fn thread_has_ended() -> Arc<LogError> {
    Arc::new(LogError::new("log has no thread any more", None))
}

// Both are dropped without an answer only if the thread panics, in the file layer. Nobody must wait
// for it then.
impl Drop for Batch {
    fn drop(&mut self) {
        self.keep(|| Durability::NotDurable(thread_has_ended()));
    }
}

impl Drop for Marking {
    fn drop(&mut self) {
        self.keep(|| Err(thread_has_ended()));
    }
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// The thread is woken up when this number of callers wait.
    enough: usize,
    marking: Option<Marking>,
    /// Set while nothing can be acknowledged.
    fault: Option<Arc<LogError>>,
    /// No further records are taken.
    is_closed: bool,
    /// The thread ends when it has nothing left to do.
    is_ending: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    has_work: Condvar,
    policy: SyncPolicy,
    /// Asks for the snapshot that heals the log, when it has failed.
    wake: Arc<Wake>,
    // Counters for people. Relaxed: nothing is concluded from them.
    records: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
}

/// The counts of the log since the index was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogCounts {
    pub(crate) records: u64,
    pub(crate) syncs: u64,
    /// Since the last mark.
    pub(crate) bytes: u64,
}

/// The log of an open index.
#[derive(Debug)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    spare: Spare,
}

/// The callers that the thread waits for before it writes, because they waited for the last sync
/// and probably come again; and until when.
#[derive(Clone, Copy, Debug)]
struct Gathering {
    callers: usize,
    until: Instant,
}

/// The next job of the thread.
enum Job {
    Commit(Batch),
    Mark(Marking),
    Sync,
    End,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub(crate) fn start(
        writer: Writer,
        policy: SyncPolicy,
        wake: Arc<Wake>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            has_work: Condvar::new(),
            policy,
            wake,
            records: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            bytes: AtomicU64::new(writer.bytes()),
        });
        let spare = Spare::start(writer.store())?;
        let thread = std::thread::Builder::new().name("cache-index-log".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _end = End(&shared);
                let store = writer.store();
                if catch_unwind(AssertUnwindSafe(|| shared.run(writer))).is_err() {
                    // The file layer has panicked. A purge that was not acknowledged must still
                    // hold.
                    store.distrust();
                }
            }
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), spare })
    }

    /// Writes records and returns what is known of them, as the policy promises.
    pub(crate) fn append(&self, payloads: Vec<Vec<u8>>) -> Durability {
        let promise = {
            let mut queue = self.shared.queue.lock();
            if queue.is_closed {
                return Durability::NotDurable(Arc::new(LogError::new("index is closed", None)));
            }
            if let Some(fault) = &queue.fault {
                return Durability::NotDurable(Arc::clone(fault));
            }
            // Before the batch is taken, so that no sync is seen without its records.
            self.shared.records.fetch_add(payloads.len() as u64, Ordering::Relaxed);
            queue.batch.payloads.extend(payloads);
            queue.batch.waiting.push(std::thread::current());
            if queue.batch.waiting.len() >= queue.enough {
                self.shared.has_work.notify_one();
            }
            Arc::clone(&queue.batch.promise)
        };
        promise.wait()
    }

    /// Marks the end of the log for a snapshot. Heals a log that has failed.
    pub(crate) fn mark(&self) -> Result<Mark, Arc<LogError>> {
        let promise = {
            let mut queue = self.shared.queue.lock();
            if queue.is_ending {
                return Err(Arc::new(LogError::new("index is closed", None)));
            }
            let marking = queue.marking.get_or_insert_default();
            marking.waiting.push(std::thread::current());
            let promise = Arc::clone(&marking.promise);
            self.shared.has_work.notify_one();
            promise
        };
        promise.wait()
    }

    /// Returns the failure because of which nothing can be acknowledged now.
    pub(crate) fn fault(&self) -> Option<Arc<LogError>> {
        self.shared.queue.lock().fault.clone()
    }

    pub(crate) fn counts(&self) -> LogCounts {
        LogCounts {
            records: self.shared.records.load(Ordering::Relaxed),
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
        }
    }

    /// Refuses further records.
    pub(crate) fn refuse(&self) {
        self.shared.queue.lock().is_closed = true;
    }

    /// Writes what is waiting, and ends the thread.
    pub(crate) fn end(&self) {
        {
            let mut queue = self.shared.queue.lock();
            queue.is_closed = true;
            queue.is_ending = true;
            self.shared.has_work.notify_one();
        }
        if let Some(thread) = self.thread.lock().take() {
            // The thread runs no code of the caller's except the file layer. If that panics, every
            // caller has its answer already.
            let _ = thread.join();
        }
        self.spare.end();
    }
}

/// The end of the thread, expected or by a panic: nothing is taken any more, and nobody waits.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut queue = self.0.queue.lock();
            (queue.is_closed, queue.is_ending) = (true, true);
            (std::mem::take(&mut queue.batch), queue.marking.take())
        };
        drop(waiting);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}

impl Gathering {
    /// Waits for the callers that were answered now, as they mostly come again, beside those that
    /// wait already: `callers` in all. It does not wait much longer than they take.
    fn after(callers: usize, start: Instant) -> Option<Self> {
        let until = Instant::now() + LONGEST_GATHERING.min(start.elapsed() / 8);
        (callers > 1).then_some(Self { callers, until })
    }

    fn goes_on(self, queue: &Queue) -> bool {
        let is_urgent = queue.marking.is_some() || queue.is_ending;
        !is_urgent && queue.batch.waiting.len() < self.callers && Instant::now() < self.until
    }
}

impl Shared {
    fn run(&self, mut writer: Writer) {
        // Under `Every`, when the oldest record that is not synced was written.
        let mut unsynced_since = None;
        let mut gathering = None;
        loop {
            match self.next(unsynced_since, gathering.take()) {
                Job::Commit(mut batch) => {
                    let start = Instant::now();
                    let durability = writer.commit(&batch.payloads, self.policy);
                    if matches!(durability, Durability::Written) {
                        unsynced_since.get_or_insert_with(Instant::now);
                    }
                    self.publish(&writer);
                    let callers = batch.waiting.len() + self.queue.lock().batch.waiting.len();
                    batch.keep(|| durability);
                    gathering = Gathering::after(callers, start);
                }
                Job::Mark(mut marking) => {
                    let mark = writer.mark();
                    unsynced_since = None;
                    self.publish(&writer);
                    marking.keep(|| mark);
                }
                Job::Sync => {
                    writer.sync();
                    unsynced_since = None;
                    self.publish(&writer);
                }
                Job::End => {
                    if self.policy != SyncPolicy::Never {
                        writer.sync();
                    }
                    return;
                }
            }
        }
    }

    /// Lets callers see the state of the writer, before they get their answers.
    fn publish(&self, writer: &Writer) {
        self.syncs.store(writer.syncs(), Ordering::Relaxed);
        self.bytes.store(writer.bytes(), Ordering::Relaxed);
        let fault = writer.fault();
        let has_failed = fault.is_some();
        self.queue.lock().fault = fault;
        if has_failed {
            // Also after a sync that no caller waits for.
            self.wake.ask();
        }
    }

    fn next(&self, unsynced_since: Option<Instant>, mut gathering: Option<Gathering>) -> Job {
        let due = match self.policy {
            SyncPolicy::Every(period) => unsynced_since.map(|since| since + period),
            SyncPolicy::Always | SyncPolicy::Never => None,
        };
        let mut queue = self.queue.lock();
        loop {
            gathering = gathering.filter(|gathering| gathering.goes_on(&queue));
            queue.enough = gathering.map_or(1, |gathering| gathering.callers);
            if let Some(Gathering { until, .. }) = gathering {
                self.has_work.wait_until(&mut queue, until);
                continue;
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                return Job::Sync;
            }
            if !queue.batch.payloads.is_empty() {
                return Job::Commit(std::mem::take(&mut queue.batch));
            }
            if let Some(marking) = queue.marking.take() {
                return Job::Mark(marking);
            }
            if queue.is_ending {
                return Job::End;
            }
            match due {
                Some(due) => {
                    self.has_work.wait_until(&mut queue, due);
                }
                None => self.has_work.wait(&mut queue),
            }
        }
    }
}
