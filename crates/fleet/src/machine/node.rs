//! `Node`: follower, outbox, members and gate as one state machine.
//!
//! Invariants: effects are executed in order. The position never passes a message whose effects
//! come later in the queue. Everything that this node invalidates is in the outbox before it is
//! applied here.

use super::follower::{FlushReason, FollowCounts, Follower, Request};
use super::members::{Announcement, Members};
use super::outbox::{AppendResult, Outbox, Outgoing, Reached, message_id};
use super::over_time::OverTimes;
use super::position::Position;
use crate::engine::{Delivered, StreamInfo};
use crate::gate::Gate;
use crate::message::{Author, Echo, Kind, Message, Unreadable};
use crate::time::Moment;
use cache_index::Severity;
use cache_index_persist::{Carried, Record, Scope};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Announcements that answer a message are at least this far apart.
const ANSWER_PAUSE: Duration = Duration::from_millis(10);
/// A flush for a loss is forced after so many attempts at the end of the stream.
const LOSS_ATTEMPTS: u32 = 3;

/// Own ticks that are remembered until they are delivered.
const MAX_SINGLES: usize = 16;

/// The settings of a node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) author: Author,
    pub(crate) incarnation: u64,
    /// No node of the fleet has a longer period.
    pub(crate) longest: Duration,
    pub(crate) outbox_limit: usize,
}

/// How far an invalidation must get before a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Local,
    Durable,
    Everywhere,
}

/// A job of the driver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Info {
        attempt: u64,
        at: u64,
    },
    Open {
        attempt: u64,
        first: u64,
    },
    Close,
    Append {
        ticket: u64,
        id: String,
        body: Vec<u8>,
        expected: Option<u64>,
    },
    Announce(Vec<u8>),
    /// The index is about to be changed up to this message.
    Begin(u64),
    Apply(Vec<Record>),
    Flush(FlushReason),
    /// The index has been changed up to this message.
    Applied(u64),
    /// A call has got where it wanted to.
    Done {
        call: u64,
    },
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) applied: u64,
    pub(crate) invalidations: u64,
    pub(crate) damaged: u64,
    pub(crate) unknown_version: u64,
    pub(crate) losses: u64,
    pub(crate) proofs: u64,
    pub(crate) ticks: u64,
    pub(crate) ticks_lost: u64,
    pub(crate) bad_announcements: u64,
    pub(crate) follow: FollowCounts,
    pub(crate) resent: u64,
    pub(crate) collapsed: u64,
}

/// The state of a node, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) sequence: u64,
    pub(crate) target: u64,
    pub(crate) is_caught_up: bool,
    pub(crate) outbox: usize,
    pub(crate) members: usize,
    pub(crate) namesakes: usize,
}

#[derive(Debug)]
struct Call {
    level: Level,
    /// Invalidations that the engine has not acknowledged.
    not_durable: usize,
    /// Invalidations that some node may not have applied.
    not_everywhere: usize,
}

/// A message that is not a batch and is under way.
#[derive(Debug)]
struct Single {
    ticket: u64,
    id: String,
    sent: Moment,
}

#[derive(Debug)]
pub(crate) struct Node {
    settings: Settings,
    gate: Arc<Gate>,
    follower: Follower,
    outbox: Outbox,
    members: Members,
    over_times: OverTimes,
    effects: VecDeque<Effect>,
    calls: BTreeMap<u64, Call>,
    next_call: u64,
    /// Own ticks that the reader has not delivered yet, with the time at which each was sent.
    singles: VecDeque<Single>,
    /// The ticket of a tick without an answer, and whether it is for a loss.
    single_in_flight: Option<(u64, bool)>,
    loss_attempts: u32,
    last_proof: Moment,
    /// When a message with echoes was applied last.
    last_echo: Moment,
    next_tick: Moment,
    last_announced: Moment,
    next_announcement: Moment,
    has_left: bool,
    pub(crate) counts: Counts,
}

