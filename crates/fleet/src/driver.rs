//! The driver: executes the effects of a node under tokio.
//!
//! Invariant: the thread that has locked the state machine executes effects on the index before it
//! unlocks. All others go through one queue, in order.

use crate::config::FleetConfig;
use crate::engine::{Announcements, AppendError, Delivered, Engine, Reader, StreamInfo};
use crate::fleet::Watermark;
use crate::gate::Gate;
use crate::level::Reach;
use crate::logger::Logger;
use crate::machine::{AppendResult, Effect, FlushReason, Node, Settings};
use crate::message::Author;
use crate::stats::{FleetStats, Latency};
use crate::time::Moment;
use cache_index::Severity;
use cache_index_persist::{Codec, Durability, Persistent, Record, Scope};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Answers that wait to be handled. A reader waits when there are more.
const QUEUE: usize = 256;
/// How long a node that leaves tries to tell the others.
const FAREWELL: Duration = Duration::from_secs(2);

/// An answer of the engine.
#[derive(Debug)]
enum Input {
    Info { attempt: u64, info: Option<StreamInfo> },
    Opened { attempt: u64, is_open: bool },
    Messages { attempt: u64, messages: Vec<Delivered> },
    ReaderFailed { attempt: u64 },
    Appended { ticket: u64, result: AppendResult },
    Heard(Vec<u8>),
}

/// Counts beside those of the state machine.
#[derive(Debug, Default)]
struct Tally {
    flushes: BTreeMap<&'static str, u64>,
    latency: BTreeMap<Reach, Latency>,
    not_reached: u64,
    unknown_tenants: u64,
}

pub(crate) struct Shared<V: Codec + Clone + Send + Sync + 'static, E> {
    cache: Persistent<V>,
    node: Arc<Mutex<Node>>,
    gate: Arc<Gate>,
    engine: Arc<E>,
    config: FleetConfig,
    effects: mpsc::UnboundedSender<Effect>,
    logger: Logger,
    runtime: Handle,
    calls: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    removed: Mutex<Vec<V>>,
    tally: Mutex<Tally>,
    changed: Notify,
}

/// Returns a number that no other process has.
fn session() -> u64 {
    // std seeds it from the operating system.
    RandomState::new().build_hasher().finish()
}

