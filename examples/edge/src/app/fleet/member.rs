//! `Member`: the index of an edge in a fleet.

use super::engine::Wire;
use crate::app::index::Safety;
use crate::app::level::{Level, Reached};
use crate::app::store::ObjectId;
use crate::app::tier::Holds;
use cache_index::invalidation::{InvalidationRequest, Receipt};
use cache_index::{OverTime, Tenant};
use cache_index_fleet::{
    Durable, Everywhere, Fleet, FleetConfig, Invalidated, JetStream, JetStreamConfig, Local,
    NotReached, Reach, Watermark as Numbers, WhenShut,
};
use cache_index_persist::{Durability, Persistent};
use cache_index_watermark::Watermark;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// How an edge joins a fleet.
pub(crate) struct Membership {
    pub(crate) config: FleetConfig,
    pub(crate) wire: Wire,
}

/// The index of an edge in a fleet.
pub(crate) struct Member {
    pub(crate) fleet: Fleet<ObjectId, Wire>,
    pub(crate) name: String,
    /// Other edges ask this one: a flush over time is a flush at once here.
    pub(crate) is_shield: bool,
}

/// The settings of an edge in a fleet that the command line names.
pub(crate) struct Words {
    pub(crate) name: Option<String>,
    pub(crate) fresh_for: Duration,
    pub(crate) is_shield: bool,
}

impl Membership {
    /// Prepares to join the fleet of a NATS server, which need not run yet.
    ///
    /// # Errors
    /// If the name or the address can't be used; the text contains the reason.
    pub(crate) async fn new(
        url: &str,
        words: Words,
        when_shut: WhenShut,
        dir: &Path,
    ) -> Result<Self, String> {
        let Words { name, fresh_for, is_shield } = words;
        let name = match name {
            Some(name) => name,
            None => kept_name(dir)
                .map_err(|error| format!("can't keep a name in {}: {error}", dir.display()))?,
        };
        let config = FleetConfig::builder(name)
            .fresh_for(fresh_for)
            .when_shut(when_shut)
            .flushes_at_once(is_shield)
            // Their objects must be deleted.
            .keep_removed(true)
            .build()
            .map_err(|error| error.to_string())?;
        let engine = JetStream::connect(JetStreamConfig::new(url))
            .await
            .map_err(|error| format!("can't join the fleet at {url}: {error}"))?;
        Ok(Self { config, wire: Wire::Nats(Box::new(engine)) })
    }
}

/// Returns the name in the directory, which is made up at the first start: the data and the name
/// belong together.
fn kept_name(dir: &Path) -> std::io::Result<String> {
    let file = dir.join("node");
    match fs::read_to_string(&file) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = format!("edge-{}", Uuid::new_v4().simple());
            fs::create_dir_all(dir)?;
            fs::write(&file, &name)?;
            Ok(name)
        }
        Err(error) => Err(error),
    }
}

impl Member {
    pub(crate) fn join(cache: Persistent<ObjectId>, membership: Membership) -> Self {
        let Membership { config, wire } = membership;
        let (name, is_shield) = (config.name().to_owned(), config.flushes_at_once());
        Self { fleet: Fleet::join(cache, config, wire), name, is_shield }
    }

    /// Invalidates on all edges. Waits for the level: not for a thread of the runtime.
    pub(crate) fn apply(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
        by: &str,
        level: Level,
    ) -> (Receipt<ObjectId>, Safety, Reached) {
        let wanted = match level {
            Level::Local => Reach::Local,
            Level::Durable => Reach::Durable,
            Level::Everywhere => Reach::Everywhere,
        };
        let call = self.fleet.request(Some(by), tenant, request, wanted);
        let done = Handle::current().block_on(call);
        (done.receipt, safety(&done.local), reached(level, done.reached, done.is_reached))
    }

    /// Flushes a tenant on all edges, spread over a duration. Waits for the level: not for a thread
    /// of the runtime.
    pub(crate) fn flush_over(
        &self,
        tenant: &Tenant,
        over: OverTime,
        level: Level,
    ) -> (Safety, Reached) {
        let (durability, reach, is_reached) = Handle::current().block_on(async {
            match level {
                Level::Local => told(self.fleet.flush_tenant_over(tenant, over, Local).await),
                Level::Durable => told(self.fleet.flush_tenant_over(tenant, over, Durable).await),
                Level::Everywhere => {
                    told(self.fleet.flush_tenant_over(tenant, over, Everywhere).await)
                }
            }
        });
        (safety(&durability), reached(level, reach, is_reached))
    }

    /// Whether an entry may be in the index that a flush over time of the fleet will kill later. An
    /// edge that keeps it as a new one would keep it beyond the end of the flush.
    pub(crate) fn spreads_a_flush(&self) -> bool {
        !self.is_shield && !self.fleet.local().running_flushes().is_empty()
    }

    /// The number of the last invalidation that holds here.
    #[cfg(test)]
    #[allow(dead_code, reason = "the command is compiled with tests too, and has none")]
    pub(crate) fn applied(&self) -> Option<Watermark> {
        self.named(self.fleet.settled_watermark()?)
    }

    /// The number to send to a shield. The lease must have been taken before.
    pub(crate) async fn begun(&self, patience: Duration) -> Option<Watermark> {
        self.named(self.fleet.numbered_watermark(patience).await?)
    }

    /// Adds the stream. A new one has another time of creation. An older copy that was restored has
    /// not, but other messages with the same numbers.
    fn named(&self, numbers: Numbers) -> Option<Watermark> {
        let checksum = self.fleet.checksum(numbers.applied)?;
        let stream = format!("purges.{}.{checksum:08x}", numbers.stream).parse().ok()?;
        Some(Watermark::new(stream, numbers.applied))
    }

    /// Compares the number of an edge with what holds here.
    pub(crate) fn compared(&self, asked: &Watermark) -> Holds {
        let Some(own) = self.fleet.settled_watermark() else { return Holds::Unknown };
        let Some(name) = asked.stream().as_str().strip_prefix("purges.") else {
            return Holds::Unknown;
        };
        let Some((stream, checksum)) = name.rsplit_once('.') else { return Holds::Unknown };
        if stream != own.stream.to_string() {
            return Holds::Unknown;
        }
        if own.applied < asked.number() {
            return Holds::NotYet;
        }
        match self.fleet.checksum(asked.number()) {
            Some(known) if checksum == format!("{known:08x}") => {
                Holds::Echo(Watermark::new(asked.stream().clone(), own.applied))
            }
            _ => Holds::Unknown,
        }
    }
}

/// Returns the durability on this edge's own disk, the level that was reached, and whether it is
/// the one that was asked for. A flush removes no value at once.
fn told<L: cache_index_fleet::Level>(
    outcome: Result<Invalidated<L, ObjectId>, NotReached<ObjectId>>,
) -> (Durability, Reach, bool) {
    match outcome {
        Ok(invalidated) => (invalidated.local().clone(), L::REACH, true),
        Err(not_reached) => (not_reached.local().clone(), not_reached.reached(), false),
    }
}

fn safety(durability: &Durability) -> Safety {
    match durability {
        Durability::Durable => Safety::Durable,
        other => Safety::NotDurable(format!("{other:?}")),
    }
}

fn reached(asked: Level, reach: Reach, is_reached: bool) -> Reached {
    let level = match reach {
        Reach::Local => Level::Local,
        Reach::Durable => Level::Durable,
        Reach::Everywhere => Level::Everywhere,
    };
    Reached { level, level_not_reached: (!is_reached).then_some(asked) }
}
