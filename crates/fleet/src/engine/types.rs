//! The trait of an engine, and its results.

use std::fmt;
use std::future::Future;

/// A log that several nodes append to and read from.
///
/// All methods must end within some seconds: a node tries again after an error.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{AppendError, Engine, MemoryEngine, Reader};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let engine = MemoryEngine::new();
/// engine.append("a-1", b"one").await?;
/// assert_eq!(engine.append_expected("b-1", b"two", 0).await, Err(AppendError::WrongLast));
/// assert_eq!(engine.append_expected("b-1", b"two", 1).await?.sequence, 2);
///
/// let info = engine.info(1).await?;
/// assert_eq!((info.first, info.last.sequence, info.last.id.as_str()), (1, 2, "b-1"));
/// assert_eq!(info.id_at.as_deref(), Some("a-1"));
///
/// let mut reader = engine.read_from(2).await?;
/// let messages = reader.next().await?;
/// assert_eq!((messages[0].sequence, messages[0].body.as_slice()), (2, &b"two"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Engine: Send + Sync + 'static {
    /// Reads the stream from some message on.
    type Reader: Reader;

    /// Appends a message. A message with the id of an earlier one may be dropped, if the earlier
    /// one is still in the stream.
    fn append(
        &self,
        id: &str,
        body: &[u8],
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Appends a message if `expected_last` is the sequence number of the last one.
    fn append_expected(
        &self,
        id: &str,
        body: &[u8],
        expected_last: u64,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Returns the state of the stream, with the id of message `at` if it is not 0 and there is
    /// such a message.
    ///
    /// The answer must be that of the replica which decides about appends.
    fn info(&self, at: u64) -> impl Future<Output = Result<StreamInfo, EngineError>> + Send;

    /// Starts reading at message `first`.
    ///
    /// The reader must fail if the stream is restored or replaced: it must never deliver messages
    /// of two histories.
    fn read_from(
        &self,
        first: u64,
    ) -> impl Future<Output = Result<Self::Reader, EngineError>> + Send;
}

/// A channel between all nodes, beside the stream. Nothing is proven by it: it makes
/// acknowledgements by all nodes fast.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{Announcements, MemoryEngine};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let engine = MemoryEngine::new();
/// let other = engine.handle();
/// // It hears what is announced after it has begun to listen.
/// let (heard, ()) = tokio::join!(other.hear(), engine.announce(b"news".to_vec()));
/// assert_eq!(heard, b"news");
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Announcements: Send + Sync + 'static {
    /// Sends bytes to all nodes that listen now. They may be lost, and may arrive twice or late.
    fn announce(&self, bytes: Vec<u8>) -> impl Future<Output = ()> + Send;

    /// Waits for the next announcement of any node.
    fn hear(&self) -> impl Future<Output = Vec<u8>> + Send;
}

/// Delivers the messages of a stream.
pub trait Reader: Send + 'static {
    /// Waits for further messages. Fails at the latest a second after the engine was lost.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Delivered>, EngineError>> + Send;
}

/// A message that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number in the stream.
    pub sequence: u64,
}

/// A message that a reader delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its number in the stream.
    pub sequence: u64,
    /// The id with which it was appended.
    pub id: String,
    /// Its content.
    pub body: Vec<u8>,
}

/// One message of a stream: its number and its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamMessage {
    /// Its number in the stream; 0 for the place before the first message.
    pub sequence: u64,
    /// The id with which it was appended.
    pub id: String,
}

/// The state of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// When the stream was created, by the engine's clock. It is compared for equality only.
    pub created: i128,
    /// The first message that is still there, or the number of the next one if there is none.
    pub first: u64,
    /// The last message that was appended.
    pub last: StreamMessage,
    /// The id of the message that was asked for, if it is there.
    pub id_at: Option<String>,
}

/// Why an engine did not answer.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{AppendError, EngineError};
///
/// let error = AppendError::Unknown(EngineError::new("timed out"));
/// assert_eq!(error.to_string(), "message may not have been appended: timed out");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError(String);

/// Why a message was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// The last message is not the expected one. Nothing was appended.
    WrongLast,
    /// It is not known whether the message was appended.
    Unknown(EngineError),
}

impl EngineError {
    /// Creates an error with a text for people.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EngineError {}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLast => f.write_str("the last message of the stream is another one"),
            Self::Unknown(error) => write!(f, "message may not have been appended: {error}"),
        }
    }
}

impl std::error::Error for AppendError {}