pub(crate) fn start<V, E>(
    cache: Persistent<V>,
    config: FleetConfig,
    engine: E,
) -> (Arc<Shared<V, E>>, JoinHandle<()>)
where
    V: Codec + Clone + Send + Sync + 'static,
    E: Engine + Announcements,
{
    let gate = Arc::new(Gate::new(config.when_shut()));
    let (period, name) = (config.fresh_for(), config.name().to_owned());
    let settings = Settings {
        author: Author { session: session(), period, name },
        incarnation: cache.incarnation(),
        longest: config.longest_fresh_for(),
        outbox_limit: config.outbox_limit(),
    };
    let carried = cache.carried();
    let node = Node::new(Moment::now(), settings, Arc::clone(&gate), carried);
    let node = Arc::new(Mutex::new(node));
    cache.carry({
        let node = Arc::clone(&node);
        move || node.lock().carried()
    });
    let (effects, queue) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        cache,
        node,
        gate,
        engine: Arc::new(engine),
        config,
        effects,
        logger: Logger::default(),
        runtime: Handle::current(),
        calls: Mutex::default(),
        removed: Mutex::default(),
        tally: Mutex::default(),
        changed: Notify::new(),
    });
    shared.step(|_, _| {});
    let driver = tokio::spawn(Driver::new(Arc::clone(&shared)).run(queue));
    (shared, driver)
}

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Shared<V, E> {
    pub(crate) fn cache(&self) -> &Persistent<V> {
        &self.cache
    }

    #[inline]
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn take_removed(&self) -> Vec<V> {
        std::mem::take(&mut *self.removed.lock())
    }

    /// Waits for the next change of the state.
    pub(crate) async fn changed(&self) {
        // A change between the caller's look at the state and this wait is seen a moment later.
        let _ = tokio::time::timeout(Duration::from_millis(20), self.changed.notified()).await;
    }

    /// Changes the state machine and executes its effects.
    fn step<T>(&self, change: impl FnOnce(&mut Node, Moment) -> T) -> T {
        let mut node = self.node.lock();
        let changed = change(&mut node, Moment::now());
        let mut removed = Vec::new();
        while let Some(effect) = node.pop() {
            match effect {
                // The position says the same to everybody who waits for the lock.
                Effect::Begin(_) | Effect::Applied(_) => {}
                Effect::Apply(records) => {
                    removed.extend(records.iter().flat_map(|record| self.apply(record)));
                }
                Effect::Flush(reason) => self.flush(reason),
                // The driver ends only with the fleet.
                effect => drop(self.effects.send(effect)),
            }
        }
        drop(node);
        if self.config.keeps_removed() {
            self.removed.lock().append(&mut removed);
        }
        self.changed.notify_waiters();
        changed
    }

    fn flush(&self, reason: FlushReason) {
        *self.tally.lock().flushes.entry(reason.as_str()).or_default() += 1;
        self.apply(&Record {
            unix_millis: 0,
            by: None,
            outbox: None,
            severity: Severity::Hard,
            scope: Scope::All,
        });
    }

    /// Applies an invalidation of another node. One of an unknown tenant may have meant all of it.
    fn apply(&self, record: &Record) -> Vec<V> {
        match tenant_of(&record.scope) {
            Some(tenant) if !self.cache.knows_tenant(tenant) => {
                self.tally.lock().unknown_tenants += 1;
                let scope = Scope::Tenant { tenant: tenant.to_owned() };
                self.cache.invalidate_unlogged(&Record { scope, ..record.clone() })
            }
            _ => self.apply_here(record),
        }
    }

    /// Applies an invalidation of this node, or of another one, as this node is set to.
    fn apply_here(&self, record: &Record) -> Vec<V> {
        if self.config.flushes_at_once() {
            self.cache.invalidate_unlogged(&record.clone().at_once())
        } else {
            self.cache.invalidate_unlogged(record)
        }
    }

    /// Invalidates here, logs and sends. Returns the removed values, a future of the durability
    /// here, and one that ends when the level is reached, or returns a lower one after a while.
    pub(crate) fn invalidate(
        self: &Arc<Self>,
        records: Vec<Record>,
        wanted: Reach,
    ) -> (
        Vec<V>,
        impl Future<Output = Durability> + use<V, E>,
        impl Future<Output = Reach> + use<V, E>,
    ) {
        let shared = Arc::clone(self);
        self.invalidate_by(records, wanted, move |_, records| {
            records.iter().flat_map(|record| shared.apply_here(record)).collect()
        })
    }

    /// Invalidates as [`invalidate`](Self::invalidate) does, with `apply` for the index.
    pub(crate) fn invalidate_by<R, A>(
        self: &Arc<Self>,
        mut records: Vec<Record>,
        wanted: Reach,
        apply: A,
    ) -> (
        R,
        impl Future<Output = Durability> + use<V, E, R, A>,
        impl Future<Output = Reach> + use<V, E, R, A>,
    )
    where
        A: FnOnce(&Persistent<V>, &[Record]) -> R,
    {
        let (done, is_done) = oneshot::channel();
        let call = self.node.lock().accept(&mut records, wanted.machine());
        if wanted > Reach::Local {
            self.calls.lock().insert(call, done);
        }
        let removed = apply(&self.cache, &records);
        self.step(|node, now| node.release(now, &records));
        let logged = self.log(records);
        // Neither the log's own thread nor the one that waits for it panics.
        let logged = async move { logged.await.expect("the runtime of the fleet is running") };
        (removed, logged, Arc::clone(self).reached(call, wanted, is_done))
    }

    /// Writes records that are applied to the log of this node.
    fn log(self: &Arc<Self>, records: Vec<Record>) -> oneshot::Receiver<Durability> {
        let (durability, must_write) = self.logger.add(records);
        if must_write {
            let shared = Arc::clone(self);
            let write = move || shared.logger.write_all(|batch| shared.cache.log_applied(batch));
            self.runtime.spawn_blocking(write);
        }
        durability
    }

    /// Waits until a call has reached its level, or returns the level that it has reached in time.
    async fn reached(
        self: Arc<Self>,
        call: u64,
        wanted: Reach,
        is_done: oneshot::Receiver<()>,
    ) -> Reach {
        if wanted == Reach::Local {
            return Reach::Local;
        }
        if let Ok(Ok(())) = tokio::time::timeout(self.config.patience(), is_done).await {
            return wanted;
        }
        self.calls.lock().remove(&call);
        self.node.lock().give_up(call).map_or(wanted, Reach::of)
    }

    pub(crate) fn note(&self, wanted: Reach, reached: Reach, took: Duration) {
        let mut tally = self.tally.lock();
        if reached == wanted {
            tally.latency.entry(wanted).or_default().add(took);
        } else {
            tally.not_reached += 1;
        }
    }

    pub(crate) fn watermark(&self) -> Watermark {
        let nothing = Watermark { stream: 0, begun: 0, applied: 0 };
        self.settled_watermark().unwrap_or(nothing)
    }

    /// Returns how far the node has followed the stream, between two messages.
    pub(crate) fn settled_watermark(&self) -> Option<Watermark> {
        // A message is applied under this lock.
        let (stream, applied) = self.node.lock().position()?;
        Some(Watermark { stream, begun: applied, applied })
    }

    pub(crate) fn node(&self) -> &Mutex<Node> {
        &self.node
    }

    pub(crate) fn stats(&self) -> FleetStats {
        let now = Moment::now();
        let (counts, outcome) = {
            let node = self.node.lock();
            (node.counts(), node.outcome(now))
        };
        let tally = self.tally.lock();
        FleetStats {
            gate: self.gate.admission(now),
            position: outcome.sequence,
            lag: outcome.target.saturating_sub(outcome.sequence),
            is_caught_up: outcome.is_caught_up,
            outbox: outcome.outbox,
            members: outcome.members,
            messages: counts.applied,
            invalidations: counts.invalidations,
            proofs: counts.proofs,
            ticks: counts.ticks,
            flushes: tally.flushes.clone(),
            losses: counts.losses,
            resent: counts.resent,
            collapsed: counts.collapsed,
            checks: counts.follow.checks,
            gaps: counts.follow.gaps,
            repeated: counts.follow.old,
            damaged: counts.damaged,
            unknown_version: counts.unknown_version,
            unknown_tenants: tally.unknown_tenants,
            bad_announcements: counts.bad_announcements,
            latency: tally.latency.clone(),
            not_reached: tally.not_reached,
            namesakes: outcome.namesakes,
        }
    }

    /// Shuts the gate, and tells the others.
    pub(crate) async fn leave(&self) {
        self.step(Node::leave);
        let farewell = self.node.lock().farewell(Moment::now());
        if let Some(farewell) = farewell {
            // The gate is shut already. While no server can be reached, the engine waits for one.
            let _ = tokio::time::timeout(FAREWELL, self.engine.announce(farewell)).await;
        }
    }
}

