//! `MemoryEngine`: a stream in memory that can fail as a real one does, for tests.

use super::types::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, Reader, StreamInfo,
    StreamMessage,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Notify, broadcast};

/// The content of a stream.
#[derive(Clone, Debug)]
pub(crate) struct MemoryStream {
    created: i128,
    first: u64,
    messages: VecDeque<Delivered>,
    known_ids: HashMap<String, u64>,
}

impl MemoryStream {
    pub(crate) fn new(created: i128) -> Self {
        Self { created, first: 1, messages: VecDeque::new(), known_ids: HashMap::new() }
    }

    pub(crate) fn last(&self) -> u64 {
        self.messages.back().map_or(self.first - 1, |last| last.sequence)
    }

    pub(crate) fn append(
        &mut self,
        id: &str,
        body: &[u8],
        expected_last: Option<u64>,
    ) -> Result<Appended, AppendError> {
        if let Some(&sequence) = self.known_ids.get(id) {
            return Ok(Appended { sequence });
        }
        if expected_last.is_some_and(|expected| expected != self.last()) {
            return Err(AppendError::WrongLast);
        }
        let sequence = self.last() + 1;
        self.known_ids.insert(id.to_owned(), sequence);
        self.messages.push_back(Delivered { sequence, id: id.to_owned(), body: body.to_vec() });
        Ok(Appended { sequence })
    }

    pub(crate) fn info(&self, at: u64) -> StreamInfo {
        let id_of = |sequence: u64| {
            let find = self.messages.binary_search_by_key(&sequence, |message| message.sequence);
            find.ok().map(|at| self.messages[at].id.clone())
        };
        let last = self.last();
        StreamInfo {
            created: self.created,
            first: self.messages.front().map_or(self.first, |first| first.sequence),
            last: StreamMessage { sequence: last, id: id_of(last).unwrap_or_default() },
            id_at: id_of(at),
        }
    }

    /// Returns messages from `first` on. A reader that starts behind the end waits until the stream
    /// has grown that far, and skips all before, as JetStream does.
    pub(crate) fn read(&self, first: u64, limit: usize) -> Vec<Delivered> {
        let start = self.messages.partition_point(|message| message.sequence < first);
        self.messages.range(start..).take(limit).cloned().collect()
    }

    /// Removes the messages below `first`.
    pub(crate) fn purge_below(&mut self, first: u64) {
        let last = self.last();
        self.messages.retain(|message| message.sequence >= first);
        self.first = first.clamp(self.first, last + 1);
    }

    /// Removes one message from the middle.
    pub(crate) fn delete(&mut self, sequence: u64) {
        if sequence < self.last() {
            self.messages.retain(|message| message.sequence != sequence);
        }
    }

    /// Removes the messages behind `last`, and the memory of them.
    #[cfg(test)]
    pub(crate) fn truncate(&mut self, last: u64) {
        self.messages.retain(|message| message.sequence <= last);
        self.known_ids.retain(|_, sequence| *sequence <= last);
        self.first = self.first.min(last + 1);
    }

    /// Forgets which ids were appended.
    pub(crate) fn forget_ids(&mut self) {
        self.known_ids.clear();
    }
}

#[derive(Debug)]
struct State {
    stream: MemoryStream,
    is_up: bool,
    /// Grows when all readers must fail.
    epoch: u64,
    appends: u64,
}

/// A stream in memory, shared by its clones, with the faults of a real one.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{Engine, MemoryEngine};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let engine = MemoryEngine::new();
/// let appended = engine.append("a-1", b"hello").await?;
/// assert_eq!(appended.sequence, 1);
///
/// engine.stop();
/// assert!(engine.append("a-2", b"hello").await.is_err());
/// engine.start();
/// // It is known by its id, until the engine forgets that.
/// assert_eq!(engine.handle().append("a-1", b"hello").await?.sequence, 1);
/// engine.forget_ids();
/// assert_eq!(engine.append("a-1", b"hello").await?.sequence, 2);
/// engine.append("a-2", b"hello").await?;
/// assert_eq!(engine.appends(), 3);
///
/// engine.delete(2);
/// engine.purge_below(2);
/// assert_eq!(engine.info(0).await?.first, 3);
/// engine.wipe();
/// assert_eq!(engine.info(0).await?.last.sequence, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    announcements: broadcast::Sender<Vec<u8>>,
    heard: Arc<tokio::sync::Mutex<Option<broadcast::Receiver<Vec<u8>>>>>,
}

/// Reads a [`MemoryEngine`].
#[derive(Debug)]
pub struct MemoryReader {
    engine: MemoryEngine,
    next: u64,
    epoch: u64,
}

