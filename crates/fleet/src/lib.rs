//! Carries the purges of a cache index to every node of a fleet.
#![forbid(unsafe_code)]

mod bytes;
mod config;
mod driver;
mod engine;
mod fleet;
mod gate;
mod level;
mod logger;
mod machine;
mod message;
mod request;
#[cfg(test)]
mod simulation;
mod stats;
mod tier;
mod time;

pub use config::{FleetConfig, FleetConfigBuilder, FleetConfigError};
pub use engine::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, MemoryBackup,
    MemoryEngine, MemoryReader, Reader, StreamInfo, StreamMessage,
};
#[cfg(feature = "jetstream")]
pub use engine::{JetStream, JetStreamConfig, JetStreamReader};
pub use fleet::{Fleet, Watermark};
pub use gate::{Admission, WhenShut};
pub use level::{Durable, Everywhere, Invalidated, Level, Local, NotReached, Reach};
#[cfg(test)]
pub(crate) use machine::FlushReason;
pub use request::Requested;
pub use stats::{FleetStats, Latency};
pub use time::Moment;
