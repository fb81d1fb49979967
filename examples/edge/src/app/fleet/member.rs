//! `Member`: the index of an edge in a fleet.

use super::engine::Wire;
use crate::app::index::Safety;
use crate::app::level::{Level, Reached};
use crate::app::store::ObjectId;
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
}

impl Membership {
    /// Prepares to join the fleet of a NATS server, which need not run yet.
    ///
    /// # Errors
    /// If the name or the address can't be used; the text contains the reason.
    pub(crate) async fn new(
        url: &str,
        name: Option<String>,
        fresh_for: Duration,
        when_shut: WhenShut,
        dir: &Path,
    ) -> Result<Self, String> {
        let name = match name {
            Some(name) => name,
            None => kept_name(dir)
                .map_err(|error| format!("can't keep a name in {}: {error}", dir.display()))?,
        };
        let config = FleetConfig::builder(name)
            .fresh_for(fresh_for)
            .when_shut(when_shut)
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
        let name = membership.config.name().to_owned();
        Self { fleet: Fleet::join(cache, membership.config, membership.wire), name }
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
        (done.receipt, safety(&done.local), reached(level, done.is_reached))
    }

    /// Flushes a tenant on all edges, spread over a duration. Waits for the level: not for a thread
    /// of the runtime.
    pub(crate) fn flush_over(
        &self,
        tenant: &Tenant,
        over: OverTime,
        level: Level,
    ) -> (Safety, Reached) {
        let (durability, is_reached) = Handle::current().block_on(async {
            match level {
                Level::Local => told(self.fleet.flush_tenant_over(tenant, over, Local).await),
                Level::Durable => told(self.fleet.flush_tenant_over(tenant, over, Durable).await),
                Level::Everywhere => {
                    told(self.fleet.flush_tenant_over(tenant, over, Everywhere).await)
                }
            }
        });
        (safety(&durability), reached(level, is_reached))
    }

    /// The number of the last invalidation that holds here, as a shield compares it.
    pub(crate) fn applied(&self) -> Option<Watermark> {
        text(self.fleet.settled_watermark()?)
    }

    /// The number to send to a shield. The lease must have been taken before.
    pub(crate) async fn begun(&self, patience: Duration) -> Option<Watermark> {
        text(self.fleet.numbered_watermark(patience).await?)
    }
}

/// Returns the durability on this edge's own disk, and whether the level was reached. A flush
/// removes no value at once.
fn told<L: cache_index_fleet::Level>(
    outcome: Result<Invalidated<L, ObjectId>, NotReached<ObjectId>>,
) -> (Durability, bool) {
    match outcome {
        Ok(invalidated) => (invalidated.local().clone(), true),
        Err(not_reached) => (not_reached.local().clone(), false),
    }
}

fn safety(durability: &Durability) -> Safety {
    match durability {
        Durability::Durable => Safety::Durable,
        other => Safety::NotDurable(format!("{other:?}")),
    }
}

fn reached(level: Level, is_reached: bool) -> Reached {
    if is_reached {
        Reached { level, level_not_reached: None }
    } else {
        Reached { level: Level::Local, level_not_reached: Some(level) }
    }
}

fn text(numbers: Numbers) -> Option<Watermark> {
    // One life of the stream: a new one has another time of creation.
    let stream = format!("purges.{}", numbers.stream).parse().ok()?;
    Some(Watermark::new(stream, numbers.applied))
}
