//! Indexes in a fleet: joining, the gate, statistics, leaving.
//!
//! Each item has `#[cfg]` by itself: so the header guards it by `CI_WITH_FLEET`.

use crate::backing::Backing;
use crate::boundary::{Out, OutStruct, borrow, borrow_mut, guard, hand_over, settings, sized};
use crate::durable::not_done;
use crate::entries::ci_entries;
use crate::error::{CI_OK, Failure, ci_error};
use crate::index::{ci_index, flag};
use crate::member::{Joining, Member};
use crate::text::ci_str;
use cache_index::CacheIndex;
use cache_index_fleet::{
    Admission, FleetConfig, FleetStats, JetStreamConfig, Latency, Reach, WhenShut,
};
use std::ffi::c_int;
use std::mem;
use std::time::Duration;

/// While the gate is shut, a live value is CI_STALE.
#[cfg(feature = "fleet")]
pub const CI_SHUT_STALE: c_int = 0;

/// While the gate is shut, each lookup is CI_MISS.
#[cfg(feature = "fleet")]
pub const CI_SHUT_REFUSE: c_int = 1;

/// The node has proof that it knows the invalidations of all nodes: it serves as fresh.
#[cfg(feature = "fleet")]
pub const CI_GATE_OPEN: c_int = 0;

/// The node lacks this proof, and was configured with CI_SHUT_STALE.
#[cfg(feature = "fleet")]
pub const CI_GATE_STALE: c_int = 1;

/// The node lacks this proof, and was configured with CI_SHUT_REFUSE.
#[cfg(feature = "fleet")]
pub const CI_GATE_REFUSE: c_int = 2;

/// How an index joins a fleet. Set `size` to `sizeof(struct ci_fleet_config)` and the rest to zero,
/// which stands for the defaults.
#[cfg(feature = "fleet")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_fleet_config {
    /// `sizeof(struct ci_fleet_config)`.
    pub size: usize,
    /// Milliseconds for which the node serves as fresh after a proof, 200 to 3600000; 5000 by
    /// default.
    pub fresh_for_ms: u64,
    /// The longest such time of any node of the fleet; 10000 by default, or `fresh_for_ms` if that
    /// is longer.
    pub longest_fresh_for_ms: u64,
    /// Milliseconds for which a call waits for its level; 15000 by default.
    pub patience_ms: u64,
    /// Invalidations that may wait until they can be sent, at least 2; 100000 by default. One more,
    /// and a flush of everything takes their place.
    pub outbox_limit: usize,
    /// CI_SHUT_STALE or CI_SHUT_REFUSE.
    pub when_shut: c_int,
    /// 1: values that invalidations of other nodes remove are kept for `ci_fleet_removed`, which
    /// you must then call. 0: they are dropped.
    pub keep_removed: c_int,
    /// 1: flushes over time are applied at once on this node. For a shield, from which other nodes
    /// fetch.
    pub flush_at_once: c_int,
    /// Servers that keep the stream, if it is created, up to 5; 1 by default.
    pub replicas: c_int,
    /// The stream of the fleet; `CACHE_PURGE` by default. It is created if it is missing.
    pub stream: ci_str,
    /// The only subject of the stream; `cache.purge` by default. Set it if, and only if, `stream`
    /// is set.
    pub subject: ci_str,
    /// Milliseconds for which the stream keeps messages, if it is created; 7 days by default.
    pub max_age_ms: u64,
    /// Milliseconds that a request to a server may take; 2000 by default.
    pub timeout_ms: u64,
}

/// State and counts of a node. Set `size` to `sizeof(struct ci_fleet_stats)`.
#[cfg(feature = "fleet")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_fleet_stats {
    /// `sizeof(struct ci_fleet_stats)`.
    pub size: usize,
    /// CI_GATE_*.
    pub gate: c_int,
    /// 1 if the node follows the stream and has nothing left to apply.
    pub is_caught_up: c_int,
    /// The last message of the stream that was applied.
    pub position: u64,
    /// Messages that were in the stream when the reader was opened, and are not applied yet.
    pub lag: u64,
    /// Own invalidations that the stream has not delivered yet.
    pub outbox: u64,
    /// Nodes that may serve as fresh, with this one.
    pub members: u64,
    /// Messages that were applied.
    pub messages: u64,
    /// Invalidations of other nodes that were applied.
    pub invalidations: u64,
    /// Proofs that nothing was missing.
    pub proofs: u64,
    /// Flushes of everything, because invalidations may be missing.
    pub flushes: u64,
    /// Those of them because the stream has lost messages that some node had applied.
    pub losses: u64,
    /// Messages that were sent again.
    pub resent: u64,
    /// How often the outbox was full, so that everything is flushed.
    pub collapsed: u64,
    /// Messages that were missing between two others, until they were read again.
    pub gaps: u64,
    /// Damaged messages, and those of an unknown version. Everything was flushed.
    pub unreadable: u64,
    /// Invalidations that have reached CI_REACH_LOCAL, CI_REACH_DURABLE and CI_REACH_EVERYWHERE, as
    /// they were asked to.
    pub reached: [u64; 3],
    /// The longest time that such invalidations took, in microseconds.
    pub longest_us: [u64; 3],
    /// Invalidations that did not reach their level in time.
    pub not_reached: u64,
}

