//! `Logger`: the records of many calls, written to the log of this node together.
//!
//! Invariants: a call gets the durability of a write that contained its records. One thread writes
//! at a time, and takes everything that has arrived until then: a call costs a wake-up, and not a
//! thread.

use cache_index_persist::{Durability, Record};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Records that wait for a write.
#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Record>,
    calls: Vec<oneshot::Sender<Durability>>,
    /// A thread writes, and looks here again afterwards.
    is_writing: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Logger(Mutex<Waiting>);

impl Logger {
    /// Adds the records of a call. If the second result is true, the caller must let a thread call
    /// [`write_all`](Self::write_all).
    pub(crate) fn add(&self, records: Vec<Record>) -> (oneshot::Receiver<Durability>, bool) {
        let (call, durability) = oneshot::channel();
        let mut waiting = self.0.lock();
        waiting.records.extend(records);
        waiting.calls.push(call);
        (durability, !std::mem::replace(&mut waiting.is_writing, true))
    }

    /// Writes until nothing waits.
    pub(crate) fn write_all(&self, mut write: impl FnMut(&[Record]) -> Durability) {
        while let Some((records, calls)) = self.take() {
            let durability = write(&records);
            for call in calls {
                // The caller may have given up.
                let _ = call.send(durability.clone());
            }
        }
    }

    fn take(&self) -> Option<(Vec<Record>, Vec<oneshot::Sender<Durability>>)> {
        let mut waiting = self.0.lock();
        if waiting.calls.is_empty() {
            waiting.is_writing = false;
            return None;
        }
        Some((std::mem::take(&mut waiting.records), std::mem::take(&mut waiting.calls)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::Severity;
    use cache_index_persist::Scope;

    fn record(unix_millis: u64) -> Vec<Record> {
        let (by, outbox, severity, scope) = (None, None, Severity::Hard, Scope::All);
        vec![Record { unix_millis, by, outbox, severity, scope }]
    }

    #[test]
    fn calls_that_arrive_during_a_write_go_together_with_the_next_one() {
        let logger = Logger::default();
        let (mut first, must_write) = logger.add(record(1));
        assert!(must_write);
        let (mut later, mut written) = (Vec::new(), Vec::new());
        logger.write_all(|records| {
            written.push(records.iter().map(|record| record.unix_millis).collect::<Vec<_>>());
            if written.len() == 1 {
                assert!(first.try_recv().is_err(), "nobody is told before the write");
                for number in [2, 3] {
                    let (call, must_write) = logger.add(record(number));
                    assert!(!must_write, "one thread writes at a time");
                    later.push(call);
                }
            }
            Durability::Durable
        });
        assert_eq!(written, [vec![1], vec![2, 3]]);
        assert!(matches!(first.try_recv(), Ok(Durability::Durable)));
        for mut call in later {
            assert!(matches!(call.try_recv(), Ok(Durability::Durable)));
        }
        assert!(logger.add(record(4)).1, "the next call begins again");
    }
}
