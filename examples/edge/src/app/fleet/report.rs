//! The state of the fleet as this edge sees it, for people and for Prometheus.

use super::member::Member;
use crate::app::metrics::{Label, gauge};
use crate::app::shield::ShieldCounters;
use cache_index_fleet::{Admission, FleetStats};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::atomic::AtomicU64;

fn gate(stats: &FleetStats) -> &'static str {
    match stats.gate {
        Admission::Serve => "serve",
        Admission::ServeStale => "serve stale",
        Admission::Refuse => "refuse",
    }
}

/// A part of `/stats`.
pub(crate) fn report(member: &Member, shield: Option<&ShieldCounters>) -> Value {
    let stats = member.fleet.stats();
    let latency: serde_json::Map<_, _> = stats
        .latency
        .iter()
        .map(|(level, latency)| {
            let count = u32::try_from(latency.count).unwrap_or(u32::MAX);
            let mean = latency.total.checked_div(count).unwrap_or_default().as_secs_f64();
            let longest = latency.longest.as_secs_f64();
            let told = json!({ "count": latency.count, "mean": mean, "longest": longest });
            (level.to_string(), told)
        })
        .collect();
    json!({
        "node": member.name,
        "is_shield": member.is_shield,
        "gate": gate(&stats),
        "nodes": stats.members,
        "position": stats.position,
        "lag": stats.lag,
        "outbox": stats.outbox,
        "proofs": stats.proofs,
        "flushes": stats.flushes,
        "resent": stats.resent,
        "invalidations": stats.invalidations,
        "not_reached": stats.not_reached,
        "namesakes": stats.namesakes,
        "latency": latency,
        "shield": shield.map(ShieldCounters::report),
    })
}

/// Adds the metrics of the fleet.
pub(crate) fn register(registry: &mut Registry, member: &Member) {
    let registry = registry.sub_registry_with_prefix("fleet");
    let stats = member.fleet.stats();
    for (name, help, value) in [
        ("nodes", "Nodes that may serve as fresh, with this one", stats.members as u64),
        ("position", "The last message of the log that holds here", stats.position),
        ("lag", "Messages of the log that do not hold here yet", stats.lag),
        ("outbox", "Own invalidations that the log has not delivered", stats.outbox as u64),
        ("namesakes", "Other edges that run with the name of this one", stats.namesakes as u64),
    ] {
        gauge(registry, name, help, value);
    }
    let gates = Family::<Label, Gauge<u64, AtomicU64>>::default();
    for state in ["serve", "serve stale", "refuse"] {
        gates.get_or_create(&[("state", state)]).set(u64::from(state == gate(&stats)));
    }
    registry.register("gate", "1 for what the edge may serve now", gates);
    for (name, help, value) in [
        ("proofs", "Proofs that nothing was missing", stats.proofs),
        ("resent", "Messages that were sent again", stats.resent),
        ("losses", "Messages of the log that are lost, as some node has noticed", stats.losses),
        ("invalidations", "Invalidations of other nodes", stats.invalidations),
        ("not_reached", "Invalidations that did not reach their level in time", stats.not_reached),
        ("damaged", "Damaged or unknown messages", stats.damaged + stats.unknown_version),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let flushes = Family::<Label, Counter>::default();
    for (reason, count) in &stats.flushes {
        flushes.get_or_create(&[("reason", reason)]).inc_by(*count);
    }
    registry.register("flushes", "Flushes of everything, by reason", flushes);
    latency(registry, &stats);
}

/// Adds the time until invalidations have reached their level.
fn latency(registry: &mut Registry, stats: &FleetStats) {
    type ByLevel<T> = Family<[(&'static str, String); 1], T>;
    let (counts, sums) =
        (ByLevel::<Counter>::default(), ByLevel::<Gauge<f64, AtomicU64>>::default());
    for (level, latency) in &stats.latency {
        let label = [("level", level.to_string())];
        counts.get_or_create(&label).inc_by(latency.count);
        sums.get_or_create(&label).set(latency.total.as_secs_f64());
    }
    registry.register("reached", "Invalidations that have reached their level", counts);
    registry.register("reached_seconds_sum", "The time that they took", sums);
}
