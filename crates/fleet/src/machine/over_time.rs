//! `OverTimes`: when a flush over time of a message begins on this node.
//!
//! Invariants: a flush over time begins once, although its message may be in the stream twice. A
//! message that was in the stream before this node followed it may have been applied by an earlier
//! process, and it is not known how much of the duration has passed: it is a flush at once, so that
//! nothing that was dead comes back.

use cache_index_persist::{OutboxId, Record, Scope};
use std::collections::VecDeque;

/// Flushes that are remembered. An older one that comes again begins again, which costs fetches.
const REMEMBERED: usize = 64;

/// The flushes over time that have begun here, each by the session of its author and its number.
#[derive(Debug, Default)]
pub(super) struct OverTimes(VecDeque<(u64, OutboxId)>);

impl OverTimes {
    /// Returns the record to be applied: the same one, or a flush at once, or none if the flush has
    /// begun here before.
    pub(super) fn take(
        &mut self,
        (session, id): (u64, OutboxId),
        is_caught_up: bool,
        record: Record,
    ) -> Option<Record> {
        if !matches!(record.scope, Scope::AllOver { .. } | Scope::TenantOver { .. }) {
            return Some(record);
        }
        // An author whose disk was lost counts from the beginning again, in another session.
        if self.0.contains(&(session, id)) {
            return None;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((session, id));
        Some(if is_caught_up { record } else { record.at_once() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::{OverTime, Severity};
    use std::time::Duration;

    fn record(scope: Scope) -> Record {
        Record { unix_millis: 0, by: None, outbox: None, severity: Severity::Hard, scope }
    }

    fn id(number: u64) -> OutboxId {
        OutboxId { incarnation: 1, number }
    }

    #[test]
    fn a_flush_over_time_begins_once_and_at_once_if_it_may_have_begun_before() {
        let over = record(Scope::AllOver { over: OverTime::new(Duration::from_secs(60)) });
        let all = record(Scope::All);
        let mut times = OverTimes::default();
        assert_eq!(times.take((7, id(1)), true, over.clone()), Some(over.clone()));
        assert_eq!(times.take((7, id(1)), true, over.clone()), None);
        assert_eq!(times.take((7, id(1)), false, over.clone()), None);
        assert_eq!(times.take((8, id(1)), true, over.clone()), Some(over.clone()));
        assert_eq!(times.take((7, id(2)), false, over.clone()), Some(all.clone()));
        assert_eq!(times.take((7, id(2)), true, over), None);
        // Others are applied as often as they come.
        assert_eq!(times.take((7, id(1)), true, all.clone()), Some(all));
    }

    #[test]
    fn memory_of_flushes_is_bounded() {
        let over = record(Scope::AllOver { over: OverTime::new(Duration::from_secs(60)) });
        let mut times = OverTimes::default();
        for number in 0..1000 {
            assert!(times.take((7, id(number)), true, over.clone()).is_some());
        }
        assert_eq!(times.0.len(), REMEMBERED);
    }
}
