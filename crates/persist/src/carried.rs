//! `Carried`: data of another log that is kept with each snapshot.
//!
//! A fleet has a log of its own. It must know how far the entries of a snapshot have followed that
//! log, and which invalidations it still has to send. Both belong to the snapshot: a position that
//! is newer than the entries would hide invalidations from them.
//!
//! Invariants: the data is taken after the end of the log was marked and before the scan. An
//! invalidation in the outbox is in the snapshot, in the log behind it, or in both.

use crate::bytes::Reader;
use crate::record::Record;
use std::fmt;
use std::sync::Arc;

/// Data of another log, kept with each snapshot.
/// [`Persistent::carried`](crate::Persistent::carried) returns it.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{Carried, PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// cache.carry(|| Carried { position: b"message 17".to_vec(), outbox: Vec::new() });
/// cache.close()?;
/// drop(cache);
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert_eq!(cache.carried().position, b"message 17");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// How far the other log has been followed, in the caller's own encoding. Empty if nothing was
    /// carried.
    pub position: Vec<u8>,
    /// Invalidations with an [`OutboxId`](crate::OutboxId) that are still to be sent.
    pub outbox: Vec<Record>,
}

/// Where a snapshot takes its carried data from.
#[derive(Clone)]
pub(crate) enum Carrier {
    /// The data that was loaded, as nobody has taken over yet.
    Loaded(Carried),
    Source(Arc<dyn Fn() -> Carried + Send + Sync>),
}

impl Carrier {
    pub(crate) fn carried(&self) -> Carried {
        match self {
            Self::Loaded(carried) => carried.clone(),
            Self::Source(source) => source(),
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loaded(_) => "Loaded",
            Self::Source(_) => "Source",
        })
    }
}

impl Carried {
    /// Adds a record of the log if it has to be sent.
    pub(crate) fn add(&mut self, record: &Record) {
        if record.outbox.is_some() && self.outbox.iter().all(|sent| sent.outbox != record.outbox) {
            self.outbox.push(record.clone());
        }
    }

    /// Writes nothing if nothing is carried.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if *self == Self::default() {
            return out;
        }
        put_bytes(&mut out, &self.position);
        for record in &self.outbox {
            put_bytes(&mut out, &record.encode(usize::MAX));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut carried = Self::default();
        if bytes.is_empty() {
            return Some(carried);
        }
        let mut reader = Reader::new(bytes);
        carried.position = take_bytes(&mut reader)?.to_vec();
        while !reader.is_empty() {
            let record = Record::decode(take_bytes(&mut reader)?).ok()?;
            record.outbox?;
            carried.outbox.push(record);
        }
        Some(carried)
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("carried data is shorter than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(reader.number32()?).ok()?;
    reader.take(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{OutboxId, Scope};
    use cache_index::Severity;

    fn record(number: u64) -> Record {
        Record {
            unix_millis: 3,
            by: None,
            outbox: Some(OutboxId { incarnation: 1, number }),
            severity: Severity::Hard,
            scope: Scope::Tenant { tenant: "doc".to_owned() },
        }
    }

    #[test]
    fn carried_data_round_trips() {
        for carried in [
            Carried::default(),
            Carried { position: vec![1, 2, 3], outbox: Vec::new() },
            Carried { position: Vec::new(), outbox: vec![record(1), record(2)] },
        ] {
            assert_eq!(Carried::decode(&carried.encode()), Some(carried));
        }
    }

    #[test]
    fn truncated_carried_data_is_refused_or_shorter() {
        let carried = Carried { position: vec![7; 9], outbox: vec![record(1), record(2)] };
        let bytes = carried.encode();
        for len in 1..bytes.len() {
            assert_ne!(Carried::decode(&bytes[..len]).as_ref(), Some(&carried));
        }
    }

    #[test]
    fn a_record_is_carried_once() {
        let mut carried = Carried::default();
        for number in [1, 2, 1] {
            carried.add(&record(number));
        }
        carried.add(&Record { outbox: None, ..record(3) });
        assert_eq!(carried.outbox, [record(1), record(2)]);
    }
}