sized!(ci_fleet_config, ci_fleet_stats);

/// # Safety
/// A pointer that is not NULL points to a valid index.
pub(crate) unsafe fn member<'a>(
    index: *const ci_index,
) -> Result<(&'a ci_index, &'a Member), Failure> {
    // SAFETY: as promised.
    let index = unsafe { borrow(index, "index") }?;
    match &index.index {
        Backing::Fleet(member) => Ok((index, member)),
        _ => Err(Failure::argument("index is not in a fleet: expected one of ci_fleet_join")),
    }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn node_config(name: &str, config: &ci_fleet_config) -> Result<FleetConfig, Failure> {
    let when_shut = match config.when_shut {
        CI_SHUT_STALE => WhenShut::ServeStale,
        CI_SHUT_REFUSE => WhenShut::Refuse,
        other => {
            let expected = "expected CI_SHUT_STALE or CI_SHUT_REFUSE";
            return Err(Failure::argument(format_args!("when_shut is {other}: {expected}")));
        }
    };
    let mut builder = FleetConfig::builder(name)
        .when_shut(when_shut)
        .keep_removed(flag(config.keep_removed, "keep_removed")?)
        .flushes_at_once(flag(config.flush_at_once, "flush_at_once")?);
    if config.fresh_for_ms != 0 {
        builder = builder.fresh_for(millis(config.fresh_for_ms));
    }
    if config.longest_fresh_for_ms != 0 {
        builder = builder.longest_fresh_for(millis(config.longest_fresh_for_ms));
    }
    if config.patience_ms != 0 {
        builder = builder.patience(millis(config.patience_ms));
    }
    if config.outbox_limit != 0 {
        builder = builder.outbox_limit(config.outbox_limit);
    }
    builder.build().map_err(|error| Failure::argument(&error))
}

/// # Safety
/// The texts of the settings can be read.
unsafe fn servers(urls: &str, config: &ci_fleet_config) -> Result<JetStreamConfig, Failure> {
    // SAFETY: as promised.
    let (stream, subject) =
        unsafe { (config.stream.text("stream")?, config.subject.text("subject")?) };
    if stream.is_empty() != subject.is_empty() {
        let message = "one of stream and subject is set: expected both or none";
        return Err(Failure::argument(message));
    }
    let mut servers = JetStreamConfig::new(urls);
    if !stream.is_empty() {
        servers = servers.stream(stream, subject);
    }
    match usize::try_from(config.replicas) {
        Ok(0) => {}
        Ok(replicas @ 1..=5) => servers = servers.replicas(replicas),
        _ => {
            let message = format_args!("replicas is {}: expected 1 to 5", config.replicas);
            return Err(Failure::argument(message));
        }
    }
    if config.max_age_ms != 0 {
        servers = servers.max_age(millis(config.max_age_ms));
    }
    if config.timeout_ms != 0 {
        servers = servers.timeout(millis(config.timeout_ms));
    }
    Ok(servers)
}

/// Joins a fleet with an index of `ci_durable_open`. From then on, `index` is one of the fleet, and
/// there is no way around it:
/// - `ci_lookup`, `ci_lookup_prepared`, `ci_lookup_many` and `ci_claim` are behind the gate. It is
///   shut until the node has caught up, and whenever the node has no proof that it knows the
///   invalidations of all nodes. Then answers are as `when_shut` says.
/// - The functions that invalidate, from `ci_purge` to `ci_tenant_forget`, return CI_ERR_ARGUMENT
///   and change nothing, as they would not reach the other nodes. Those of this section do.
/// - All other functions go on as before. Handles of tenants and leases stay valid.
///
/// `urls` are those of the NATS servers, separated by commas, such as `nats://10.0.0.1:4222`, with
/// `user:password@` before the host if needed. They need not run yet. `name` is 1 to 64 letters,
/// digits, `-`, `_` and `.`, and that of no other node. **A directory must always have the same
/// name**: it contains the invalidations that the node still has to send. `config` may be NULL.
///
/// The library starts two threads of its own, and some more while it waits for files. They end with
/// `ci_index_free`. So join after `fork`.
///
/// Undefined: to use the index in another thread during this call.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT; CI_ERR_ARGUMENT: a setting, or the index
/// is in memory alone or in a fleet already; CI_ERR_IO: no threads. The index is then as before.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_join(
    index: *mut ci_index,
    urls: ci_str,
    name: ci_str,
    config: *const ci_fleet_config,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or an index that nobody else uses, texts that can be read, and
    // NULL or valid structs. A struct of zeroes is valid.
    unsafe {
        guard(error, || {
            let index = borrow_mut(index, "index")?;
            let (urls, name) = (urls.text("urls")?, name.text("name")?);
            let config = settings(config, "config")?.unwrap_or_else(|| mem::zeroed());
            if urls.is_empty() {
                let message = "urls is empty: expected the URL of a server";
                return Err(Failure::text("Empty", 0, message));
            }
            if !matches!(index.index, Backing::Durable(_)) {
                let message = "index is in memory alone, or in a fleet: expected one of \
                               ci_durable_open that has not joined";
                return Err(Failure::argument(message));
            }
            let joining = Joining::new(servers(urls, &config)?, node_config(name, &config)?)?;
            let placeholder = Backing::Memory(CacheIndex::default());
            if let Backing::Durable(cache) = mem::replace(&mut index.index, placeholder) {
                index.index = Backing::Fleet(Box::new(joining.join(*cache)));
            }
            Ok(CI_OK)
        })
    }
}

