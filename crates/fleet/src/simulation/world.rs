//! The event loop: nodes, engine, network and customers.

use super::engine::EngineModel;
use super::oracle::{Oracle, Purge};
use super::plan::{MILLI, Plan, SECOND};
use super::site::{Site, path_name};
use crate::engine::{Delivered, StreamInfo};
use crate::machine::{AppendResult, Effect, Level, Node};
use crate::time::Moment;
use crate::{Admission, FlushReason};
use cache_index::Severity;
use cache_index_persist::{Record, Scope};
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fmt;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A request to the engine.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Info { attempt: u64, at: u64 },
    Open { attempt: u64, first: u64 },
    Append { ticket: u64, id: String, body: Vec<u8>, expected: Option<u64> },
}

/// An answer of the engine; `None` if it did not come.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Info { attempt: u64, info: Option<StreamInfo> },
    Opened { attempt: u64, is_open: bool },
    Appended { ticket: u64, result: AppendResult },
    Messages { attempt: u64, messages: Vec<Delivered> },
    ReaderFailed { attempt: u64 },
    Heard(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Something happens at a node, if it is still the same process.
    At {
        site: usize,
        boot: u64,
        what: Local,
    },
    Ask {
        site: usize,
        boot: u64,
        ask: Ask,
    },
    Restart(usize),
    EngineUp,
    NodeFault,
    EngineFault,
    Purge,
    Lookup,
    Heal,
}

#[derive(Clone, Debug)]
pub(super) enum Local {
    Wake,
    Answer(Answer),
    Logged { purge: usize, record: Record },
    FillRead(u64),
    FillDone(u64),
    SnapshotRead,
    Lookup(usize),
}

#[derive(Debug)]
struct Scheduled {
    time: u64,
    tie: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.tie) == (other.time, other.tie)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.time, other.tie).cmp(&(self.time, self.tie))
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) seeds: u64,
    pub(super) violations: Vec<String>,
    pub(super) served: u64,
    pub(super) shut: u64,
    pub(super) purges: u64,
    pub(super) everywhere: u64,
    pub(super) early: u64,
    pub(super) flushes: BTreeMap<String, u64>,
    pub(super) losses: u64,
    pub(super) resent: u64,
    pub(super) gaps: u64,
    pub(super) old: u64,
    pub(super) ticks_appended: u64,
    pub(super) quarters: u64,
}

impl Report {
    pub(super) fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.violations.extend(other.violations);
        self.served += other.served;
        self.shut += other.shut;
        self.purges += other.purges;
        self.everywhere += other.everywhere;
        self.early += other.early;
        for (reason, count) in other.flushes {
            *self.flushes.entry(reason).or_default() += count;
        }
        self.losses += other.losses;
        self.resent += other.resent;
        self.gaps += other.gaps;
        self.old += other.old;
        self.ticks_appended += other.ticks_appended;
        self.quarters += other.quarters;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds: {} lookups served as fresh, {} while the gate was shut, {} purges, \
             {} acknowledged everywhere ({} before the period was over), flushes {:?}, \
             {} flushes for a loss, {} sent again, {} gaps, {} old messages, violations: {}",
            self.seeds,
            self.served,
            self.shut,
            self.purges,
            self.everywhere,
            self.early,
            self.flushes,
            self.losses,
            self.resent,
            self.gaps,
            self.old,
            self.violations.len(),
        )
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: fastrand::Rng,
    pub(super) now: u64,
    tie: u64,
    queue: BinaryHeap<Scheduled>,
    pub(super) engine: EngineModel,
    pub(super) sites: Vec<Site>,
    origin: Vec<u64>,
    pub(super) oracle: Oracle,
    pub(super) report: Report,
    next_fill: u64,
    pub(super) is_healed: bool,
}

