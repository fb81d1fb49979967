//! The threads and the checker.
//!
//! Each picture has a version at its source. A thread that changes a picture raises its version,
//! invalidates it, and then raises its floor. A lookup that starts after that must not find an
//! older version. After a soft invalidation, it must not find an older version that is not stale.
//!
//! Fills read the version after they have taken the lease, as servers do. Every value has a serial
//! number, so that at the end each stored value can be shown to have left exactly once.

use cache_index::{
    CacheIndex, Config, DeadValues, Hard, Insertion, Lookup, OriginPath, PathPrefix, Refusal, Soft,
    Tenant, VariantKey,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Barrier, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const TENANTS: usize = 2;
/// Folders of each tenant, and pictures of each folder.
const FOLDERS: usize = 4;
const PICTURES: usize = TENANTS * FOLDERS * 4;
const VARIANTS: usize = 3;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Elapsed(Duration),
    /// Operations of each thread.
    Rounds(u64),
}

/// The results.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) operations: u64,
    pub(crate) lookups: u64,
    pub(crate) found: u64,
    pub(crate) fills: u64,
    pub(crate) invalidations: u64,
    /// Lookups and fills during which an invalidation of their picture was under way.
    pub(crate) overlapped: u64,
    /// Fills during which one began.
    pub(crate) fills_that_met_an_invalidation: u64,
    pub(crate) refused_purged: u64,
    pub(crate) refused_flushed: u64,
    pub(crate) refused_forgotten: u64,
    pub(crate) stored: u64,
    pub(crate) returned: u64,
    pub(crate) violations: Vec<String>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.lookups += other.lookups;
        self.found += other.found;
        self.fills += other.fills;
        self.invalidations += other.invalidations;
        self.overlapped += other.overlapped;
        self.fills_that_met_an_invalidation += other.fills_that_met_an_invalidation;
        self.refused_purged += other.refused_purged;
        self.refused_flushed += other.refused_flushed;
        self.refused_forgotten += other.refused_forgotten;
        self.stored += other.stored;
        self.returned += other.returned;
        self.violations.extend(other.violations);
    }

    pub(crate) fn text(&self) -> String {
        let lines = [
            format!("operations: {}", self.operations),
            format!("look-ups: {}, {} of them found something", self.lookups, self.found),
            format!("fills: {}", self.fills),
            format!("invalidations: {}", self.invalidations),
            format!("overlapped with an invalidation of their picture: {}", self.overlapped),
            format!("fills that met an invalidation: {}", self.fills_that_met_an_invalidation),
            format!(
                "refused: {} purged, {} flushed, {} forgotten",
                self.refused_purged, self.refused_flushed, self.refused_forgotten
            ),
            format!("values stored: {}, handed back once: {}", self.stored, self.returned),
        ];
        let violations = self.violations.iter().take(20).map(|it| format!("VIOLATION: {it}"));
        let count = format!("violations: {}\n", self.violations.len());
        lines.into_iter().chain(violations).chain([count]).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    version: u64,
    serial: u64,
}

/// The truth about one picture.
#[derive(Default)]
struct Picture {
    version: AtomicU64,
    /// No older version may be found any more.
    hard_floor: AtomicU64,
    /// No older version may be found live any more.
    soft_floor: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Hard ones alone.
    hard_begun: AtomicU64,
    hard_ended: AtomicU64,
}

struct World {
    index: CacheIndex<Value>,
    /// Forgetting a tenant puts the next one of its name here; fills that have begun go on with the
    /// old handle.
    tenants: Vec<RwLock<Tenant>>,
    paths: Vec<OriginPath<'static>>,
    prefixes: Vec<PathPrefix<'static>>,
    keys: Vec<VariantKey<'static>>,
    pictures: Vec<Picture>,
}

/// One thread's part.
struct Worker<'w> {
    world: &'w World,
    choices: u64,
    serial: u64,
    report: Report,
    /// The accounts of its own values, and of other threads' values that it received.
    accounts: Accounts,
    /// The accounts of all threads, as of their last update.
    all_accounts: &'w Mutex<Accounts>,
}

