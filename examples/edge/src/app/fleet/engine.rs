//! `Wire`: the log of the fleet. In tests it can be in memory.

#[cfg(test)]
use crate::app::stall::Stall;
use cache_index_fleet::{
    Announcements, AppendError, Appended, Delivered, Engine, EngineError, JetStream,
    JetStreamReader, Reader, StreamInfo,
};
#[cfg(test)]
use cache_index_fleet::{MemoryEngine, MemoryReader};

/// The log of the fleet.
pub(crate) enum Wire {
    Nats(Box<JetStream>),
    #[cfg(test)]
    #[allow(dead_code, reason = "the command is compiled with tests too, and has none")]
    Memory(MemoryEngine, Stall),
}

/// Reads the log.
pub(crate) enum WireReader {
    Nats(Box<JetStreamReader>),
    #[cfg(test)]
    Memory(MemoryReader, Stall),
}

/// Calls the same method of either log.
macro_rules! either {
    ($wire:expr, $inner:ident => $call:expr) => {
        match $wire {
            Wire::Nats($inner) => $call,
            #[cfg(test)]
            Wire::Memory($inner, _) => $call,
        }
    };
}

impl Engine for Wire {
    type Reader = WireReader;

    async fn append(&self, id: &str, body: &[u8]) -> Result<Appended, AppendError> {
        either!(self, engine => engine.append(id, body).await)
    }

    async fn append_expected(
        &self,
        id: &str,
        body: &[u8],
        expected_last: u64,
    ) -> Result<Appended, AppendError> {
        either!(self, engine => engine.append_expected(id, body, expected_last).await)
    }

    async fn info(&self, at: u64) -> Result<StreamInfo, EngineError> {
        either!(self, engine => engine.info(at).await)
    }

    async fn read_from(&self, first: u64) -> Result<WireReader, EngineError> {
        match self {
            Self::Nats(engine) => {
                engine.read_from(first).await.map(|reader| WireReader::Nats(Box::new(reader)))
            }
            #[cfg(test)]
            Self::Memory(engine, stall) => {
                let reader = engine.read_from(first).await?;
                Ok(WireReader::Memory(reader, stall.clone()))
            }
        }
    }
}

impl Announcements for Wire {
    async fn announce(&self, bytes: Vec<u8>) {
        either!(self, engine => engine.announce(bytes).await);
    }

    async fn hear(&self) -> Vec<u8> {
        either!(self, engine => engine.hear().await)
    }
}

impl Reader for WireReader {
    async fn next(&mut self) -> Result<Vec<Delivered>, EngineError> {
        match self {
            Self::Nats(reader) => reader.next().await,
            #[cfg(test)]
            Self::Memory(reader, stall) => {
                let messages = reader.next().await?;
                stall.passed().await;
                Ok(messages)
            }
        }
    }
}
