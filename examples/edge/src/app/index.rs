//! `Index`: the index of the edge, in memory or kept in a directory.
//!
//! Invariant: an index in a directory is changed by `cache-index-persist` alone, so every purge and
//! flush reaches its log before it is answered.

#[cfg(feature = "fleet")]
use super::fleet::{Member, Membership};
use super::level::{Level, Reached};
use super::store::ObjectId;
use cache_index::invalidation::{InvalidationRequest, Receipt};
use cache_index::{
    CacheIndex, Config, FillLease, Generation, Lookup, OriginPath, OverTime, PathPrefix, Reclaimed,
    Stats, Tenant, VariantKey,
};
use cache_index_watermark::Watermark;
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(unix)]
use cache_index_persist::{
    Acknowledged, Codec, Durability, PersistConfig, PersistError, Persistent, Recovery,
};

/// The index of the edge.
pub(crate) enum Index {
    /// Empty after a restart.
    Memory(Box<CacheIndex<ObjectId>>),
    /// Kept in a directory.
    #[cfg(unix)]
    Durable(Box<Persistent<ObjectId>>),
    /// Kept in a directory, and invalidated together with those of other edges.
    #[cfg(feature = "fleet")]
    Fleet(Box<Member>),
}

/// Where and how data are kept.
#[derive(Clone, Debug)]
pub(crate) struct DataSettings {
    pub(crate) dir: PathBuf,
    /// How often the entries are saved.
    pub(crate) snapshot_every: Duration,
    /// The maximum size of the objects in memory, in bytes.
    pub(crate) memory_bytes: u64,
}

/// Whether an invalidation survives a crash. It holds in memory in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// There is no directory to keep anything in.
    Memory,
    /// It survives a killed process and a power loss.
    Durable,
    /// It may not survive, for this reason.
    NotDurable(String),
}

/// The state of an index in a directory.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DurableState {
    /// The number of this start.
    pub(crate) incarnation: u64,
    pub(crate) recovery: RecoveryState,
    pub(crate) log: LogState,
    pub(crate) snapshots: SnapshotState,
}

/// The data that were found at the start.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RecoveryState {
    /// `new`, `warm` or `cold`, or `loading` while the edge already serves.
    pub(crate) state: &'static str,
    /// Why it is cold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Entries of the snapshot; those so far if the state is `loading`.
    pub(crate) entries: u64,
    /// All entries of a snapshot that is being loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) all_entries: Option<u64>,
    /// Entries beyond the limits of the index.
    pub(crate) refused: u64,
    /// Purges and flushes of the log.
    pub(crate) replayed: u64,
    /// Whether the last process ended cleanly.
    pub(crate) closed: bool,
    /// Whether the log ended in the middle of a write.
    pub(crate) torn: bool,
}

/// The state of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogState {
    pub(crate) records: u64,
    pub(crate) syncs: u64,
    /// Since the last snapshot.
    pub(crate) bytes: u64,
    /// Why purges and flushes are not durable now.
    pub(crate) fault: Option<String>,
    /// Whether a crash now would be followed by a warm start.
    pub(crate) would_start_warm: bool,
}

/// The snapshots since the start.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SnapshotState {
    pub(crate) written: u64,
    pub(crate) failed: u64,
}

