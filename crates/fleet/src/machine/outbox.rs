//! `Outbox`: own invalidations from their acceptance until the stream has them.
//!
//! Invariants: an invalidation leaves the outbox only when a verified reader has delivered it in
//! sequence, and every call that waits for it has an answer. A message whose answer is missing is
//! sent again with the same id and the same content, so that the engine can drop a repetition. A
//! message that the stream has lost is sent again under a new id: the engine might still know the
//! old one.

use crate::message::{
    Author, Echo, Invalidation, Kind, MAX_BYTES, MAX_INVALIDATIONS, Message, scope_len,
};
use crate::time::Moment;
use cache_index::Severity;
use cache_index_persist::{OutboxId, Record, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a message waits that could not be appended.
const PAUSE: Duration = Duration::from_millis(100);
/// A message that was acknowledged and not delivered for so long was lost.
const DELIVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is being applied here.
    Accepted,
    /// It is applied here and waits for a message.
    Ready,
    /// It is part of this message.
    Batched(u64),
}

#[derive(Clone, Debug)]
struct Item {
    record: Record,
    state: State,
    /// The calls that wait for it.
    calls: Vec<Waiter>,
    wants_all: bool,
}

/// A call that waits for an invalidation.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    call: u64,
    /// It has been told that the engine has acknowledged the invalidation.
    knows_durable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting(Moment),
    InFlight,
    /// The engine has acknowledged it under this number. The reader has not delivered it.
    Acknowledged(u64),
    /// The reader has delivered it, and somebody waits until all nodes have applied it.
    Seen,
}

#[derive(Clone, Debug)]
struct Batch {
    id: String,
    body: Vec<u8>,
    items: Vec<OutboxId>,
    wants_all: bool,
    first_sent: Moment,
    progress: Progress,
    /// Its number in the stream, and when it was known.
    appended: Option<(u64, Moment)>,
}

/// A message to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) ticket: u64,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// The answer of the engine to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendResult {
    Appended(u64),
    /// It was not appended, as others were.
    WrongLast,
    Unknown,
}

impl AppendResult {
    pub(super) fn sequence(self) -> Option<u64> {
        match self {
            Self::Appended(sequence) => Some(sequence),
            Self::WrongLast | Self::Unknown => None,
        }
    }
}

/// A message that somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) ticket: u64,
    pub(crate) sequence: u64,
    pub(crate) acknowledged: Moment,
}

/// A call that has got an invalidation through.
pub(crate) type Reached = Vec<u64>;

#[derive(Debug)]
pub(crate) struct Outbox {
    incarnation: u64,
    next_number: u64,
    next_ticket: u64,
    items: BTreeMap<OutboxId, Item>,
    /// Those that wait for a message.
    ready: BTreeSet<OutboxId>,
    batches: BTreeMap<u64, Batch>,
    limit: usize,
    pub(crate) resent: u64,
    pub(crate) collapsed: u64,
}

