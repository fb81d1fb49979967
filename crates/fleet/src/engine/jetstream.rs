//! `JetStream`: a stream of NATS JetStream.
//!
//! Invariants: a reader is a plain pull consumer in memory, on one server. It ends with the server,
//! so that it never delivers messages of a restored store behind those of the one before.
//!
//! The client's ready-made ordered consumer is not used. It makes itself anew without an error, and
//! skips the messages that a restored store does not have.

use super::types::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, Reader, StreamInfo,
    StreamMessage,
};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, Subscriber, header};
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;
use std::fmt;
use std::time::Duration;
use tokio::sync::Mutex;

/// A reader fails after two of these without a message.
const HEARTBEAT: Duration = Duration::from_millis(500);
const READ_AT_ONCE: usize = 500;
/// A consumer that nobody reads is removed.
const INACTIVE: Duration = Duration::from_secs(30);

/// The settings of the stream.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::JetStreamConfig;
///
/// use std::time::Duration;
///
/// let config = JetStreamConfig::new("nats://10.0.0.1:4222,nats://10.0.0.2:4222")
///     .stream("PICTURES", "pictures.purge")
///     .replicas(3)
///     .max_age(Duration::from_secs(24 * 3600))
///     .timeout(Duration::from_secs(1));
/// assert_eq!(config.stream_name(), "PICTURES");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct JetStreamConfig {
    urls: String,
    stream: String,
    subject: String,
    replicas: usize,
    max_age: Duration,
    max_messages: i64,
    timeout: Duration,
}

impl JetStreamConfig {
    /// Creates settings for the servers at `urls`, which are separated by commas. Defaults:
    /// - the stream `CACHE_PURGE` with the subject `cache.purge`, which is created if it is missing
    /// - 1 replica
    /// - messages are kept for 7 days, and at most 10 million
    /// - requests time out after 2 seconds
    pub fn new(urls: impl Into<String>) -> Self {
        Self {
            urls: urls.into(),
            stream: "CACHE_PURGE".to_owned(),
            subject: "cache.purge".to_owned(),
            replicas: 1,
            max_age: Duration::from_secs(7 * 24 * 3600),
            max_messages: 10_000_000,
            timeout: Duration::from_secs(2),
        }
    }

    /// Sets the names of the stream and of its only subject.
    pub fn stream(mut self, stream: impl Into<String>, subject: impl Into<String>) -> Self {
        (self.stream, self.subject) = (stream.into(), subject.into());
        self
    }

    /// Sets how many servers keep the stream, if it is created.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets how long messages are kept, if the stream is created. A node that was away for longer
    /// flushes everything.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how long a request may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the name of the stream.
    pub fn stream_name(&self) -> &str {
        &self.stream
    }

    fn stream_config(&self) -> Config {
        Config {
            name: self.stream.clone(),
            subjects: vec![self.subject.clone()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_age: self.max_age,
            max_messages: self.max_messages,
            duplicate_window: Duration::from_secs(120).min(self.max_age),
            deny_delete: true,
            deny_purge: true,
            allow_direct: true,
            ..Config::default()
        }
    }
}

/// A stream of NATS JetStream.
///
/// # Examples
///
/// ```no_run
/// use cache_index_fleet::{Fleet, FleetConfig, JetStream, JetStreamConfig};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Persistent::<u64>::open("/var/cache/index", PersistConfig::default())?;
/// let engine = JetStream::connect(JetStreamConfig::new("nats://127.0.0.1:4222")).await?;
/// let fleet = Fleet::join(cache, FleetConfig::builder("pop-fra-1").build()?, engine);
/// # drop(fleet);
/// # Ok(())
/// # }
/// ```
pub struct JetStream {
    client: async_nats::Client,
    context: jetstream::Context,
    config: JetStreamConfig,
    heard: Mutex<Subscriber>,
    announcements: String,
}

/// Reads a [`JetStream`].
pub struct JetStreamReader {
    messages: ReadyChunks<pull::Stream>,
    failed: bool,
}

fn failed(what: &str, error: impl fmt::Display) -> EngineError {
    EngineError::new(format!("{what}: {error}"))
}

impl JetStream {
    /// Connects to a server. If none can be reached, the connection is made later: the node starts
    /// with its gate shut.
    ///
    /// # Errors
    /// If the addresses cannot be read.
    pub async fn connect(config: JetStreamConfig) -> Result<Self, EngineError> {
        let pause = |attempts: usize| {
            let millis = 50 * u64::try_from(attempts).unwrap_or(u64::MAX).clamp(1, 20);
            Duration::from_millis(millis)
        };
        let options = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(pause)
            .connection_timeout(config.timeout)
            .request_timeout(Some(config.timeout))
            .ping_interval(Duration::from_secs(1));
        let client = options
            .connect(config.urls.split(',').map(str::trim).collect::<Vec<_>>())
            .await
            .map_err(|error| failed("addresses of the servers", error))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(config.timeout);
        let announcements = format!("{}.nodes", config.subject);
        let heard = client
            .subscribe(announcements.clone())
            .await
            .map_err(|error| failed("subscription", error))?;
        Ok(Self { client, context, config, heard: Mutex::new(heard), announcements })
    }