/// A copy of a stream, to be restored later.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{Engine, MemoryEngine};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let engine = MemoryEngine::new();
/// engine.append("a-1", b"one").await?;
/// let copy = engine.backup();
/// engine.append("a-2", b"two").await?;
/// engine.restore(copy);
/// assert_eq!(engine.info(0).await?.last.sequence, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBackup(MemoryStream);

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryEngine {
    /// Creates an engine with an empty stream.
    pub fn new() -> Self {
        let state = State { stream: MemoryStream::new(1), is_up: true, epoch: 0, appends: 0 };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(Notify::new()),
            announcements: broadcast::channel(1024).0,
            heard: Arc::default(),
        }
    }

    /// Returns a handle for another node: the same stream, and its own ear for announcements.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self { heard: Arc::default(), ..self.clone() }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_waiters();
    }

    /// Makes every call fail until [`start`](Self::start).
    pub fn stop(&self) {
        self.change(|state| {
            state.is_up = false;
            state.epoch += 1;
        });
    }

    /// Makes calls succeed again.
    pub fn start(&self) {
        self.change(|state| state.is_up = true);
    }

    /// Replaces the stream with a new, empty one.
    pub fn wipe(&self) {
        self.change(|state| {
            state.stream = MemoryStream::new(state.stream.created + 1);
            state.epoch += 1;
        });
    }

    /// Copies the stream.
    pub fn backup(&self) -> MemoryBackup {
        MemoryBackup(self.state.lock().stream.clone())
    }

    /// Restores a copy.
    pub fn restore(&self, backup: MemoryBackup) {
        self.change(|state| {
            state.stream = backup.0;
            state.epoch += 1;
        });
    }

    /// Removes the messages below `first`, under running readers.
    pub fn purge_below(&self, first: u64) {
        self.change(|state| state.stream.purge_below(first));
    }

    /// Removes one message from the middle, under running readers.
    pub fn delete(&self, sequence: u64) {
        self.change(|state| state.stream.delete(sequence));
    }

    /// Forgets the ids of all messages, so that repeated ones are appended again.
    pub fn forget_ids(&self) {
        self.change(|state| state.stream.forget_ids());
    }

    /// Returns how many messages were appended, by all nodes.
    pub fn appends(&self) -> u64 {
        self.state.lock().appends
    }

    fn append_as(
        &self,
        id: &str,
        body: &[u8],
        expected: Option<u64>,
    ) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if !state.is_up {
            return Err(AppendError::Unknown(EngineError::new("engine is stopped")));
        }
        let last = state.stream.last();
        let appended = state.stream.append(id, body, expected);
        state.appends += u64::from(state.stream.last() > last);
        drop(state);
        self.changed.notify_waiters();
        appended
    }
}

fn stopped() -> EngineError {
    EngineError::new("engine is stopped")
}

impl Engine for MemoryEngine {
    type Reader = MemoryReader;

    async fn append(&self, id: &str, body: &[u8]) -> Result<Appended, AppendError> {
        self.append_as(id, body, None)
    }

    async fn append_expected(
        &self,
        id: &str,
        body: &[u8],
        expected_last: u64,
    ) -> Result<Appended, AppendError> {
        self.append_as(id, body, Some(expected_last))
    }

    async fn info(&self, at: u64) -> Result<StreamInfo, EngineError> {
        let state = self.state.lock();
        if state.is_up { Ok(state.stream.info(at)) } else { Err(stopped()) }
    }

    async fn read_from(&self, first: u64) -> Result<MemoryReader, EngineError> {
        let state = self.state.lock();
        let reader = MemoryReader { engine: self.clone(), next: first, epoch: state.epoch };
        if state.is_up { Ok(reader) } else { Err(stopped()) }
    }
}

impl Announcements for MemoryEngine {
    async fn announce(&self, bytes: Vec<u8>) {
        // Nobody may be listening.
        let _ = self.announcements.send(bytes);
    }

    async fn hear(&self) -> Vec<u8> {
        let mut heard = self.heard.lock().await;
        let heard = heard.get_or_insert_with(|| self.announcements.subscribe());
        loop {
            match heard.recv().await {
                Ok(bytes) => return bytes,
                // Announcements may be lost.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Reader for MemoryReader {
    async fn next(&mut self) -> Result<Vec<Delivered>, EngineError> {
        loop {
            let changed = Arc::clone(&self.engine.changed);
            // Registered before the state is read, so that no change is overlooked.
            let mut changed = std::pin::pin!(changed.notified());
            changed.as_mut().enable();
            {
                let state = self.engine.state.lock();
                if !state.is_up || state.epoch != self.epoch {
                    return Err(EngineError::new("reader was lost"));
                }
                let messages = state.stream.read(self.next, 1000);
                if let Some(last) = messages.last() {
                    self.next = last.sequence + 1;
                    return Ok(messages);
                }
            }
            changed.await;
        }
    }
}