/// How often each serial number was stored (+) and handed back (-), for those that are not even.
type Accounts = HashMap<u64, i64>;

/// The number of accounts that a thread keeps before it adds them to the common accounts, where
/// stored and received values balance.
const KEPT: usize = 100_000;

fn account(accounts: &mut Accounts, serial: u64, change: i64) {
    let balance = accounts.entry(serial).or_default();
    *balance += change;
    if *balance == 0 {
        accounts.remove(&serial);
    }
}

#[derive(Clone, Copy)]
enum Scope {
    Picture(usize),
    Folder(usize),
    Tenant(usize),
    /// Forgets the tenant. Hard, always.
    Forgotten(usize),
    All,
}

impl Scope {
    fn covers(self, picture: usize) -> bool {
        match self {
            Self::Picture(p) => p == picture,
            Self::Folder(f) => picture % (TENANTS * FOLDERS) == f,
            Self::Tenant(t) | Self::Forgotten(t) => picture % TENANTS == t,
            Self::All => true,
        }
    }
}

/// Runs the soak on an index of its own.
pub(crate) fn soak(threads: usize, seed: u64, until: Until) -> Report {
    let world = World::new();
    let barrier = Barrier::new(threads);
    let accounts = Mutex::new(Accounts::new());
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for thread in 0..threads as u64 {
            let (world, barrier, accounts, total) = (&world, &barrier, &accounts, &total);
            scope.spawn(move || {
                let mut worker = Worker::new(world, accounts, seed, thread);
                barrier.wait();
                worker.run(until);
                total.lock().unwrap().add(worker.report);
            });
        }
    });
    let mut report = total.into_inner().unwrap();
    world.settle(accounts.into_inner().unwrap(), &mut report);
    report
}

impl World {
    fn new() -> Self {
        let config = Config::builder().shards(4).dead_values(DeadValues::Queue).build();
        let index = CacheIndex::new(config.expect("valid"));
        // The first tenant's names are canonical, the others' are not. So are those of every second
        // variant.
        let folder = |n: usize| match n % TENANTS {
            0 => format!("s.li/{}/", n / TENANTS),
            _ => format!("//é {}?#/", n / TENANTS),
        };
        let path = |p: usize| format!("{}{p}.jpg", folder(p % (TENANTS * FOLDERS)));
        let key = |v: usize| match v % 2 {
            0 => format!("?w={v}"),
            _ => format!("300x{v} #@*"),
        };
        let name = "a name";
        Self {
            tenants: (0..TENANTS)
                .map(|t| RwLock::new(index.tenant(&format!("tenant {t}"))))
                .collect(),
            index,
            paths: (0..PICTURES).map(|p| OriginPath::opaque(path(p)).expect(name)).collect(),
            prefixes: (0..TENANTS * FOLDERS)
                .map(|f| PathPrefix::opaque(folder(f)).expect(name))
                .collect(),
            keys: (0..VARIANTS).map(|v| VariantKey::opaque(key(v)).expect(name)).collect(),
            pictures: (0..PICTURES).map(|_| Picture::default()).collect(),
        }
    }

    fn tenant(&self, number: usize) -> Tenant {
        self.tenants[number].read().unwrap().clone()
    }

    fn place(&self, picture: usize) -> (Tenant, &OriginPath<'static>) {
        (self.tenant(picture % TENANTS), &self.paths[picture])
    }

    /// Flushes and reclaims the rest: then every stored value must have left exactly once.
    fn settle(self, mut accounts: Accounts, report: &mut Report) {
        self.index.flush_all(Hard);
        loop {
            let dead = self.index.reclaim(100_000);
            let done = dead.is_done();
            for dead in dead {
                report.returned += 1;
                account(&mut accounts, dead.value.serial, -1);
            }
            if done {
                break;
            }
        }
        for (serial, balance) in accounts {
            let what = if balance > 0 { "never handed back" } else { "handed back twice" };
            report.violations.push(format!("value {serial} was {what}"));
        }
        drop(self.tenants);
        let stats = self.index.stats();
        if stats.forgotten_tenants > 0 {
            report.violations.push(format!("forgotten and still there: {stats:?}"));
        }
        if (stats.live, stats.stale, stats.dead, stats.open_leases) != (0, 0, 0, 0) {
            report.violations.push(format!("not empty in the end: {stats:?}"));
        }
    }
}