fn tenant_of(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::Path { tenant, .. }
        | Scope::Keys { tenant, .. }
        | Scope::Operations { tenant, .. }
        | Scope::Prefix { tenant, .. }
        | Scope::Tenant { tenant }
        | Scope::TenantOver { tenant, .. }
        | Scope::ForgetTenant { tenant } => Some(tenant),
        _ => None,
    }
}

struct Driver<V: Codec + Clone + Send + Sync + 'static, E> {
    shared: Arc<Shared<V, E>>,
    answers: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
    /// Ends with the driver.
    tasks: tokio::task::JoinSet<()>,
    reader: Option<tokio::task::AbortHandle>,
}

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Driver<V, E> {
    fn new(shared: Arc<Shared<V, E>>) -> Self {
        let (answers, inputs) = mpsc::channel(QUEUE);
        Self { shared, answers, inputs, tasks: tokio::task::JoinSet::new(), reader: None }
    }

    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Effect>) {
        let (engine, answers) = (Arc::clone(&self.shared.engine), self.answers.clone());
        self.tasks.spawn(async move {
            while answers.send(Input::Heard(engine.hear().await)).await.is_ok() {}
        });
        loop {
            let wake = self.shared.node.lock().wakes_at();
            let pause = wake.since(Moment::now()).max(Duration::from_micros(200));
            tokio::select! {
                Some(effect) = queue.recv() => self.execute(effect),
                Some(input) = self.inputs.recv() => self.handle(input),
                Some(_) = self.tasks.join_next() => {}
                () = tokio::time::sleep(pause) => {
                    self.shared.step(Node::on_time);
                }
            }
        }
    }

    fn handle(&self, input: Input) {
        self.shared.step(|node, now| match input {
            Input::Info { attempt, info } => node.on_info(now, attempt, info.as_ref()),
            Input::Opened { attempt, is_open } => node.on_opened(now, attempt, is_open),
            Input::Messages { attempt, messages } => node.on_messages(now, attempt, messages),
            Input::ReaderFailed { attempt } => node.on_reader_failed(now, attempt),
            Input::Appended { ticket, result } => node.on_appended(now, ticket, result),
            Input::Heard(bytes) => node.on_announcement(now, &bytes),
        });
    }

    fn execute(&mut self, effect: Effect) {
        let (engine, answers) = (Arc::clone(&self.shared.engine), self.answers.clone());
        match effect {
            Effect::Info { attempt, at } => {
                self.tasks.spawn(async move {
                    let info = engine.info(at).await.ok();
                    drop(answers.send(Input::Info { attempt, info }).await);
                });
            }
            Effect::Open { attempt, first } => {
                self.close();
                let task = self.tasks.spawn(read(engine, answers, attempt, first));
                self.reader = Some(task);
            }
            Effect::Close => self.close(),
            Effect::Append { ticket, id, body, expected } => {
                self.tasks.spawn(async move {
                    let result = match expected {
                        Some(last) => engine.append_expected(&id, &body, last).await,
                        None => engine.append(&id, &body).await,
                    };
                    let result = match result {
                        Ok(appended) => AppendResult::Appended(appended.sequence),
                        Err(AppendError::WrongLast) => AppendResult::WrongLast,
                        Err(AppendError::Unknown(_)) => AppendResult::Unknown,
                    };
                    drop(answers.send(Input::Appended { ticket, result }).await);
                });
            }
            Effect::Announce(bytes) => {
                self.tasks.spawn(async move { engine.announce(bytes).await });
            }
            Effect::Done { call } => {
                if let Some(done) = self.shared.calls.lock().remove(&call) {
                    // The caller may have given up.
                    let _ = done.send(());
                }
            }
            Effect::Begin(_) | Effect::Applied(_) | Effect::Apply(_) | Effect::Flush(_) => {
                unreachable!("executed under the lock of the state machine")
            }
        }
    }

    fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
    }
}

/// Reads until the reader fails.
async fn read<E: Engine>(engine: Arc<E>, answers: mpsc::Sender<Input>, attempt: u64, first: u64) {
    let reader = engine.read_from(first).await;
    let is_open = reader.is_ok();
    if answers.send(Input::Opened { attempt, is_open }).await.is_err() {
        return;
    }
    let Ok(mut reader) = reader else { return };
    while let Ok(messages) = reader.next().await {
        if answers.send(Input::Messages { attempt, messages }).await.is_err() {
            return;
        }
    }
    drop(answers.send(Input::ReaderFailed { attempt }).await);
}
