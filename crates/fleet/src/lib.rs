//! Carries the purges of a cache index to every node of a fleet.
#![forbid(unsafe_code)]

mod bytes;
mod engine;
mod gate;
mod machine;
mod message;
#[cfg(test)]
mod simulation;
mod time;

pub use engine::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, MemoryEngine,
    MemoryReader, Reader, StreamInfo, StreamMessage,
};
pub use gate::{Admission, WhenShut};
pub(crate) use machine::FlushReason;
pub use time::Moment;