    /// Returns the stream. It is created if it is missing: the nodes notice that it is new.
    async fn stream(&self) -> Result<Stream, EngineError> {
        let found = self.context.get_stream(&self.config.stream).await;
        match found {
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause)
                    if cause.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    let created = self.context.create_stream(self.config.stream_config()).await;
                    created.map_err(|error| failed("creating the stream", error))
                }
                _ => Err(failed("state of the stream", error)),
            },
            Ok(stream) => Ok(stream),
        }
    }

    async fn publish(
        &self,
        id: &str,
        body: &[u8],
        expected_last: Option<u64>,
    ) -> Result<Appended, AppendError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, id);
        headers.insert(header::NATS_EXPECTED_STREAM, self.config.stream.as_str());
        if let Some(last) = expected_last {
            headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, last.to_string().as_str());
        }
        let (subject, body) = (self.config.subject.clone(), body.to_vec());
        let published =
            async { self.context.publish_with_headers(subject, headers, body.into()).await?.await };
        match published.await {
            Ok(ack) => Ok(Appended { sequence: ack.sequence }),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                Err(AppendError::WrongLast)
            }
            Err(error) => Err(AppendError::Unknown(failed("appending", error))),
        }
    }
}

/// Returns the id of a message, if it is still there. The leader answers.
async fn id_at(stream: &Stream, sequence: u64) -> Result<Option<String>, EngineError> {
    if sequence == 0 {
        return Ok(None);
    }
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(id_of(Some(&message.headers)))),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failed("message of the stream", error)),
    }
}

fn id_of(headers: Option<&HeaderMap>) -> String {
    let id = headers.and_then(|headers| headers.get(header::NATS_MESSAGE_ID));
    id.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

impl Engine for JetStream {
    type Reader = JetStreamReader;

    async fn append(&self, id: &str, body: &[u8]) -> Result<Appended, AppendError> {
        self.publish(id, body, None).await
    }

    async fn append_expected(
        &self,
        id: &str,
        body: &[u8],
        expected_last: u64,
    ) -> Result<Appended, AppendError> {
        self.publish(id, body, Some(expected_last)).await
    }

    async fn info(&self, at: u64) -> Result<StreamInfo, EngineError> {
        let stream = self.stream().await?;
        let info = stream.cached_info();
        let last = info.state.last_sequence;
        let last_id = id_at(&stream, last).await?;
        let id_at = if at == last { last_id.clone() } else { id_at(&stream, at).await? };
        Ok(StreamInfo {
            created: info.created.unix_timestamp_nanos(),
            first: info.state.first_sequence.max(1),
            last: StreamMessage { sequence: last, id: last_id.unwrap_or_default() },
            id_at,
        })
    }

    async fn read_from(&self, first: u64) -> Result<JetStreamReader, EngineError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first.max(1) },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let consumer = self
            .context
            .create_consumer_on_stream(config, &self.config.stream)
            .await
            .map_err(|error| failed("creating a consumer", error))?;
        let messages = consumer
            .stream()
            .heartbeat(HEARTBEAT)
            .expires(INACTIVE)
            .max_messages_per_batch(READ_AT_ONCE)
            .messages()
            .await
            .map_err(|error| failed("reading the stream", error))?;
        Ok(JetStreamReader { messages: messages.ready_chunks(READ_AT_ONCE), failed: false })
    }
}

impl Reader for JetStreamReader {
    async fn next(&mut self) -> Result<Vec<Delivered>, EngineError> {
        if self.failed {
            return Err(EngineError::new("reader has failed"));
        }
        let Some(arrived) = self.messages.next().await else {
            return Err(EngineError::new("consumer has ended"));
        };
        let mut delivered = Vec::with_capacity(arrived.len());
        for message in arrived {
            let message = match message {
                Ok(message) => message,
                Err(error) if delivered.is_empty() => return Err(failed("consumer", error)),
                Err(_) => {
                    self.failed = true;
                    break;
                }
            };
            let info = message.info().map_err(|error| failed("delivered message", error))?;
            let (sequence, id) = (info.stream_sequence, id_of(message.headers.as_ref()));
            delivered.push(Delivered { sequence, id, body: message.payload.to_vec() });
        }
        Ok(delivered)
    }
}

impl Announcements for JetStream {
    async fn announce(&self, bytes: Vec<u8>) {
        // Nothing is proven by it: the next one comes soon.
        let _ = self.client.publish(self.announcements.clone(), bytes.into()).await;
        let _ = self.client.flush().await;
    }

    async fn hear(&self) -> Vec<u8> {
        match self.heard.lock().await.next().await {
            Some(message) => message.payload.to_vec(),
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStream").field("config", &self.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for JetStreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamReader").finish_non_exhaustive()
    }
}
