//! `History`: the invalidations of a customer, for later requests.
//!
//! Invariant: bounded in number and in bytes; the oldest go first. Customers have one each, so none
//! can push out another's.

use super::receipt::Record;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// How many are remembered.
const MOST_RECORDS: usize = 1000;

/// The maximum size of the history.
const MOST_BYTES: usize = 8 << 20;

/// The latest invalidations of a customer.
#[derive(Default)]
pub(crate) struct History(Mutex<Records>);

#[derive(Default)]
struct Records {
    by_uuid: HashMap<Uuid, Arc<Record>>,
    oldest_first: VecDeque<Uuid>,
    bytes: usize,
}

impl History {
    pub(crate) fn remember(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        let mut records = self.0.lock();
        records.bytes += record.weight();
        records.oldest_first.push_back(record.uuid);
        records.by_uuid.insert(record.uuid, Arc::clone(&record));
        let mut gone = Vec::new();
        while records.oldest_first.len() > MOST_RECORDS || records.bytes > MOST_BYTES {
            let Some(uuid) = records.oldest_first.pop_front() else { break };
            if let Some(oldest) = records.by_uuid.remove(&uuid) {
                records.bytes -= oldest.weight();
                gone.push(oldest);
            }
        }
        drop(records);
        record
    }

    pub(crate) fn find(&self, uuid: Uuid) -> Option<Arc<Record>> {
        self.0.lock().by_uuid.get(&uuid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::receipt::Summary;
    use cache_index::invalidation::InvalidationRequest;
    use cache_index::{CacheIndex, Severity};

    fn record(length: usize) -> Record {
        let index = CacheIndex::<()>::default();
        let request = InvalidationRequest::all(Severity::Hard);
        let receipt = index.apply(&index.tenant("doc"), &request);
        Record::new(Some(vec!["x".repeat(length)]), Summary::of(&receipt, &request))
    }

    #[test]
    fn the_latest_are_found_and_the_oldest_are_forgotten() {
        let history = History::default();
        let uuids: Vec<_> =
            (0..MOST_RECORDS + 10).map(|_| history.remember(record(1)).uuid).collect();
        let found = uuids.iter().filter(|uuid| history.find(**uuid).is_some()).count();
        assert_eq!(found, MOST_RECORDS);
        assert!(history.find(uuids[0]).is_none() && history.find(uuids[10]).is_some());
        assert!(history.find(Uuid::new_v4()).is_none());
    }

    #[test]
    fn large_ones_push_out_more() {
        let history = History::default();
        let first = history.remember(record(1)).uuid;
        for _ in 0..9 {
            history.remember(record(MOST_BYTES / 8));
        }
        assert!(history.find(first).is_none());
        assert!(history.0.lock().bytes <= MOST_BYTES);
    }
}