fn gate_of(admission: Admission) -> c_int {
    match admission {
        Admission::Serve => CI_GATE_OPEN,
        Admission::ServeStale => CI_GATE_STALE,
        Admission::Refuse => CI_GATE_REFUSE,
    }
}

/// Returns the state of the gate, as lookups find it now. Any thread may call this at any time. It
/// locks nothing.
///
/// Returns CI_GATE_OPEN, CI_GATE_STALE or CI_GATE_REFUSE; CI_ERR_NULL; CI_ERR_ARGUMENT: the index
/// is not in a fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_gate(index: *const ci_index, error: *mut ci_error) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or a struct that can be written to.
    unsafe { guard(error, || Ok(gate_of(member(index)?.1.gate()))) }
}

/// Waits until the gate is open, for at most so many milliseconds. Blocks the calling thread.
///
/// Any thread may call this at any time. Returns 1 if the gate is open, else 0; CI_ERR_NULL;
/// CI_ERR_ARGUMENT: the index is not in a fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_wait(
    index: *const ci_index,
    milliseconds: u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or a struct that can be written to.
    unsafe { guard(error, || Ok(c_int::from(member(index)?.1.wait(millis(milliseconds))))) }
}

/// Takes the values that invalidations of other nodes have removed since the last call, for you to
/// delete their objects. None unless `keep_removed` is set. `ci_entry` has the value alone. Values
/// that a flush or a prefix purge killed come from `ci_reclaim`.
///
/// Owner: `*entries` is yours; free it with `ci_entries_free`.
///
/// Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
/// in no fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_removed(
    index: *const ci_index,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let ((_, member), entries) = (member(index)?, Out::new(entries, "entries")?);
            hand_over(&entries, ci_entries::values(member.take_removed()));
            Ok(CI_OK)
        })
    }
}

fn stats_of(stats: &FleetStats) -> ci_fleet_stats {
    let levels = [Reach::Local, Reach::Durable, Reach::Everywhere];
    let latency = |reach| stats.latency.get(&reach).copied().unwrap_or_default();
    let longest = |latency: Latency| u64::try_from(latency.longest.as_micros()).unwrap_or(u64::MAX);
    ci_fleet_stats {
        size: 0,
        gate: gate_of(stats.gate),
        is_caught_up: c_int::from(stats.is_caught_up),
        position: stats.position,
        lag: stats.lag,
        outbox: stats.outbox as u64,
        members: stats.members as u64,
        messages: stats.messages,
        invalidations: stats.invalidations,
        proofs: stats.proofs,
        flushes: stats.flushes.values().sum(),
        losses: stats.losses,
        resent: stats.resent,
        collapsed: stats.collapsed,
        gaps: stats.gaps,
        unreadable: stats.damaged + stats.unknown_version,
        reached: levels.map(|reach| latency(reach).count),
        longest_us: levels.map(|reach| longest(latency(reach))),
        not_reached: stats.not_reached,
    }
}

/// Reads state and counts of a node. Any thread may call this at any time.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT: the index is not in a fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_stats_get(
    index: *const ci_index,
    out: *mut ci_fleet_stats,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let ((_, member), out) = (member(index)?, OutStruct::required(out, "out")?);
            out.write(stats_of(&member.stats()));
            Ok(CI_OK)
        })
    }
}

/// Leaves the fleet: shuts the gate for good, tells the other nodes, so that they do not wait for
/// this one, and does what `ci_durable_close` does. Blocks the calling thread. Without it, the
/// other nodes wait for this one until its time of freshness is over. Free the index afterwards,
/// which ends the threads. A second call does nothing.
///
/// Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
/// in no fleet; CI_ERR_IO as `ci_durable_close`.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_leave(index: *const ci_index, error: *mut ci_error) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or a struct that can be written to.
    unsafe {
        guard(error, || {
            member(index)?.1.leave().map_err(|error| not_done(&error))?;
            Ok(CI_OK)
        })
    }
}