impl<'w> Worker<'w> {
    fn new(world: &'w World, all_accounts: &'w Mutex<Accounts>, seed: u64, thread: u64) -> Self {
        // Any start but zero will do for the generator; the odd factor keeps neighboring seeds
        // apart.
        let choices = (seed + thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (report, accounts) = (Report::default(), Accounts::new());
        Self { world, choices, serial: thread << 48, report, accounts, all_accounts }
    }

    /// xorshift64: fast, and the same on every platform.
    fn below(&mut self, limit: usize) -> usize {
        self.choices ^= self.choices << 13;
        self.choices ^= self.choices >> 7;
        self.choices ^= self.choices << 17;
        usize::try_from(self.choices >> 33).expect("31 bits") % limit
    }

    fn run(&mut self, until: Until) {
        let begin = Instant::now();
        loop {
            match until {
                Until::Rounds(rounds) if self.report.operations >= rounds => break,
                Until::Elapsed(time) if begin.elapsed() >= time => break,
                _ => {}
            }
            // The clock is asked once in a while only.
            for _ in 0..1000 {
                self.act();
            }
            if self.accounts.len() >= KEPT {
                self.add_up();
            }
        }
        self.add_up();
    }

    fn add_up(&mut self) {
        let mut all = self.all_accounts.lock().unwrap();
        for (serial, balance) in self.accounts.drain() {
            account(&mut all, serial, balance);
        }
    }

    fn act(&mut self) {
        self.report.operations += 1;
        // A few pictures are hot, so that threads meet.
        let picture = if self.below(2) == 0 { self.below(4) } else { self.below(PICTURES) };
        let key = self.below(VARIANTS);
        let hard = self.below(4) > 0;
        match self.below(1000) {
            0..600 => _ = self.lookup(picture, key),
            600..880 => self.fill(picture, key),
            880..980 => self.invalidate(Scope::Picture(picture), hard),
            980..986 => self.invalidate(Scope::Folder(picture % (TENANTS * FOLDERS)), hard),
            986..988 => self.invalidate(Scope::Tenant(picture % TENANTS), hard),
            988 => self.invalidate(Scope::All, hard),
            989 => self.invalidate(Scope::Forgotten(picture % TENANTS), true),
            990..994 => {
                let dead = self.world.index.reclaim(20);
                self.hand_back(dead.into_iter().map(|dead| dead.value));
            }
            _ => {
                if let Some(found) = self.lookup(picture, key) {
                    let (tenant, path) = self.world.place(picture);
                    let key = &self.world.keys[key];
                    let removed = self.world.index.remove(&tenant, path, key, &found);
                    self.hand_back(removed);
                }
            }
        }
    }

    fn lookup(&mut self, picture: usize, key: usize) -> Option<Value> {
        let truth = &self.world.pictures[picture];
        let ended = truth.ended.load(SeqCst);
        let soft_floor = truth.soft_floor.load(SeqCst);
        let hard_floor = truth.hard_floor.load(SeqCst);
        let (tenant, path) = self.world.place(picture);
        let found = self.world.index.lookup(&tenant, path, &self.world.keys[key]);
        self.report.overlapped += u64::from(truth.begun.load(SeqCst) > ended);
        self.report.lookups += 1;
        let floor = match found {
            Lookup::Live(_) => hard_floor.max(soft_floor),
            Lookup::Stale(_) | Lookup::Miss => hard_floor,
        };
        let found = found.servable()?;
        self.report.found += 1;
        if found.version < floor {
            let violation = format!("picture {picture}: version {} below {floor}", found.version);
            self.report.violations.push(violation);
        }
        Some(found)
    }

    fn fill(&mut self, picture: usize, key: usize) {
        let truth = &self.world.pictures[picture];
        let (begun, ended) = (truth.begun.load(SeqCst), truth.ended.load(SeqCst));
        let hard_ended = truth.hard_ended.load(SeqCst);
        let (tenant, path) = self.world.place(picture);
        let lease = self.world.index.lease(&tenant, path);
        let version = truth.version.load(SeqCst);
        for _ in 0..self.below(3) {
            let other = self.below(PICTURES);
            let _ = self.lookup(other, key);
        }
        self.serial += 1;
        let value = Value { version, serial: self.serial };
        let insertion = lease.commit(&self.world.keys[key], value);
        self.report.fills += 1;
        self.report.overlapped += u64::from(truth.begun.load(SeqCst) > ended);
        self.report.fills_that_met_an_invalidation += u64::from(truth.begun.load(SeqCst) > begun);
        match insertion {
            Insertion::Stored(stored) => {
                self.report.stored += 1;
                account(&mut self.accounts, value.serial, 1);
                self.hand_back(stored.replaced);
            }
            Insertion::Refused(refused) => {
                match refused.reason {
                    Refusal::Purged => self.report.refused_purged += 1,
                    Refusal::Forgotten => self.report.refused_forgotten += 1,
                    _ => self.report.refused_flushed += 1,
                }
                // Nothing else may refuse it than a hard invalidation that covers the picture and
                // had not ended when the fill began.
                if truth.hard_begun.load(SeqCst) == hard_ended {
                    let violation = format!("picture {picture}: refused by nothing of its own");
                    self.report.violations.push(violation);
                }
            }
        }
    }

    fn invalidate(&mut self, scope: Scope, hard: bool) {
        self.report.invalidations += 1;
        let covered: Vec<_> = (0..PICTURES).filter(|picture| scope.covers(*picture)).collect();
        let mut raised = Vec::new();
        for picture in covered {
            let truth = &self.world.pictures[picture];
            truth.hard_begun.fetch_add(u64::from(hard), SeqCst);
            truth.begun.fetch_add(1, SeqCst);
            raised.push((truth, truth.version.fetch_add(1, SeqCst) + 1));
        }
        if hard {
            self.hard(scope);
        } else {
            self.soft(scope);
        }
        for (truth, version) in raised {
            let floor = if hard { &truth.hard_floor } else { &truth.soft_floor };
            floor.fetch_max(version, SeqCst);
            truth.ended.fetch_add(1, SeqCst);
            truth.hard_ended.fetch_add(u64::from(hard), SeqCst);
        }
    }

    fn hard(&mut self, scope: Scope) {
        let world = self.world;
        match scope {
            Scope::Picture(picture) => {
                let (tenant, path) = world.place(picture);
                let gone = world.index.purge(&tenant, path, Hard);
                self.hand_back(gone.into_iter().map(|(_, value)| value));
            }
            Scope::Folder(f) => {
                let tenant = world.tenant(f % TENANTS);
                world.index.purge_prefix(&tenant, &world.prefixes[f], Hard);
            }
            Scope::Tenant(t) => _ = world.index.flush_tenant(&world.tenant(t), Hard),
            Scope::Forgotten(t) => {
                // Locked for the whole operation: the next thread that forgets this tenant forgets
                // the one that is created here.
                let mut tenant = world.tenants[t].write().unwrap();
                world.index.forget_tenant(&tenant);
                let next = world.index.tenant(tenant.name());
                *tenant = next;
            }
            Scope::All => _ = world.index.flush_all(Hard),
        }
    }

    fn soft(&mut self, scope: Scope) {
        let world = self.world;
        match scope {
            Scope::Picture(picture) => {
                let (tenant, path) = world.place(picture);
                let _ = world.index.purge(&tenant, path, Soft);
            }
            Scope::Folder(f) => {
                let tenant = world.tenant(f % TENANTS);
                world.index.purge_prefix(&tenant, &world.prefixes[f], Soft);
            }
            Scope::Tenant(t) => _ = world.index.flush_tenant(&world.tenant(t), Soft),
            Scope::Forgotten(_) => unreachable!("there is no soft way"),
            Scope::All => _ = world.index.flush_all(Soft),
        }
    }

    fn hand_back(&mut self, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.report.returned += 1;
            account(&mut self.accounts, value.serial, -1);
        }
    }
}
