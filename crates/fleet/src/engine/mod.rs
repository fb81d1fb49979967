//! The log that carries a fleet's invalidations, behind a trait of four methods.
//!
//! An engine keeps a *stream*: messages with sequence numbers 1, 2, 3, ... without gaps. It may
//! lose, duplicate or restore anything: the nodes check.

#[cfg(feature = "jetstream")]
mod jetstream;
mod memory;
mod types;

#[cfg(feature = "jetstream")]
pub use jetstream::{JetStream, JetStreamConfig, JetStreamReader};
#[cfg(test)]
pub(crate) use memory::MemoryStream;
pub use memory::{MemoryBackup, MemoryEngine, MemoryReader};
pub use types::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, Reader, StreamInfo,
    StreamMessage,
};