impl RecoveryState {
    /// Returns the state for people: `warm: 12 entries, 3 invalidations replayed`.
    pub(crate) fn describe(&self) -> String {
        match (self.state, &self.reason) {
            (state, Some(reason)) => format!("{state}: {reason}"),
            ("loading", None) => {
                let all = self.all_entries.unwrap_or_default();
                format!("loading: {} of {}", self.entries, count(all, "entry", "entries"))
            }
            ("warm", None) => format!(
                "warm: {}, {} replayed",
                count(self.entries, "entry", "entries"),
                count(self.replayed, "invalidation", "invalidations")
            ),
            (state, None) => state.to_owned(),
        }
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Calls the same method of either index.
macro_rules! either {
    ($index:expr, $inner:ident => $call:expr) => {
        match $index {
            Index::Memory($inner) => $call,
            #[cfg(unix)]
            Index::Durable($inner) => $call,
            #[cfg(feature = "fleet")]
            Index::Fleet(member) => {
                let $inner = member.fleet.local();
                $call
            }
        }
    };
}

impl Index {
    /// An empty index in memory.
    pub(crate) fn in_memory(config: Config) -> Self {
        Self::Memory(Box::new(CacheIndex::new(config)))
    }

    /// The number of this start, which no earlier start had; 0 for an index in memory.
    pub(crate) fn incarnation(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            #[cfg(unix)]
            Self::Durable(index) => index.incarnation(),
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => member.fleet.local().incarnation(),
        }
    }

    pub(crate) fn is_durable(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        either!(self, index => index.tenant(name))
    }

    pub(crate) fn lookup(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<ObjectId> {
        #[cfg(feature = "fleet")]
        if let Self::Fleet(member) = self {
            // Behind the gate.
            return member.fleet.lookup(tenant, path, variant);
        }
        either!(self, index => index.lookup(tenant, path, variant))
    }

    pub(crate) fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<ObjectId> {
        either!(self, index => index.lease(tenant, path))
    }

    #[must_use = "the removed id is returned here"]
    pub(crate) fn remove(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        expected: &ObjectId,
    ) -> Option<ObjectId> {
        either!(self, index => index.remove(tenant, path, variant, expected))
    }

    /// Invalidates, and waits until the log is synced if there is one. The log keeps `by`. In a
    /// fleet, it waits for the level.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no log"))]
    #[cfg_attr(not(feature = "fleet"), expect(unused_variables, reason = "there is no fleet"))]
    pub(crate) fn apply(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
        by: &str,
        level: Level,
    ) -> (Receipt<ObjectId>, Safety, Option<Reached>) {
        match self {
            Self::Memory(index) => (index.apply(tenant, request), Safety::Memory, None),
            #[cfg(unix)]
            Self::Durable(index) => {
                let (receipt, safety) = safety(index.on_behalf_of(by).apply(tenant, request));
                (receipt, safety, None)
            }
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => {
                let (receipt, safety, reached) = member.apply(tenant, request, by, level);
                (receipt, safety, Some(reached))
            }
        }
    }

    /// Flushes a tenant, spread over a duration. Otherwise as [`apply`](Self::apply). In a fleet,
    /// each edge has a generation of its own, and none is returned.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no log"))]
    #[cfg_attr(not(feature = "fleet"), expect(unused_variables, reason = "there is no fleet"))]
    pub(crate) fn flush_over(
        &self,
        tenant: &Tenant,
        over: OverTime,
        by: &str,
        level: Level,
    ) -> (Option<Generation>, Safety, Option<Reached>) {
        match self {
            Self::Memory(index) => {
                let flushed = index.flush_tenant_over(tenant, over);
                (Some(flushed.generation()), Safety::Memory, None)
            }
            #[cfg(unix)]
            Self::Durable(index) => {
                let flushed = index.on_behalf_of(by).flush_tenant_over(tenant, over);
                let (flushed, safety) = safety(flushed);
                (Some(flushed.generation()), safety, None)
            }
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => {
                let (safety, reached) = member.flush_over(tenant, over, level);
                (None, safety, Some(reached))
            }
        }
    }

    pub(crate) fn dry_run(&self, tenant: &Tenant, request: &InvalidationRequest) -> Receipt<()> {
        either!(self, index => index.dry_run(tenant, request))
    }

    pub(crate) fn variants(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
    ) -> Vec<VariantKey<'static>> {
        either!(self, index => index.variants(tenant, path))
    }

    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
    ) -> Vec<OriginPath<'static>> {
        either!(self, index => index.paths(tenant, prefix))
    }

    pub(crate) fn reclaim(&self, limit: usize) -> Reclaimed<ObjectId> {
        either!(self, index => index.reclaim(limit))
    }

    pub(crate) fn stats(&self) -> Stats {
        either!(self, index => index.stats())
    }

    /// Whether invalidations go to other edges.
    #[cfg(feature = "fleet")]
    pub(crate) fn is_in_fleet(&self) -> bool {
        matches!(self, Self::Fleet(_))
    }

    /// Whether invalidations go to other edges.
    #[cfg(not(feature = "fleet"))]
    #[expect(clippy::unused_self, reason = "there is no fleet")]
    pub(crate) fn is_in_fleet(&self) -> bool {
        false
    }

    /// The ids that invalidations of other edges have removed since the last call.
    pub(crate) fn take_removed(&self) -> Vec<ObjectId> {
        match self {
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => member.fleet.take_removed(),
            _ => Vec::new(),
        }
    }

    /// The number of the last invalidation of the fleet that holds here.
    pub(crate) fn applied(&self) -> Option<Watermark> {
        match self {
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => member.applied(),
            _ => None,
        }
    }

    /// The number for a shield, which must be asked for after the lease was taken. `None` outside
    /// of a fleet, and if the own invalidations have no numbers in time.
    #[cfg_attr(not(feature = "fleet"), expect(unused_variables, reason = "there is no fleet"))]
    #[cfg_attr(not(feature = "fleet"), expect(clippy::unused_async, reason = "there is no fleet"))]
    pub(crate) async fn begun(&self, patience: Duration) -> Option<Watermark> {
        match self {
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => member.begun(patience).await,
            _ => None,
        }
    }
}