impl Outbox {
    /// Continues with the records that an earlier process has left.
    pub(crate) fn new(incarnation: u64, limit: usize, loaded: Vec<Record>) -> Self {
        let item = |record: Record| {
            let (state, calls) = (State::Ready, Vec::new());
            let id = record.outbox?;
            Some((id, Item { record, state, calls, wants_all: false }))
        };
        let items: BTreeMap<_, _> = loaded.into_iter().filter_map(item).collect();
        Self {
            incarnation,
            next_number: 1,
            next_ticket: 1,
            ready: items.keys().copied().collect(),
            items,
            batches: BTreeMap::new(),
            limit,
            resent: 0,
            collapsed: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.items.values().map(|item| &item.record)
    }

    /// Takes an invalidation that is about to be applied here, and numbers its record.
    pub(crate) fn accept(&mut self, record: &mut Record, call: u64, wants_all: bool) {
        let id = OutboxId { incarnation: self.incarnation, number: self.next_number };
        self.next_number += 1;
        record.outbox = Some(id);
        let calls = vec![Waiter { call, knows_durable: false }];
        let (record, state) = (record.clone(), State::Accepted);
        self.items.insert(id, Item { record, state, calls, wants_all });
    }

    /// Lets an invalidation be sent, as it is applied here.
    pub(crate) fn release(&mut self, id: OutboxId) {
        let accepted = self.items.get_mut(&id).filter(|item| item.state == State::Accepted);
        if let Some(item) = accepted {
            item.state = State::Ready;
            self.ready.insert(id);
        }
        if self.items.len() > self.limit {
            self.collapse();
        }
    }

    /// Replaces everything that waits by one flush of everything: memory is bounded, and too much
    /// is better than too little.
    fn collapse(&mut self) {
        if self.ready.len() < 2 {
            return;
        }
        let ready = std::mem::take(&mut self.ready);
        let waiting: Vec<Item> = ready.iter().filter_map(|id| self.items.remove(id)).collect();
        self.collapsed += 1;
        let mut record = waiting[0].record.clone();
        (record.severity, record.scope) = (Severity::Hard, Scope::All);
        let wants_all = waiting.iter().any(|item| item.wants_all);
        self.accept(&mut record, 0, wants_all);
        let Some(id) = record.outbox else { return };
        if let Some(item) = self.items.get_mut(&id) {
            item.state = State::Ready;
            item.calls = waiting.into_iter().flat_map(|item| item.calls).collect();
        }
        self.ready.insert(id);
    }

    /// Returns the place behind all invalidations that were accepted until now.
    pub(crate) fn end(&self) -> (OutboxId, u64) {
        let id = OutboxId { incarnation: self.incarnation, number: self.next_number };
        (id, self.collapsed)
    }

    /// Returns whether the reader has delivered all invalidations before `end`. `None` if that
    /// cannot be known any more: some were replaced by a flush.
    pub(crate) fn is_delivered(&self, end: (OutboxId, u64)) -> Option<bool> {
        let is_seen = |ticket| {
            self.batches.get(&ticket).is_some_and(|batch| batch.progress == Progress::Seen)
        };
        let mut items = self.items.range(..end.0);
        let is_delivered = |item: &Item| matches!(item.state, State::Batched(at) if is_seen(at));
        (end.1 == self.collapsed).then(|| items.all(|(_, item)| is_delivered(item)))
    }

    /// Whether a new message would be sent now.
    pub(crate) fn wants_to_send(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns when [`next`](Self::next) has something to send again.
    pub(crate) fn wakes_at(&self) -> Option<Moment> {
        if self.batches.values().any(|batch| batch.progress == Progress::InFlight) {
            return None;
        }
        let waiting = self.batches.values().filter_map(|batch| match batch.progress {
            Progress::Waiting(until) => Some(until),
            _ => None,
        });
        waiting.min()
    }

    /// Returns the message to append now. One is under way at a time: all that waits goes with the
    /// next one.
    pub(crate) fn next(
        &mut self,
        now: Moment,
        author: &Author,
        echoes: impl FnOnce() -> Vec<Echo>,
    ) -> Option<Outgoing> {
        let mut batches = self.batches.iter_mut();
        if batches.any(|(_, batch)| batch.progress == Progress::InFlight) {
            return None;
        }
        let is_due = |batch: &Batch| matches!(batch.progress, Progress::Waiting(at) if at <= now);
        let due = self.batches.iter_mut().find(|(_, batch)| is_due(batch));
        if let Some((&ticket, batch)) = due {
            batch.progress = Progress::InFlight;
            self.resent += 1;
            return Some(Outgoing { ticket, id: batch.id.clone(), body: batch.body.clone() });
        }
        self.wants_to_send().then(|| self.make(now, author, echoes()))
    }

    fn make(&mut self, now: Moment, author: &Author, echoes: Vec<Echo>) -> Outgoing {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (mut invalidations, mut items, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (mut incarnation, mut wants_all) = (None, false);
        for &id in &self.ready {
            let Some(item) = self.items.get_mut(&id) else { continue };
            bytes += scope_len(&item.record.scope);
            let is_full = items.len() == MAX_INVALIDATIONS || bytes > MAX_BYTES;
            if *incarnation.get_or_insert(id.incarnation) != id.incarnation
                || is_full && !items.is_empty()
            {
                break;
            }
            let scope = if bytes > MAX_BYTES { Scope::All } else { item.record.scope.clone() };
            let severity = item.record.severity;
            invalidations.push(Invalidation { number: id.number, severity, scope });
            items.push(id);
            item.state = State::Batched(ticket);
            wants_all |= item.wants_all;
        }
        for id in &items {
            self.ready.remove(id);
        }
        let message = Message {
            kind: Kind::Batch,
            wants_answer: wants_all,
            author: author.clone(),
            echoes,
            incarnation: incarnation.unwrap_or(self.incarnation),
            invalidations,
        };
        let (id, body) = (message_id(author, self.incarnation, ticket), message.encode());
        let outgoing = Outgoing { ticket, id: id.clone(), body: body.clone() };
        let (progress, appended) = (Progress::InFlight, None);
        let batch = Batch { id, body, items, wants_all, first_sent: now, progress, appended };
        self.batches.insert(ticket, batch);
        outgoing
    }

    /// Returns a number for a message that is not a batch.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket - 1
    }

    /// Notes the answer of the engine. Returns the calls for which an invalidation is durable now.
    pub(crate) fn on_appended(
        &mut self,
        now: Moment,
        ticket: u64,
        sequence: Option<u64>,
    ) -> Reached {
        let Some(batch) = self.batches.get_mut(&ticket) else { return Vec::new() };
        if batch.progress != Progress::InFlight {
            return Vec::new();
        }
        let Some(sequence) = sequence else {
            batch.progress = Progress::Waiting(now.plus(PAUSE));
            return Vec::new();
        };
        batch.progress = Progress::Acknowledged(sequence);
        batch.appended = Some((sequence, now));
        self.durable(ticket)
    }

    fn durable(&mut self, ticket: u64) -> Reached {
        let Some(batch) = self.batches.get(&ticket) else { return Vec::new() };
        let mut reached = Vec::new();
        for id in &batch.items {
            let Some(item) = self.items.get_mut(id) else { continue };
            for waiter in item.calls.iter_mut().filter(|waiter| !waiter.knows_durable) {
                waiter.knows_durable = true;
                reached.push(waiter.call);
            }
        }
        reached
    }

    /// Notes that the reader has delivered a message. If it is one of this session, returns when it
    /// was first sent, and the calls for which an invalidation is durable now.
    pub(crate) fn on_seen(
        &mut self,
        now: Moment,
        id: &str,
        sequence: u64,
    ) -> Option<(Moment, Reached)> {
        let (&ticket, batch) = self.batches.iter_mut().find(|(_, batch)| batch.id == id)?;
        let first_sent = batch.first_sent;
        let at = batch.appended.filter(|appended| appended.0 == sequence).map_or(now, |at| at.1);
        batch.appended = Some((sequence, at));
        batch.progress = Progress::Seen;
        let wants_all = batch.wants_all;
        let reached = self.durable(ticket);
        if !wants_all {
            self.remove(ticket);
        }
        Some((first_sent, reached))
    }

    /// Returns whether an earlier process of this node has left the invalidation, and takes it out.
    pub(crate) fn take_loaded(&mut self, id: OutboxId, severity: Severity, scope: &Scope) -> bool {
        let is_same = self.items.get(&id).is_some_and(|item| {
            id.incarnation != self.incarnation
                && item.record.severity == severity
                && item.record.scope == *scope
                && item.state == State::Ready
        });
        if is_same {
            self.items.remove(&id);
            self.ready.remove(&id);
        }
        is_same
    }

    /// Returns the messages that somebody waits for and that the reader has delivered.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let seen = self.batches.iter().filter(|(_, batch)| batch.progress == Progress::Seen);
        seen.filter_map(|(&ticket, batch)| {
            let (sequence, acknowledged) = batch.appended?;
            Some(Watched { ticket, sequence, acknowledged })
        })
        .collect()
    }

    /// Notes that all nodes have applied a message. Returns the calls that have waited.
    pub(crate) fn everywhere(&mut self, ticket: u64) -> Reached {
        let Some(batch) = self.batches.get(&ticket) else { return Vec::new() };
        let items = batch.items.iter().filter_map(|id| self.items.get(id));
        let waiters = items.filter(|item| item.wants_all).flat_map(|item| &item.calls);
        let reached = waiters.map(|waiter| waiter.call).collect();
        self.remove(ticket);
        reached
    }

    fn remove(&mut self, ticket: u64) {
        if let Some(batch) = self.batches.remove(&ticket) {
            batch.items.iter().for_each(|id| drop(self.items.remove(id)));
        }
    }

    /// Sends again each acknowledged message that is not in the stream: its number was passed, is
    /// beyond the end, or was not delivered for long.
    pub(crate) fn resend_missing(&mut self, now: Moment, delivered: u64, end: u64) {
        self.resend(|batch| match (batch.progress, batch.appended) {
            (Progress::Acknowledged(sequence), Some((_, at))) => {
                sequence <= delivered || sequence > end || now.since(at) >= DELIVERY
            }
            _ => false,
        });
    }

    /// Sends everything again: this node has lost its place in the stream, or the stream its
    /// messages.
    pub(crate) fn resend_all(&mut self) {
        self.resend(|batch| batch.progress != Progress::InFlight);
    }

    fn resend(&mut self, is_lost: impl Fn(&Batch) -> bool) {
        let lost = self.batches.iter().filter(|(_, batch)| is_lost(batch));
        let lost: Vec<u64> = lost.map(|(&ticket, _)| ticket).collect();
        for batch in lost.iter().filter_map(|ticket| self.batches.remove(ticket)) {
            self.resent += 1;
            for id in batch.items {
                if let Some(item) = self.items.get_mut(&id) {
                    item.state = State::Ready;
                    self.ready.insert(id);
                }
            }
        }
    }
}

/// No other message ever has this id: the session is random.
pub(crate) fn message_id(author: &Author, incarnation: u64, ticket: u64) -> String {
    format!("{}-{incarnation}-{:016x}-{ticket}", author.name, author.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: u64 = 7;

    /// Sends what waits, and returns the calls for which an invalidation is durable then.
    fn send(outbox: &mut Outbox, sequence: u64) -> Reached {
        let author =
            Author { session: 1, period: Duration::from_secs(5), name: "node-1".to_owned() };
        let now = Moment::from_nanos(sequence);
        let outgoing = outbox.next(now, &author, Vec::new).expect("something waits");
        outbox.on_appended(now, outgoing.ticket, Some(sequence))
    }

    /// One of three invalidations was durable before the stream lost it, and a flush replaced it
    /// together with a second one. It counts once.
    #[test]
    fn a_call_is_told_once_for_each_invalidation_also_after_a_loss_and_a_collapse() {
        let mut outbox = Outbox::new(1, 2, Vec::new());
        let ids = [(); 3].map(|()| {
            let mut record = Record {
                unix_millis: 0,
                by: None,
                outbox: None,
                severity: Severity::Hard,
                scope: Scope::All,
            };
            outbox.accept(&mut record, CALL, false);
            record.outbox.expect("it has a number")
        });
        outbox.release(ids[0]);
        assert_eq!(send(&mut outbox, 1), [CALL]);
        outbox.resend_all();
        outbox.release(ids[1]);
        assert_eq!((outbox.collapsed, outbox.len()), (1, 2));
        assert_eq!(send(&mut outbox, 2), [CALL], "only the second one is news");
        outbox.release(ids[2]);
        assert_eq!(send(&mut outbox, 3), [CALL]);
    }
}