impl Node {
    /// Creates a node that continues where an earlier process has ended. The first effects apply
    /// the outbox of that process.
    pub(crate) fn new(now: Moment, settings: Settings, gate: Arc<Gate>, carried: Carried) -> Self {
        let position = Position::decode(&carried.position);
        let mut members = Members::new(settings.author.session, settings.longest);
        members.on_reset(now, position.as_ref().map_or(0, |position| position.created));
        // An invalidation of the outbox may not have been applied before the snapshot was written.
        let left = carried.outbox.iter().cloned().map(Record::at_once).collect();
        let left = Effect::Apply(left);
        let outbox = Outbox::new(settings.incarnation, settings.outbox_limit, carried.outbox);
        let mut node = Self {
            settings,
            gate,
            follower: Follower::new(position),
            outbox,
            members,
            over_times: OverTimes::default(),
            effects: VecDeque::from([left]),
            calls: BTreeMap::new(),
            next_call: 1,
            singles: VecDeque::new(),
            single_in_flight: None,
            loss_attempts: 0,
            last_proof: Moment::default(),
            last_echo: now,
            next_tick: now,
            last_announced: Moment::default(),
            next_announcement: now,
            has_left: false,
            counts: Counts::default(),
        };
        let requests = node.follower.restart(now);
        node.push(now, requests);
        node
    }

    pub(crate) fn pop(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns the data to be kept with a snapshot that is about to be written.
    pub(crate) fn carried(&self) -> Carried {
        let position = self.follower.position.as_ref().map(Position::encode).unwrap_or_default();
        Carried { position, outbox: self.outbox.records().cloned().collect() }
    }

    pub(crate) fn outcome(&self, now: Moment) -> Outcome {
        Outcome {
            sequence: self.follower.sequence(),
            target: self.follower.target(),
            is_caught_up: self.follower.is_caught_up(),
            outbox: self.outbox.len(),
            members: self.members.count(now),
            namesakes: self.members.namesakes(&self.settings.author),
        }
    }

    /// Returns the creation of the stream, and the last message that was applied.
    pub(crate) fn position(&self) -> Option<(i128, u64)> {
        let position = self.follower.position.as_ref()?;
        Some((position.created, position.last.sequence))
    }

    /// Returns the id of a message that was applied here, if it is known.
    pub(crate) fn id_of(&self, sequence: u64) -> Option<&str> {
        let last = &self.follower.position.as_ref()?.last;
        if last.sequence == sequence { Some(&last.id) } else { self.members.id_of(sequence) }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            follow: self.follower.counts,
            resent: self.outbox.resent,
            collapsed: self.outbox.collapsed,
            ..self.counts
        }
    }

    /// Returns when [`on_time`](Self::on_time) must be called next, if nothing else happens.
    pub(crate) fn wakes_at(&self) -> Moment {
        let mut at = self.next_announcement;
        if let Some(wake) = self.follower.wakes_at() {
            at = at.min(wake);
        }
        // Nothing is sent before this node has caught up.
        if self.follower.is_caught_up() {
            at = self.outbox.wakes_at().map_or(at, |wake| at.min(wake));
            if self.single_in_flight.is_none() && !self.has_left {
                at = at.min(self.tick_due());
            }
        }
        at
    }