/// Lets a node take an answer of the engine.
fn take_answer(node: &mut Node, moment: Moment, answer: Answer) {
    match answer {
        Answer::Info { attempt, info } => {
            node.on_info(moment, attempt, info.as_ref());
        }
        Answer::Opened { attempt, is_open } => {
            node.on_opened(moment, attempt, is_open);
        }
        Answer::Appended { ticket, result } => {
            node.on_appended(moment, ticket, result);
        }
        Answer::Messages { attempt, messages } => {
            node.on_messages(moment, attempt, messages);
        }
        Answer::ReaderFailed { attempt } => node.on_reader_failed(moment, attempt),
        Answer::Heard(bytes) => node.on_announcement(moment, &bytes),
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let sites = (0..plan.sites).map(|_| Site::new(&mut random)).collect();
        Self {
            origin: vec![1; plan.paths],
            random,
            now: 0,
            tie: 0,
            queue: BinaryHeap::new(),
            engine: EngineModel::new(),
            sites,
            oracle: Oracle::default(),
            report: Report::default(),
            next_fill: 0,
            is_healed: false,
            plan,
        }
    }

    pub(super) fn run(mut self) -> Report {
        for site in 0..self.sites.len() {
            let at = self.random.u64(..SECOND / 2);
            self.after(at, Event::Restart(site));
        }
        self.after(10 * MILLI, Event::Lookup);
        let firsts = [
            (self.plan.purges, Event::Purge),
            (self.plan.node_faults, Event::NodeFault),
            (self.plan.engine_faults, Event::EngineFault),
        ];
        for (mean, event) in firsts {
            if mean > 0 {
                self.after(mean, event);
            }
        }
        self.after(self.plan.faulty, Event::Heal);
        let end = self.plan.faulty + self.plan.healed;
        while let Some(next) = self.queue.pop().filter(|next| next.time <= end) {
            self.now = next.time;
            self.handle(next.event);
        }
        self.now = end;
        self.finish()
    }

    fn finish(mut self) -> Report {
        self.check_healed();
        let period = u64::try_from(self.plan.period.as_nanos()).expect("seconds");
        let mut report = self.report;
        for process in self.sites.iter().filter_map(|site| site.process.as_ref()) {
            let counts = process.node.counts();
            report.losses += counts.losses;
            report.resent += counts.resent;
            report.gaps += counts.follow.gaps;
            report.old += counts.follow.old;
        }
        report.seeds = 1;
        report.purges = self.oracle.purges.len() as u64;
        report.ticks_appended = self.engine.ticks;
        report.quarters = self.now * 4 / period;
        report.violations = self.oracle.violations;
        report
    }

    pub(super) fn after(&mut self, delay: u64, event: Event) {
        self.tie += 1;
        self.queue.push(Scheduled { time: self.now + delay, tie: self.tie, event });
    }

    /// Returns a random time around a mean.
    pub(super) fn around(&mut self, mean: u64) -> u64 {
        self.random.u64(mean / 4..=mean * 7 / 4)
    }

    pub(super) fn delay(&mut self) -> u64 {
        match self.random.u8(..) {
            // Now and then the network is slow.
            0..4 if !self.is_healed => self.random.u64(200 * MILLI..3 * SECOND),
            4..20 => self.random.u64(5 * MILLI..60 * MILLI),
            _ => self.random.u64(MILLI / 5..5 * MILLI),
        }
    }

    fn at(&mut self, delay: u64, site: usize, what: Local) {
        let boot = self.sites[site].boot;
        self.after(delay, Event::At { site, boot, what });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::At { site, boot, what } => {
                let until = self.sites[site].frozen_until;
                if self.sites[site].boot != boot || self.sites[site].process.is_none() {
                } else if until > self.now {
                    self.after(until - self.now, Event::At { site, boot, what });
                } else {
                    self.local(site, what);
                }
            }
            Event::Ask { site, boot, ask } => self.ask(site, boot, &ask),
            Event::Restart(site) => self.restart(site),
            Event::EngineUp => {
                self.engine.is_up = true;
            }
            Event::NodeFault => self.node_fault(),
            Event::EngineFault => self.engine_fault(),
            Event::Purge => self.purge(),
            Event::Lookup => {
                let (site, path) =
                    (self.random.usize(..self.sites.len()), self.random.usize(..self.plan.paths));
                self.at(0, site, Local::Lookup(path));
                let next = self.around(self.plan.lookups / self.sites.len().min(20) as u64);
                self.after(next, Event::Lookup);
            }
            Event::Heal => self.heal(),
        }
    }

    pub(super) fn restart(&mut self, site: usize) {
        if self.sites[site].process.is_some() {
            return;
        }
        let session = self.random.u64(..);
        let (now, period) = (self.now, self.plan.period);
        self.sites[site].start(now, site, period, session);
        self.effects(site);
    }

    fn local(&mut self, site: usize, what: Local) {
        let moment = self.sites[site].moment(self.now);
        let Some(process) = &mut self.sites[site].process else { return };
        match what {
            Local::Wake => {
                if process.wake > self.now {
                    return;
                }
                process.wake = u64::MAX;
                process.node.on_time(moment);
            }
            Local::Answer(answer) => take_answer(&mut process.node, moment, answer),
            Local::Logged { purge, record } => {
                self.sites[site].disk.log.push(record);
                let purge = &mut self.oracle.purges[purge];
                purge.is_local = true;
                purge.is_done |= purge.level == Level::Local;
            }
            Local::FillRead(id) => {
                if let Some(fill) = process.fills.get_mut(&id) {
                    fill.version = Some(self.origin[fill.path]);
                }
            }
            Local::FillDone(id) => {
                if let Some(fill) = process.fills.remove(&id) {
                    let version = fill.version.unwrap_or(self.origin[fill.path]);
                    process.store(fill.path, version);
                }
            }
            Local::SnapshotRead => self.sites[site].end_snapshot(),
            Local::Lookup(path) => self.look_up(site, path),
        }
        self.effects(site);
    }

    fn look_up(&mut self, site: usize, path: usize) {
        let (moment, boot) = (self.sites[site].moment(self.now), self.sites[site].boot);
        let Some(process) = &mut self.sites[site].process else { return };
        let admission = process.gate.admission(moment);
        self.report.shut += u64::from(admission != Admission::Serve);
        match process.entry(path) {
            Some(entry) if !entry.is_stale => {
                if admission == Admission::Serve {
                    self.report.served += 1;
                    self.oracle.served(self.now, site, boot, path, entry.version);
                }
            }
            _ => {
                let id = self.next_fill;
                self.next_fill += 1;
                process.fills.insert(id, super::site::Fill { path, version: None });
                let (read, done) = (self.random.u64(..40 * MILLI), self.random.u64(..80 * MILLI));
                self.at(read, site, Local::FillRead(id));
                self.at(read + done, site, Local::FillDone(id));
            }
        }
    }

    /// Returns random paths, and the scope that covers them.
    fn scope(&mut self) -> (std::ops::Range<usize>, Scope) {
        let is_all = self.random.u8(..32) == 0;
        let path = self.random.usize(..self.plan.paths);
        let paths = if is_all { 0..self.plan.paths } else { path..path + 1 };
        let tenant = || "doc".to_owned();
        let scope = match (is_all, self.random.bool()) {
            // The index of the simulation has no paths that die later: a flush over time ends at
            // once.
            (true, true) if path & 1 == 0 => Scope::AllOver { over: MINUTE.into() },
            (true, true) => Scope::All,
            (true, false) if path & 1 == 0 => {
                Scope::TenantOver { tenant: tenant(), over: MINUTE.into() }
            }
            (true, false) => Scope::Tenant { tenant: tenant() },
            (false, _) => Scope::Path { tenant: tenant(), path: path_name(path) },
        };
        (paths, scope)
    }

    /// A customer changes pictures and then purges them.
    fn purge(&mut self) {
        if self.is_healed {
            return;
        }
        let next = self.around(self.plan.purges);
        self.after(next, Event::Purge);
        let site = self.random.usize(..self.sites.len());
        if self.sites[site].frozen_until > self.now {
            return;
        }
        let (paths, scope) = self.scope();
        let level = [Level::Local, Level::Durable, Level::Everywhere][self.random.usize(..3)];
        let is_soft = self.random.u8(..4) == 0;
        let is_over_time = matches!(scope, Scope::AllOver { .. } | Scope::TenantOver { .. });
        let severity = if is_soft && !is_over_time { Severity::Soft } else { Severity::Hard };
        let moment = self.sites[site].moment(self.now);
        let Some(process) = &mut self.sites[site].process else { return };
        let floors: Vec<_> = paths
            .map(|path| {
                self.origin[path] += 1;
                (path, self.origin[path])
            })
            .collect();
        let mut records = [Record { unix_millis: 0, by: None, outbox: None, severity, scope }];
        let call = process.node.accept(&mut records, level);
        process.apply(&records[0]);
        process.node.release(moment, &records);
        let boot = self.sites[site].boot;
        let purge = Purge::new(floors, (site, boot), self.now, level, records[0].outbox);
        let purge = self.oracle.add(purge);
        if let Some(process) = &mut self.sites[site].process {
            process.calls.insert(call, purge);
        }
        let [record] = records;
        let delay = self.random.u64(MILLI..8 * MILLI);
        self.at(delay, site, Local::Logged { purge, record });
        self.effects(site);
    }

    /// Executes the effects of a node.
    pub(super) fn effects(&mut self, site: usize) {
        loop {
            let Some(process) = &mut self.sites[site].process else { return };
            let Some(effect) = process.node.pop() else { break };
            match effect {
                Effect::Info { attempt, at } => self.request(site, Ask::Info { attempt, at }),
                Effect::Open { attempt, first } => self.request(site, Ask::Open { attempt, first }),
                Effect::Close => self.engine.tails.retain(|tail| tail.site != site),
                Effect::Append { ticket, id, body, expected } => {
                    self.request(site, Ask::Append { ticket, id, body, expected });
                }
                Effect::Announce(bytes) => self.announce(site, &bytes),
                Effect::Begin(sequence) => process.begin(sequence),
                Effect::Apply(records) => {
                    for record in &records {
                        process.apply(record);
                    }
                    self.check_order(site);
                }
                Effect::Flush(reason) => {
                    process.flush();
                    self.check_order(site);
                    self.note_flush(reason);
                }
                Effect::Applied(sequence) => self.applied(site, sequence),
                Effect::Done { call } => self.done(site, call),
            }
        }
        self.schedule_wake(site);
    }

    /// The index must not be touched before that was announced.
    fn check_order(&mut self, site: usize) {
        let Some(process) = &mut self.sites[site].process else { return };
        if process.has_begun && process.begun.is_none() {
            self.oracle.violation(format!("node {site} touches the index before it has begun"));
        }
    }

    /// No message must be applied twice: that would kill what is newer.
    fn applied(&mut self, site: usize, sequence: u64) {
        let Some(process) = &mut self.sites[site].process else { return };
        let has_flushed = std::mem::take(&mut process.has_flushed);
        if process.begun.take() != Some(sequence) || sequence <= process.applied && !has_flushed {
            let last = process.applied;
            self.oracle.violation(format!("node {site} applies {sequence} behind {last}"));
        }
        if let Some(process) = &mut self.sites[site].process {
            process.applied = sequence;
        }
    }

    fn note_flush(&mut self, reason: FlushReason) {
        *self.report.flushes.entry(format!("{reason:?}")).or_default() += 1;
    }

    fn schedule_wake(&mut self, site: usize) {
        let (now, boot) = (self.now, self.sites[site].boot);
        let Some(process) = &self.sites[site].process else { return };
        let wake = self.sites[site].time(process.node.wakes_at()).max(now + MILLI / 10);
        let Some(process) = &mut self.sites[site].process else { return };
        if wake < process.wake {
            process.wake = wake;
            self.after(wake - now, Event::At { site, boot, what: Local::Wake });
        }
    }

    fn announce(&mut self, from: usize, bytes: &[u8]) {
        for site in 0..self.sites.len() {
            let is_cut = self.sites[from].cut_out > self.now || self.sites[site].cut_in > self.now;
            let is_lost = !self.is_healed && self.random.u8(..20) == 0;
            if site != from && self.engine.is_up && !is_cut && !is_lost {
                let delay = self.delay();
                self.at(delay, site, Local::Answer(Answer::Heard(bytes.to_vec())));
            }
        }
    }

    /// Answers a call, and checks that the answer is true.
    fn done(&mut self, site: usize, call: u64) {
        let Some(process) = &mut self.sites[site].process else { return };
        let has_collapsed = process.node.counts().collapsed > 0;
        let Some(index) = process.calls.remove(&call) else { return };
        let purge = &mut self.oracle.purges[index];
        purge.is_done = true;
        if !purge.was_in_stream && !has_collapsed {
            let text = format!("{}: purge {index} acknowledged before appended", self.now);
            self.oracle.violation(text);
            return;
        }
        if purge.level != Level::Everywhere || !purge.is_in_stream {
            return;
        }
        self.report.everywhere += 1;
        let from = purge.holds_from.unwrap_or(u64::MAX);
        self.report.early += u64::from(from > self.now);
        purge.holds_from = Some(from.min(self.now));
        for site in 0..self.sites.len() {
            let moment = self.sites[site].moment(self.now);
            let boot = self.sites[site].boot;
            let Some(process) = &self.sites[site].process else { continue };
            if process.gate.admission(moment) != Admission::Serve {
                continue;
            }
            for path in 0..self.plan.paths {
                let Some(entry) = process.entry(path).filter(|entry| !entry.is_stale) else {
                    continue;
                };
                self.oracle.served(self.now, site, boot, path, entry.version);
            }
        }
    }

    /// Lets the oracle know which purges are still in the stream.
    pub(super) fn note_restored(&mut self) {
        let present: HashSet<usize> = self.engine.now.purges.values().flatten().copied().collect();
        self.oracle.restored(&present);
        for &purge in &present {
            self.oracle.appended(purge, self.now, &self.plan);
        }
    }

    fn check_healed(&mut self) {
        let lost: Vec<_> = self.sites.iter().map(|site| site.disk_lost_at).collect();
        let floors: Vec<u64> =
            (0..self.plan.paths).map(|path| self.oracle.final_floor(path, &lost)).collect();
        for site in 0..self.sites.len() {
            let moment = self.sites[site].moment(self.now);
            let Some(process) = &self.sites[site].process else { continue };
            let (outcome, gate) = (process.node.outcome(moment), process.gate.admission(moment));
            let waiting = process
                .calls
                .values()
                .filter(|&&purge| self.oracle.purges[purge].level > Level::Local);
            let waiting: Vec<_> = waiting.collect();
            if gate != Admission::Serve || outcome.outbox > 0 || !waiting.is_empty() {
                let text = format!("node {site} has not healed: {gate:?} {outcome:?} {waiting:?}");
                self.oracle.violation(text);
            }
            let Some(process) = &self.sites[site].process else { continue };
            for (path, &floor) in floors.iter().enumerate() {
                let entry = process.entry(path).filter(|entry| !entry.is_stale);
                if entry.is_some_and(|entry| entry.version < floor) {
                    let text = format!("stale after heal: node {site}, path {path}, {floor}");
                    self.oracle.violation(text);
                }
            }
        }
    }
}
