//! `Wake`: wakes up the thread that writes snapshots.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

#[derive(Debug, Default)]
struct Signal {
    is_ending: bool,
    /// The log has grown large, or has failed.
    is_wanted: bool,
}

/// The signal that the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    signal: Mutex<Signal>,
    changed: Condvar,
}

impl Wake {
    /// Asks for a snapshot.
    pub(crate) fn ask(&self) {
        let mut signal = self.signal.lock();
        if !signal.is_wanted {
            signal.is_wanted = true;
            self.changed.notify_one();
        }
    }

    /// Asks the thread to end.
    pub(crate) fn end(&self) {
        self.signal.lock().is_ending = true;
        self.changed.notify_one();
    }

    /// Waits until a snapshot is due. Returns false at the end.
    pub(crate) fn wait(&self, due: Option<Instant>) -> bool {
        let mut signal = self.signal.lock();
        loop {
            if signal.is_ending {
                return false;
            }
            if signal.is_wanted || due.is_some_and(|due| due <= Instant::now()) {
                // Before the snapshot: a failure of the log during it asks for another one.
                signal.is_wanted = false;
                return true;
            }
            match due {
                Some(due) => drop(self.changed.wait_until(&mut signal, due)),
                None => self.changed.wait(&mut signal),
            }
        }
    }

    /// Waits, whatever is asked for. Returns false at the end.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut signal = self.signal.lock();
        while !signal.is_ending && Instant::now() < until {
            self.changed.wait_until(&mut signal, until);
        }
        !signal.is_ending
    }
}
