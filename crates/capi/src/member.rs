//! `Member`: an index in a fleet, with the threads that carry its invalidations.
//!
//! Invariant: a value to serve has passed the gate, which is read before the index.

use crate::error::{CI_ERR_IO, Failure};
use cache_index::invalidation::InvalidationRequest;
use cache_index::{Claim, Lookup, OriginPath, Severity, Tenant, VariantKey};
use cache_index_fleet::{
    Admission, Durable, Everywhere, Fleet, FleetConfig, FleetStats, Invalidated, JetStreamConfig,
    Level, Local, Moment, NotReached, Reach, Watermark as Numbers,
};
use cache_index_persist::{Durability, PersistError, Persistent, Scope};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

#[cfg(not(test))]
use cache_index_fleet::JetStream as Wire;
// The C programs in `tests/c` have a real server.
#[cfg(test)]
use cache_index_fleet::MemoryEngine as Wire;

/// One carries messages while the other waits for the log.
const THREADS: usize = 2;

/// What a node needs to join, made before its index is touched.
pub(crate) struct Joining {
    runtime: Runtime,
    wire: Wire,
    config: FleetConfig,
}

/// An index in a fleet.
pub(crate) struct Member {
    // Before the runtime, which ends the tasks of the fleet.
    fleet: Fleet<u64, Wire>,
    runtime: Runtime,
    flushes_at_once: bool,
}

/// The end of an invalidation.
pub(crate) struct Done {
    pub(crate) removed: Vec<u64>,
    pub(crate) local: Durability,
    pub(crate) reached: Reach,
    pub(crate) is_reached: bool,
}

#[cfg(not(test))]
async fn connect(config: JetStreamConfig) -> Result<Wire, Failure> {
    Wire::connect(config).await.map_err(|error| Failure::argument(&error))
}

#[cfg(test)]
#[expect(clippy::unused_async, reason = "as the real one")]
async fn connect(config: JetStreamConfig) -> Result<Wire, Failure> {
    crate::tests::fleet::connect(config.stream_name())
}

impl Joining {
    pub(crate) fn new(servers: JetStreamConfig, config: FleetConfig) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("cache-fleet")
            .enable_all()
            .build()
            .map_err(|error| Failure::new(CI_ERR_IO, "Io", format_args!("threads: {error}")))?;
        let wire = runtime.block_on(connect(servers))?;
        Ok(Self { runtime, wire, config })
    }

    pub(crate) fn join(self, cache: Persistent<u64>) -> Member {
        let Self { runtime, wire, config } = self;
        let flushes_at_once = config.flushes_at_once();
        let entered = runtime.enter();
        let fleet = Fleet::join(cache, config, wire);
        drop(entered);
        Member { fleet, runtime, flushes_at_once }
    }
}

fn done<L: Level>(outcome: Result<Invalidated<L, u64>, NotReached<u64>>) -> Done {
    match outcome {
        Ok(outcome) => {
            let local = outcome.local().clone();
            Done { removed: outcome.into_removed(), local, reached: L::REACH, is_reached: true }
        }
        Err(outcome) => {
            let (local, reached) = (outcome.local().clone(), outcome.reached());
            Done { removed: outcome.into_removed(), local, reached, is_reached: false }
        }
    }
}

impl Member {
    /// Returns the index of this node. Values to serve must not be read from it.
    pub(crate) fn local(&self) -> &Persistent<u64> {
        self.fleet.local()
    }

    pub(crate) fn gate(&self) -> Admission {
        self.fleet.gate(Moment::now())
    }

    pub(crate) fn lookup(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        key: &VariantKey<'_>,
    ) -> Lookup<u64> {
        self.fleet.lookup(tenant, path, key)
    }

    pub(crate) fn lookup_many(
        &self,
        tenant: &Tenant,
        keys: &[(&OriginPath<'_>, &VariantKey<'_>)],
    ) -> Vec<Lookup<u64>> {
        let admission = self.gate();
        let found = self.local().lookup_many(tenant, keys).into_iter();
        found.map(|lookup| admission.admit(lookup)).collect()
    }

    /// Claims a variant. `None` if the gate forbids the answer.
    pub(crate) fn claim(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        key: &VariantKey<'_>,
        value: u64,
    ) -> Option<Claim<u64>> {
        let admission = self.gate();
        match (admission, self.local().claim(tenant, path, key, value)) {
            // A new fill reads the source now.
            (_, Claim::Claimed(lease)) => Some(Claim::Claimed(lease)),
            (Admission::Refuse, _) => None,
            (Admission::ServeStale, Claim::Live(value)) => {
                Some(Claim::Stale { value, refresh: None })
            }
            (_, claim) => Some(claim),
        }
    }

    pub(crate) fn take_removed(&self) -> Vec<u64> {
        self.fleet.take_removed()
    }

    /// Invalidates on all nodes. Blocks the thread until the level is reached, or its time is over.
    pub(crate) fn invalidate(&self, severity: Severity, scopes: Vec<Scope>, wanted: Reach) -> Done {
        self.runtime.block_on(async {
            let fleet = &self.fleet;
            match wanted {
                Reach::Local => done(fleet.invalidate(None, severity, scopes, Local).await),
                Reach::Durable => done(fleet.invalidate(None, severity, scopes, Durable).await),
                Reach::Everywhere => {
                    done(fleet.invalidate(None, severity, scopes, Everywhere).await)
                }
            }
        })
    }

    /// As `invalidate`, the targets of a request.
    pub(crate) fn request(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
        wanted: Reach,
    ) -> Done {
        let requested = self.runtime.block_on(self.fleet.request(None, tenant, request, wanted));
        let (local, reached, is_reached) =
            (requested.local, requested.reached, requested.is_reached);
        let removed = requested.receipt.into_removed().map(|(_, value)| value).collect();
        Done { removed, local, reached, is_reached }
    }

    /// Waits until the gate is open. Returns whether it is.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let open =
            async { tokio::time::timeout(patience, self.fleet.serves_fresh()).await.is_ok() };
        self.runtime.block_on(open)
    }

    pub(crate) fn stats(&self) -> FleetStats {
        self.fleet.stats()
    }

    pub(crate) fn leave(&self) -> Result<(), PersistError> {
        self.runtime.block_on(self.fleet.retire());
        self.local().close()
    }

    /// Returns the number for a shield, once the stream has delivered the own invalidations.
    pub(crate) fn numbered(&self, patience: Duration) -> Option<Numbers> {
        self.runtime.block_on(self.fleet.numbered_watermark(patience))
    }

    pub(crate) fn settled(&self) -> Option<Numbers> {
        self.fleet.settled_watermark()
    }

    /// Returns whether an entry may be in the index that a flush over time will kill later.
    pub(crate) fn spreads_a_flush(&self) -> bool {
        !self.flushes_at_once && !self.local().running_flushes().is_empty()
    }

    pub(crate) fn checksum(&self, sequence: u64) -> Option<u32> {
        self.fleet.checksum(sequence)
    }
}