    /// Takes invalidations that are about to be applied here, and numbers their records. The caller
    /// applies them, and then calls [`release`](Self::release).
    pub(crate) fn accept(&mut self, records: &mut [Record], level: Level) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        let wants_all = level == Level::Everywhere;
        for record in records.iter_mut() {
            self.outbox.accept(record, call, wants_all);
        }
        if level > Level::Local {
            let (not_durable, not_everywhere) = (records.len(), records.len());
            self.calls.insert(call, Call { level, not_durable, not_everywhere });
        }
        call
    }

    /// Forgets a call whose caller does not wait any longer, and returns the level that it has
    /// reached. `None`: the level that it wanted.
    pub(crate) fn give_up(&mut self, call: u64) -> Option<Level> {
        let call = self.calls.remove(&call)?;
        Some(if call.not_durable == 0 { Level::Durable } else { Level::Local })
    }

    pub(crate) fn release(&mut self, now: Moment, records: &[Record]) {
        records.iter().filter_map(|record| record.outbox).for_each(|id| self.outbox.release(id));
        self.send(now);
    }

    pub(crate) fn on_info(&mut self, now: Moment, attempt: u64, info: Option<&StreamInfo>) {
        let was_following = self.follower.is_following();
        let requests = self.follower.on_info(now, attempt, info);
        self.push(now, requests);
        if self.follower.is_following() && !was_following {
            let end = info.map_or(0, |info| info.last.sequence);
            self.outbox.resend_missing(now, self.follower.sequence(), end);
            self.members.on_reader(now);
            // The others can prove its freshness only if they hear it.
            self.next_announcement = now;
            self.advance(now);
        }
    }

    pub(crate) fn on_opened(&mut self, now: Moment, attempt: u64, is_open: bool) {
        let requests = self.follower.on_opened(now, attempt, is_open);
        self.push(now, requests);
    }

    pub(crate) fn on_reader_failed(&mut self, now: Moment, attempt: u64) {
        let requests = self.follower.on_reader_failed(now, attempt);
        self.push(now, requests);
    }

    pub(crate) fn on_messages(&mut self, now: Moment, attempt: u64, messages: Vec<Delivered>) {
        self.follower.on_messages(attempt, messages);
        self.advance(now);
    }

    pub(crate) fn on_appended(&mut self, now: Moment, ticket: u64, result: AppendResult) {
        if let Some((_, is_loss)) = self.single_in_flight.filter(|single| single.0 == ticket) {
            self.single_in_flight = None;
            if result.sequence().is_none() {
                self.counts.ticks_lost += u64::from(!is_loss);
                self.loss_attempts += u32::from(is_loss);
                self.singles.retain(|single| single.ticket != ticket);
            }
        } else {
            let reached = self.outbox.on_appended(now, ticket, result.sequence());
            self.reached(Level::Durable, reached);
        }
        self.send(now);
    }

    pub(crate) fn on_announcement(&mut self, now: Moment, bytes: &[u8]) {
        match Announcement::decode(bytes) {
            Some(announcement) => self.members.on_announcement(now, announcement),
            None => self.counts.bad_announcements += 1,
        }
        self.check_watched(now);
    }

    pub(crate) fn on_time(&mut self, now: Moment) {
        let requests = self.follower.on_time(now);
        self.push(now, requests);
        if now >= self.next_announcement {
            self.announce(now);
            self.members.forget(now);
        }
        self.check_watched(now);
        self.send(now);
    }

    /// Serves as fresh no more, and tells the others.
    pub(crate) fn leave(&mut self, now: Moment) {
        self.has_left = true;
        self.gate.shut();
        self.announce(now);
    }

    /// Returns the announcement that this node has left, to be sent again.
    pub(crate) fn farewell(&mut self, now: Moment) -> Option<Vec<u8>> {
        self.announcement(now)
    }

    fn push(&mut self, now: Moment, requests: Vec<Request>) {
        for request in requests {
            let effect = match request {
                Request::Info { attempt, at } => Effect::Info { attempt, at },
                Request::Open { attempt, first } => Effect::Open { attempt, first },
                Request::Close => Effect::Close,
                Request::Flush(reason) => {
                    self.flush(now, reason);
                    continue;
                }
            };
            self.effects.push_back(effect);
        }
    }

    fn flush(&mut self, now: Moment, reason: FlushReason) {
        let sequence = self.follower.sequence();
        let flush = [Effect::Begin(sequence), Effect::Flush(reason), Effect::Applied(sequence)];
        self.effects.extend(flush);
        let created = self.follower.position.as_ref().map_or(0, |position| position.created);
        self.members.on_reset(now, created);
        self.singles.clear();
        self.single_in_flight = None;
        self.outbox.resend_all();
    }

    /// Applies what has arrived in sequence.
    fn advance(&mut self, now: Moment) {
        loop {
            match self.follower.next(now) {
                Some(Ok(message)) => self.apply(now, &message),
                Some(Err(requests)) => self.push(now, requests),
                None => break,
            }
        }
        self.outbox.resend_missing(now, self.follower.sequence(), u64::MAX);
        self.check_watched(now);
        self.send(now);
    }

    fn apply(&mut self, now: Moment, delivered: &Delivered) {
        let own = self.outbox.on_seen(now, &delivered.id, delivered.sequence);
        let is_own_batch = own.is_some();
        let mut proof = None;
        if let Some((sent, reached)) = own {
            proof = Some(sent);
            self.reached(Level::Durable, reached);
        }
        if let Some(at) = self.singles.iter().position(|single| single.id == delivered.id) {
            proof = self.singles.remove(at).map(|single| single.sent);
        }
        let message = Message::decode(&delivered.body);
        self.effects.push_back(Effect::Begin(delivered.sequence));
        let records = match &message {
            Ok(_) if is_own_batch => Vec::new(),
            Ok(message) => self.records(message),
            Err(unreadable) => {
                match unreadable {
                    Unreadable::Damaged => self.counts.damaged += 1,
                    Unreadable::Version(_) => self.counts.unknown_version += 1,
                }
                vec![record(Severity::Hard, Scope::All)]
            }
        };
        self.counts.applied += 1;
        self.counts.invalidations += records.len() as u64;
        if !records.is_empty() {
            self.effects.push_back(Effect::Apply(records));
        }
        self.effects.push_back(Effect::Applied(delivered.sequence));
        self.follower.advance(delivered);
        self.members.on_applied(delivered.sequence, &delivered.id);
        if let Ok(message) = &message {
            proof = self.take_proofs(now, message).max(proof);
        }
        if let Some(proof) = proof {
            self.prove(proof);
        }
    }

    fn prove(&mut self, at: Moment) {
        self.counts.proofs += 1;
        self.last_proof = self.last_proof.max(at);
        if !self.has_left {
            self.gate.prove(at, self.settings.author.period);
        }
    }

    /// Notes the proofs in a message, and returns this node's own.
    fn take_proofs(&mut self, now: Moment, message: &Message) -> Option<Moment> {
        self.members.on_proof(now, message.author.session, message.author.period);
        let carries_echoes = message.kind != Kind::Batch || !message.echoes.is_empty();
        if carries_echoes {
            self.last_echo = now;
        }
        if message.wants_answer && message.author.session != self.settings.author.session {
            self.next_announcement =
                self.next_announcement.min(self.last_announced.plus(ANSWER_PAUSE)).max(now);
        }
        let own = message.echoes.iter().filter_map(|echo| self.members.on_echo(now, echo));
        own.max()
    }

    /// Returns the invalidations of a message that must be applied here.
    fn records(&mut self, message: &Message) -> Vec<Record> {
        if message.kind == Kind::Loss {
            self.counts.losses += 1;
            self.loss_attempts = 0;
            if let Some(position) = &mut self.follower.position {
                position.owes_loss = false;
            }
            return vec![record(Severity::Hard, Scope::All)];
        }
        let is_ours = message.author.name == self.settings.author.name;
        let mut records = Vec::new();
        for at in &message.invalidations {
            // The outbox of an earlier process was applied when this one began.
            let is_loaded =
                is_ours && self.outbox.take_loaded(message.id(at), at.severity, &at.scope);
            if !is_loaded {
                let id = (message.author.session, message.id(at));
                let record = record(at.severity, at.scope.clone());
                records.extend(self.over_times.take(id, self.follower.is_caught_up(), record));
            }
        }
        records
    }

    fn reached(&mut self, level: Level, reached: Reached) {
        for id in reached {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            let left = match level {
                Level::Everywhere => &mut call.not_everywhere,
                Level::Local | Level::Durable => &mut call.not_durable,
            };
            *left = left.saturating_sub(1);
            if *left == 0 && level >= call.level {
                self.calls.remove(&id);
                self.effects.push_back(Effect::Done { call: id });
            }
        }
    }

    /// Answers the calls whose messages all nodes have applied.
    fn check_watched(&mut self, now: Moment) {
        if !self.follower.is_following() {
            return;
        }
        for watched in self.outbox.watched() {
            let (sequence, acknowledged) = (watched.sequence, watched.acknowledged);
            if self.members.everywhere(now, sequence, acknowledged, self.last_proof) {
                let reached = self.outbox.everywhere(watched.ticket);
                self.reached(Level::Everywhere, reached);
            }
        }
    }

    fn tick_due(&self) -> Moment {
        let period = self.settings.author.period;
        // Each node waits a little longer than another one, so that one of them mostly ticks.
        let extra = (self.settings.author.session % 16) as u32;
        let for_all = self.last_echo.plus(period / 4 + period / 256 * extra);
        // Or the others do not hear this one.
        let for_itself = self.last_proof.plus(period / 4 * 3);
        self.next_tick.max(for_all.min(for_itself))
    }

    /// Appends what is due.
    fn send(&mut self, now: Moment) {
        if !self.follower.is_caught_up() || self.has_left && self.outbox.len() == 0 {
            return;
        }
        let (members, last_echo) = (&self.members, self.last_echo);
        let author = &self.settings.author;
        let echoes = || {
            let is_due = now.since(last_echo) >= author.period / 8;
            if is_due { members.echoes(now) } else { Vec::new() }
        };
        if let Some(outgoing) = self.outbox.next(now, author, echoes) {
            self.append(outgoing, None);
        }
        let owes_loss = self.follower.position.as_ref().is_some_and(|position| position.owes_loss);
        let is_due = if owes_loss { now >= self.next_tick } else { now >= self.tick_due() };
        if is_due && self.single_in_flight.is_none() && !self.has_left {
            self.tick(now, owes_loss);
        }
    }

    /// Appends a message without invalidations. It proves that nothing was missing, as it is
    /// accepted only at the end of the stream that this node knows.
    fn tick(&mut self, now: Moment, is_loss: bool) {
        let author = self.settings.author.clone();
        let ticket = self.outbox.ticket();
        let id = message_id(&author, self.settings.incarnation, ticket);
        let echoes: Vec<Echo> = self.members.echoes(now);
        let kind = if is_loss { Kind::Loss } else { Kind::Tick };
        let message = Message {
            kind,
            wants_answer: false,
            author,
            echoes,
            incarnation: self.settings.incarnation,
            invalidations: Vec::new(),
        };
        self.counts.ticks += u64::from(!is_loss);
        let pause = self.settings.author.period / 16;
        self.next_tick = now.plus(if is_loss { pause / 4 } else { pause });
        // Those that were appended and lost are never delivered.
        self.singles.truncate(MAX_SINGLES);
        self.single_in_flight = Some((ticket, is_loss));
        self.singles.push_front(Single { ticket, id: id.clone(), sent: now });
        let is_forced = is_loss && self.loss_attempts >= LOSS_ATTEMPTS;
        let expected = (!is_forced).then(|| self.follower.sequence());
        self.append(Outgoing { ticket, id, body: message.encode() }, expected);
    }

    fn append(&mut self, outgoing: Outgoing, expected: Option<u64>) {
        let Outgoing { ticket, id, body } = outgoing;
        self.effects.push_back(Effect::Append { ticket, id, body, expected });
    }

    fn announce(&mut self, now: Moment) {
        self.last_announced = now;
        self.next_announcement = now.plus(self.settings.author.period / 4);
        if let Some(announcement) = self.announcement(now) {
            self.effects.push_back(Effect::Announce(announcement));
        }
    }

    fn announcement(&mut self, now: Moment) -> Option<Vec<u8>> {
        let position = self.follower.position.as_ref()?;
        let author = self.settings.author.clone();
        Some(self.members.announce(now, author, position, self.has_left).encode())
    }
}

/// Returns the record of an invalidation that another log keeps.
fn record(severity: Severity, scope: Scope) -> Record {
    Record { unix_millis: 0, by: None, outbox: None, severity, scope }
}
