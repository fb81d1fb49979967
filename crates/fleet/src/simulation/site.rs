//! A node of the simulation: a process with its index, and a disk.

use super::plan::MILLI;
use crate::gate::{Gate, WhenShut};
use crate::machine::{Node, Settings};
use crate::message::Author;
use crate::time::Moment;
use cache_index::Severity;
use cache_index_persist::{Carried, Record, Scope};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) is_stale: bool,
}

/// A fill that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) path: usize,
    pub(super) version: Option<u64>,
}

/// The data that survives a kill.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) incarnation: u64,
    entries: BTreeMap<usize, Entry>,
    carried: Carried,
    pub(super) log: Vec<Record>,
}

/// A snapshot that is being written: its entries are read later than its carried data.
#[derive(Clone, Debug)]
struct Unfinished {
    carried: Carried,
    /// How many records were in the log when it was begun.
    logged: usize,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) node: Node,
    pub(super) gate: Arc<Gate>,
    entries: BTreeMap<usize, Entry>,
    pub(super) fills: HashMap<u64, Fill>,
    /// The purge that each call waits for.
    pub(super) calls: HashMap<u64, usize>,
    snapshot: Option<Unfinished>,
    pub(super) wake: u64,
    /// The message that is being applied.
    pub(super) begun: Option<u64>,
    pub(super) has_begun: bool,
    pub(super) has_flushed: bool,
    pub(super) applied: u64,
}

#[derive(Debug)]
pub(super) struct Site {
    pub(super) process: Option<Process>,
    pub(super) disk: Disk,
    pub(super) boot: u64,
    pub(super) frozen_until: u64,
    /// Requests do not reach the engine.
    pub(super) cut_out: u64,
    /// Answers and messages do not reach the node.
    pub(super) cut_in: u64,
    pub(super) disk_lost_at: Option<u64>,
    base: u64,
    /// Billionths by which its clock is faster.
    drift: i64,
}

pub(super) fn path_name(path: usize) -> String {
    format!("path-{path}")
}

fn covers(scope: &Scope, path: usize) -> bool {
    match scope {
        Scope::Path { path: name, .. } => *name == path_name(path),
        _ => true,
    }
}

impl Site {
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        Self {
            process: None,
            disk: Disk::default(),
            boot: 0,
            frozen_until: 0,
            cut_out: 0,
            cut_in: 0,
            disk_lost_at: None,
            base: random.u64(1..1 << 40),
            drift: random.i64(-9_000_000..9_000_000),
        }
    }

    /// Returns the local clock at a time.
    pub(super) fn moment(&self, now: u64) -> Moment {
        let drift = i128::from(now) * i128::from(self.drift) / 1_000_000_000;
        let local = i128::from(self.base) + i128::from(now) + drift;
        Moment::from_nanos(u64::try_from(local).expect("clocks are positive"))
    }

    /// Returns a time at which the local clock has reached a moment.
    pub(super) fn time(&self, moment: Moment) -> u64 {
        let local = i128::from(moment.as_nanos()) - i128::from(self.base);
        let time = local * 1_000_000_000 / (1_000_000_000 + i128::from(self.drift));
        u64::try_from(time).unwrap_or(0) + MILLI / 1000
    }

    pub(super) fn start(&mut self, now: u64, name: usize, period: Duration, session: u64) {
        self.boot += 1;
        self.disk.incarnation += 1;
        let mut carried = self.disk.carried.clone();
        let mut entries = self.disk.entries.clone();
        for record in &self.disk.log {
            entries.retain(|&path, _| !covers(&record.scope, path));
            if carried.outbox.iter().all(|sent| sent.outbox != record.outbox) {
                carried.outbox.push(record.clone());
            }
        }
        let author = Author { session, period, name: format!("node-{name}") };
        let incarnation = self.disk.incarnation;
        let settings = Settings { author, incarnation, longest: period, outbox_limit: 50 };
        let gate = Arc::new(Gate::new(WhenShut::Refuse));
        let node = Node::new(self.moment(now), settings, Arc::clone(&gate), carried);
        self.process = Some(Process {
            node,
            gate,
            entries,
            fills: HashMap::new(),
            calls: HashMap::new(),
            snapshot: None,
            wake: u64::MAX,
            begun: None,
            has_begun: false,
            has_flushed: false,
            applied: 0,
        });
    }

    pub(super) fn lose_disk(&mut self, now: u64) {
        // Even the incarnation begins again.
        self.disk = Disk::default();
        self.disk_lost_at = Some(now);
    }

    pub(super) fn begin_snapshot(&mut self) {
        let logged = self.disk.log.len();
        if let Some(process) = &mut self.process {
            process.snapshot = Some(Unfinished { carried: process.node.carried(), logged });
        }
    }

    pub(super) fn end_snapshot(&mut self) {
        let Some(process) = &mut self.process else { return };
        if let Some(Unfinished { carried, logged }) = process.snapshot.take() {
            self.disk.carried = carried;
            self.disk.entries.clone_from(&process.entries);
            self.disk.log.drain(..logged);
        }
    }
}

impl Process {
    pub(super) fn entry(&self, path: usize) -> Option<Entry> {
        self.entries.get(&path).copied()
    }

    pub(super) fn apply(&mut self, record: &Record) {
        self.fills.retain(|_, fill| !covers(&record.scope, fill.path));
        match record.severity {
            Severity::Hard => self.entries.retain(|&path, _| !covers(&record.scope, path)),
            Severity::Soft => {
                for (&path, entry) in &mut self.entries {
                    entry.is_stale |= covers(&record.scope, path);
                }
            }
        }
    }

    pub(super) fn begin(&mut self, sequence: u64) {
        self.begun = Some(sequence);
        self.has_begun = true;
    }

    pub(super) fn flush(&mut self) {
        self.has_flushed = true;
        self.entries.clear();
        self.fills.clear();
    }

    pub(super) fn store(&mut self, path: usize, version: u64) {
        self.entries.insert(path, Entry { version, is_stale: false });
    }
}
