//! The lock of a shard: look-ups don't queue behind a writer that waits, unless it has waited for long.
//!
//! Invariant: `impatient` counts the writers that have waited for [`PATIENCE`] and still wait.
//!
//! With parking_lot's lock as it is, readers wait as soon as a writer does. If that writer waits for a look-up whose thread was taken off its
//! processor, then so does each look-up of the shard, for the milliseconds until that thread runs again. Here they join the readers that are
//! inside. A purge that look-ups without a gap would keep out for ever gets its turn after `PATIENCE`, as new readers stop then.
//!
//! Eight threads on two processors, mixed operations on a million paths: 3 to 9 instead of 35 microseconds at p99.9, by
//! `cargo run --release -p peers -- --only mixed`; DESIGN.md has the peers' figures, and those of another processor.

use super::primitives::{AtomicU64, Ordering, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// A thousand times what a look-up takes, and little beside what a purge is asked for over a network. Ten times as long made no difference that
/// could be measured.
const PATIENCE: Duration = Duration::from_millis(1);

// In this order: with the content in between, each lookup would read one more line of memory.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct ShardLock<T> {
    // Relaxed: says who should wait for whom. Who may is the lock's business.
    impatient: AtomicU64,
    lock: RwLock<T>,
}

impl<T> ShardLock<T> {
    #[inline]
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        if self.impatient.load(Ordering::Relaxed) == 0 {
            self.lock.read_recursive()
        } else {
            self.lock.read()
        }
    }

    #[inline]
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.write_within(PATIENCE)
    }

    #[inline]
    fn write_within(&self, patience: Duration) -> RwLockWriteGuard<'_, T> {
        self.lock.try_write_for(patience).unwrap_or_else(|| self.insist())
    }

    #[cold]
    fn insist(&self) -> RwLockWriteGuard<'_, T> {
        self.impatient.fetch_add(1, Ordering::Relaxed);
        let guard = self.lock.write();
        self.impatient.fetch_sub(1, Ordering::Relaxed);
        guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// Another thread waits to write 1, and it is known to wait, while `then` runs. A reader is inside until `then` gives it back.
    fn while_a_writer_waits<'a>(
        lock: &'a ShardLock<u8>,
        patience: Duration,
        then: impl FnOnce(RwLockReadGuard<'a, u8>),
    ) {
        thread::scope(|scope| {
            let inside = lock.read();
            scope.spawn(move || *lock.write_within(patience) = 1);
            // Who waits to write stops everybody else who would.
            while lock.lock.try_read().is_some()
                || (patience.is_zero() && lock.impatient.load(Ordering::Relaxed) == 0)
            {
                thread::yield_now();
            }
            then(inside);
        });
        assert_eq!((*lock.read(), lock.impatient.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn reader_passes_a_writer_that_waits() {
        let lock = ShardLock::default();
        while_a_writer_waits(&lock, Duration::from_secs(600), |inside| {
            // On a thread of its own, so that a lock that lets nobody pass fails the test instead of hanging it.
            let (sender, receiver) = mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(|| sender.send(*lock.read()));
                let read = receiver.recv_timeout(Duration::from_secs(20));
                drop(inside);
                assert_eq!(read, Ok(0), "read before it was written");
            });
        });
    }

    #[test]
    fn reader_waits_for_a_writer_that_has_waited_for_long() {
        let lock = ShardLock::default();
        while_a_writer_waits(&lock, Duration::ZERO, |inside| {
            let (sender, receiver) = mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(|| sender.send(None).and_then(|()| sender.send(Some(*lock.read()))));
                assert_eq!(receiver.recv(), Ok(None), "it starts");
                // A lock that lets it pass does so now.
                let passed = (0..10_000).find_map(|_| {
                    thread::yield_now();
                    receiver.try_recv().ok()
                });
                drop(inside);
                assert_eq!(
                    passed.map_or_else(|| receiver.recv(), Ok),
                    Ok(Some(1)),
                    "written first"
                );
            });
        });
    }
}
