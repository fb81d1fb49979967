//! The engine of the simulation: a stream, its readers, and the purges in its history.

use crate::engine::{AppendError, Appended, MemoryStream};
use crate::message::{Kind, Message};
use std::collections::BTreeMap;

/// A reader at the side of the engine.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub(super) site: usize,
    pub(super) boot: u64,
    pub(super) attempt: u64,
    pub(super) next: u64,
    /// Messages of one reader arrive in order, not before this time.
    pub(super) not_before: u64,
}

/// A stream with everything that was ever in it.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) stream: MemoryStream,
    /// The purges in each message, also in those that are no longer kept.
    pub(super) purges: BTreeMap<u64, Vec<usize>>,
}

#[derive(Debug)]
pub(super) struct EngineModel {
    pub(super) now: History,
    pub(super) is_up: bool,
    pub(super) tails: Vec<Tail>,
    pub(super) backups: Vec<History>,
    pub(super) ticks: u64,
    created: i128,
}

fn new_history(created: i128) -> History {
    History { stream: MemoryStream::new(created), purges: BTreeMap::new() }
}

impl EngineModel {
    pub(super) fn new() -> Self {
        let (now, tails, backups) = (new_history(1), Vec::new(), Vec::new());
        Self { now, is_up: true, tails, backups, ticks: 0, created: 1 }
    }

    /// Appends a message. Returns it if it is new.
    pub(super) fn append(
        &mut self,
        id: &str,
        body: &[u8],
        expected: Option<u64>,
    ) -> (Result<Appended, AppendError>, Option<(u64, Message)>) {
        let last = self.now.stream.last();
        let result = self.now.stream.append(id, body, expected);
        let is_new = self.now.stream.last() > last;
        let message = Message::decode(body).ok().filter(|_| is_new);
        self.ticks += u64::from(message.as_ref().is_some_and(|new| new.kind == Kind::Tick));
        (result, message.map(|message| (last + 1, message)))
    }

    pub(super) fn wipe(&mut self) {
        self.created += 1;
        self.now = new_history(self.created);
    }

    pub(super) fn back_up(&mut self) {
        self.backups.push(self.now.clone());
    }

    pub(super) fn restore(&mut self, random: &mut fastrand::Rng) {
        if !self.backups.is_empty() {
            let at = random.usize(..self.backups.len());
            self.now = self.backups[at].clone();
        }
    }

    /// Takes away the last messages, as a server does that had not synced them.
    pub(super) fn lose(&mut self, count: u64) {
        let last = self.now.stream.last().saturating_sub(count);
        self.now.stream.truncate(last);
        self.now.purges.retain(|sequence, _| *sequence <= last);
    }
}