#[cfg(feature = "fleet")]
impl Index {
    /// Joins a fleet with an index in a directory.
    pub(crate) fn join(self, membership: Membership) -> Result<Self, String> {
        match self {
            Self::Durable(index) => Ok(Self::Fleet(Box::new(Member::join(*index, membership)))),
            _ => Err("a fleet needs an index in a directory: expected --data DIR".to_owned()),
        }
    }
}

/// Bypasses the rest of the edge, for `tests/edge`.
#[cfg(test)]
#[allow(dead_code, reason = "the command is compiled with tests too, and has none")]
impl Index {
    pub(crate) fn insert(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        id: ObjectId,
    ) -> cache_index::Insertion<ObjectId> {
        either!(self, index => index.insert(tenant, path, variant, id))
    }

    pub(crate) fn flush_all<M: cache_index::Mode>(&self, mode: M) {
        either!(self, index => drop(index.flush_all(mode)));
    }

    /// Writes a snapshot.
    #[cfg(unix)]
    pub(crate) fn snapshot(&self) {
        if let Some(index) = self.persistent() {
            index.snapshot().unwrap();
        }
    }
}

#[cfg(not(unix))]
impl Index {
    pub(crate) fn open(dir: &Path, _: Duration, _: Config) -> Result<Self, String> {
        Err(format!("can't use the data in {}: expected a Unix file system", dir.display()))
    }

    pub(crate) fn values(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    pub(crate) fn is_loading(&self) -> bool {
        false
    }

    pub(crate) fn durable_state(&self) -> Option<DurableState> {
        None
    }

    pub(crate) fn close(&self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(unix)]
impl Index {
    /// Opens the index in a directory. Its entries are loaded in the background.
    ///
    /// # Errors
    /// If the directory can't be used; the text contains the reason.
    pub(crate) fn open(dir: &Path, every: Duration, config: Config) -> Result<Self, String> {
        let config = PersistConfig::builder().index(config).snapshot_every(Some(every)).build();
        let config = config.map_err(|error| error.to_string())?;
        let index = Persistent::open_serving(dir, config).map_err(|error| {
            let reason = if is_locked(&error) {
                "another process uses it".to_owned()
            } else {
                with_causes(&error)
            };
            format!("can't use the data in {}: {reason}", dir.display())
        })?;
        Ok(Self::Durable(Box::new(index)))
    }

    /// The index in a directory, if it is in one.
    fn persistent(&self) -> Option<&Persistent<ObjectId>> {
        match self {
            Self::Memory(_) => None,
            Self::Durable(index) => Some(index),
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => Some(member.fleet.local()),
        }
    }

    /// Whether entries are still being loaded. Those that are not loaded yet are misses.
    pub(crate) fn is_loading(&self) -> bool {
        self.persistent().is_some_and(|index| index.loading().is_some())
    }

    /// The ids of all entries that may be served.
    pub(crate) fn values(&self) -> Vec<ObjectId> {
        self.persistent().map_or_else(Vec::new, |index| index.values().collect())
    }

    /// Returns the state of an index in a directory.
    pub(crate) fn durable_state(&self) -> Option<DurableState> {
        let index = self.persistent()?;
        let stats = index.persist_stats();
        Some(DurableState {
            incarnation: index.incarnation(),
            recovery: match index.loading() {
                Some(loading) => RecoveryState {
                    state: "loading",
                    entries: loading.entries,
                    all_entries: Some(loading.all_entries),
                    ..RecoveryState::default()
                },
                None => recovery(index.recovery()),
            },
            log: LogState {
                records: stats.log_records,
                syncs: stats.log_syncs,
                bytes: stats.log_bytes,
                fault: stats.fault.map(|fault| with_causes(&*fault)),
                would_start_warm: stats.would_start_warm,
            },
            snapshots: SnapshotState { written: stats.snapshots, failed: stats.failed_snapshots },
        })
    }

    /// Saves all entries, and releases the directory. Later invalidations are not durable.
    ///
    /// # Errors
    /// If the entries can't be saved; the text contains the reason.
    pub(crate) fn close(&self) -> Result<(), String> {
        #[cfg(feature = "fleet")]
        if let Self::Fleet(member) = self {
            tokio::runtime::Handle::current().block_on(member.fleet.retire());
        }
        match self.persistent() {
            None => Ok(()),
            Some(index) => index.close().map_err(|error| with_causes(&error)),
        }
    }
}

#[cfg(unix)]
fn recovery(found: &Recovery) -> RecoveryState {
    match found {
        Recovery::New => RecoveryState { state: "new", ..RecoveryState::default() },
        Recovery::Warm { entries, refused, replayed, closed, torn, .. } => RecoveryState {
            state: "warm",
            entries: *entries,
            refused: *refused,
            replayed: *replayed,
            closed: *closed,
            torn: *torn,
            ..RecoveryState::default()
        },
        Recovery::Cold { reason } => RecoveryState {
            state: "cold",
            reason: Some(reason.to_string()),
            ..RecoveryState::default()
        },
        _ => RecoveryState { state: "unknown", ..RecoveryState::default() },
    }
}

#[cfg(unix)]
fn safety<T>(acknowledged: Acknowledged<T>) -> (T, Safety) {
    let (outcome, durability) = acknowledged.into_parts();
    let safety = match durability {
        Durability::Durable => Safety::Durable,
        Durability::NotDurable(error) => Safety::NotDurable(with_causes(&*error)),
        // The log is synced before each answer, so there is no other outcome.
        _ => Safety::NotDurable("not synced".to_owned()),
    };
    (outcome, safety)
}

/// Returns whether another process, or another edge in this one, has the directory open.
#[cfg(unix)]
fn is_locked(error: &PersistError) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::WouldBlock)
}

/// Returns an error with its causes, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}

#[cfg(unix)]
impl Codec for ObjectId {
    const NAME: &'static str = "edge-object-1";
    const LEN: Option<usize> = Some(16);

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (incarnation, number) = bytes.split_first_chunk()?;
        let number = u64::from_le_bytes(number.try_into().ok()?);
        Some(Self { incarnation: u64::from_le_bytes(*incarnation), number })
    }
}
