//! Indexes in a fleet, over the engine in memory: the name of the stream stands for the server.
//! `tests/c/fleet.c` has a real one.
#![allow(clippy::many_single_char_names, reason = "index, tenant, path and variant, in long calls")]

use super::calls::{Owned, index, kind, made, message, read, rules, sized_struct, tenant, text};
use crate::*;
use cache_index_fleet::MemoryEngine;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_int};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Mutex;

/// Nothing takes that long.
const LIMIT_MS: u64 = 120_000;

static SERVERS: Mutex<BTreeMap<String, MemoryEngine>> = Mutex::new(BTreeMap::new());

/// Returns the engine of this name, for `Joining`.
#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
pub(crate) fn connect(name: &str) -> Result<MemoryEngine, crate::error::Failure> {
    Ok(SERVERS.lock().unwrap().entry(name.to_owned()).or_default().handle())
}

fn durable(dir: &Path) -> Owned<ci_index> {
    let mut durable = sized_struct::<ci_durable_config>();
    durable.no_background_snapshots = 1;
    let dir = text(dir.to_str().unwrap());
    // SAFETY: all pointers are valid.
    made(ci_index_free, |out, error| unsafe {
        ci_durable_open(dir, null(), &raw const durable, out, error)
    })
}

fn joined(
    dir: &Path,
    name: &str,
    server: &str,
    change: fn(&mut ci_fleet_config),
) -> Owned<ci_index> {
    let node = durable(dir);
    let (mut config, mut error) = (sized_struct::<ci_fleet_config>(), sized_struct::<ci_error>());
    (config.stream, config.subject) = (text(server), text("purges"));
    (config.patience_ms, config.keep_removed) = (LIMIT_MS, 1);
    change(&mut config);
    let urls = text("nats://127.0.0.1:1");
    // SAFETY: all pointers are valid, and nobody else uses the index.
    let code =
        unsafe { ci_fleet_join(node.0, urls, text(name), &raw const config, &raw mut error) };
    assert_eq!(code, CI_OK, "{}", message(&error));
    node
}

fn wait(node: &Owned<ci_index>, milliseconds: u64) -> c_int {
    // SAFETY: all pointers are valid.
    unsafe { ci_fleet_wait(node.0, milliseconds, null_mut()) }
}

/// Two nodes of one fleet, whose gates are open.
struct Pair {
    _dirs: [tempfile::TempDir; 2],
    tenants: [Owned<ci_tenant>; 2],
    nodes: [Owned<ci_index>; 2],
}

impl Pair {
    fn new(server: &str, change: fn(&mut ci_fleet_config)) -> Self {
        let dirs = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let nodes = ["a", "b"];
        let nodes = [0, 1].map(|at| joined(dirs[at].path(), nodes[at], server, change));
        assert!(nodes.iter().all(|node| wait(node, LIMIT_MS) == 1));
        let tenants = [0, 1].map(|at| tenant(&nodes[at], "doc"));
        Self { _dirs: dirs, tenants, nodes }
    }

    fn fill(&self, at: usize, path: &str, value: u64) {
        let (node, tenant) = (self.nodes[at].0, self.tenants[at].0);
        // SAFETY: all pointers are valid.
        let code = unsafe {
            ci_insert(node, tenant, text(path), text("?w=1"), value, null_mut(), null_mut())
        };
        assert_eq!(code, CI_STORED);
    }

    fn state(&self, at: usize, path: &str) -> c_int {
        let (node, tenant, mut value) = (self.nodes[at].0, self.tenants[at].0, 0);
        let value = &raw mut value;
        // SAFETY: all pointers are valid.
        unsafe { ci_lookup(node, tenant, text(path), text("?w=1"), value, null_mut()) }
    }
}

const INVALIDATIONS: [&str; 8] = [
    "ci_fleet_purge",
    "ci_fleet_purge_variants",
    "ci_fleet_purge_prefix",
    "ci_fleet_flush of a tenant",
    "ci_fleet_flush",
    "ci_fleet_flush_over",
    "ci_fleet_tenant_forget",
    "ci_fleet_request",
];

/// Invalidates `a/1` with `?w=1` by the function of this name, and returns the code, the receipt
/// and the values.
fn invalidate(name: &str, pair: &Pair, level: c_int, mode: c_int) -> (c_int, ci_reached, Vec<u64>) {
    let (i, t, a) = (pair.nodes[0].0, pair.tenants[0].0, text("a/1"));
    let (key, rules) = (text("?w=1"), rules(false));
    let (mut out, mut error) = (sized_struct::<ci_reached>(), sized_struct::<ci_error>());
    let (o, e, mut values) = (&raw mut out, &raw mut error, null_mut());
    let v = &raw mut values;
    // SAFETY: all pointers are valid.
    let code = unsafe {
        match name {
            "ci_fleet_purge" => ci_fleet_purge(i, t, a, mode, level, o, v, e),
            "ci_fleet_purge_variants" => {
                ci_fleet_purge_variants(i, t, a, &raw const key, 1, mode, level, o, v, e)
            }
            "ci_fleet_purge_prefix" => ci_fleet_purge_prefix(i, t, text("a/"), mode, level, o, e),
            "ci_fleet_flush of a tenant" => ci_fleet_flush(i, t, mode, level, o, e),
            "ci_fleet_flush" => ci_fleet_flush(i, null(), mode, level, o, e),
            "ci_fleet_flush_over" => ci_fleet_flush_over(i, t, 0, CI_STALE, level, o, e),
            "ci_fleet_tenant_forget" => ci_fleet_tenant_forget(i, t, level, o, e),
            "ci_fleet_request" => {
                let hard = r#"{"scope":"original","urls":["/a/1"],"mode":"hard"}"#;
                let soft = r#"{"scope":"original","urls":["/a/1"],"mode":"soft"}"#;
                let body = text(if mode == CI_HARD { hard } else { soft });
                ci_fleet_request(i, t, rules.0, body, level, o, v, e)
            }
            other => unreachable!("{other}"),
        }
    };
    assert!(code >= 0, "{name}: {}", message(&error));
    (code, out, read(values).into_iter().map(|(.., value)| value).collect())
}

/// Invalidates on one node by the function of this name, and looks at both.
fn reaches_the_other_node(name: &str, mode: c_int, expected: c_int) {
    let pair = Pair::new(&format!("{name} {mode}"), |_| {});
    pair.fill(0, "a/1", 7);
    pair.fill(1, "a/1", 8);
    let (code, out, values) = invalidate(name, &pair, CI_REACH_EVERYWHERE, mode);
    assert_eq!((code, out.reach), (CI_OK, CI_REACH_EVERYWHERE), "{name}");
    assert_eq!((out.durability, out.values), (CI_DURABLE, values.len()), "{name}");
    let states = (pair.state(0, "a/1"), pair.state(1, "a/1"));
    assert_eq!(states, (expected, expected), "{name}, mode {mode}");
    let is_purge = ["ci_fleet_purge", "ci_fleet_purge_variants", "ci_fleet_request"];
    let is_purge = is_purge.contains(&name) && mode == CI_HARD;
    assert_eq!(values, if is_purge { vec![7] } else { vec![] }, "{name}, mode {mode}");
    let mut removed = null_mut();
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_fleet_removed(pair.nodes[1].0, &raw mut removed, null_mut()) };
    assert_eq!(code, CI_OK);
    let removed: Vec<_> = read(removed).into_iter().map(|(.., value)| value).collect();
    assert_eq!(removed, if is_purge { vec![8] } else { vec![] }, "{name}, mode {mode}");
}

/// At the same time, as a new node waits for those that it may not know yet.
#[test]
fn each_function_that_invalidates_reaches_the_other_node() {
    std::thread::scope(|scope| {
        for name in INVALIDATIONS {
            scope.spawn(move || reaches_the_other_node(name, CI_HARD, CI_MISS));
            if !["ci_fleet_flush_over", "ci_fleet_tenant_forget"].contains(&name) {
                scope.spawn(move || reaches_the_other_node(name, CI_SOFT, CI_STALE));
            }
        }
    });
}

#[test]
fn functions_that_invalidate_one_index_alone_are_refused_and_change_nothing() {
    let pair = Pair::new("refused", |_| {});
    pair.fill(0, "a/1", 7);
    let (i, t, a, none) = (pair.nodes[0].0, pair.tenants[0].0, text("a/1"), null_mut());
    let (key, operation, rules) = (text("?w=1"), text("w=1"), rules(false));
    let mut error = sized_struct::<ci_error>();
    let e = &raw mut error;
    // SAFETY: all pointers are valid.
    let codes = unsafe {
        [
            ci_purge(i, t, a, CI_HARD, none, null_mut(), e),
            ci_purge_variants(i, t, a, &raw const key, 1, CI_HARD, none, null_mut(), e),
            {
                let texts = &raw const operation;
                ci_purge_operations(i, t, a, rules.0, texts, 1, CI_HARD, none, null_mut(), e)
            },
            ci_purge_prefix(i, t, a, CI_HARD, none, e),
            ci_flush(i, t, CI_HARD, none, e),
            ci_flush(i, null(), CI_HARD, none, e),
            ci_flush_over(i, t, 5, CI_LIVE, none, e),
            ci_flush_over(i, null(), 5, CI_LIVE, none, e),
            ci_tenant_forget(i, t, none, e),
            ci_durable_close(i, e),
        ]
    };
    let expected = "index is in a fleet: expected a function of ci_fleet_";
    assert_eq!((codes, message(&error)), ([CI_ERR_ARGUMENT; 10], expected));
    assert_eq!(pair.state(0, "a/1"), CI_LIVE);
}

/// The states that each function answers while the gate is shut: of a lookup, of a prepared one, of
/// many, of a claim, and of a claim of what is not stored.
fn shut_answers(pair: &Pair) -> [(c_int, u64); 5] {
    let (i, t, a, w) = (pair.nodes[0].0, pair.tenants[0].0, text("a/1"), text("?w=1"));
    let (path, key) = (super::calls::path("a/1"), super::calls::key("?w=1"));
    let mut values = [0; 4];
    let (mut lease, mut other) = (null_mut(), null_mut());
    let (name, mut found) = (ci_name { path: a, variant: w }, ci_found { value: 0, state: 0 });
    // SAFETY: all pointers are valid.
    unsafe {
        let [one, two, three, four] = values.each_mut().map(|value| &raw mut *value);
        let e = null_mut;
        let states = [
            ci_lookup(i, t, a, w, one, e()),
            ci_lookup_prepared(i, t, path.0, key.0, two, e()),
            ci_claim(i, t, a, w, 9, three, &raw mut lease, e()),
            ci_claim(i, t, text("new"), w, 9, four, &raw mut other, e()),
        ];
        assert!(lease.is_null() && !other.is_null());
        ci_lease_free(other);
        assert_eq!(ci_lookup_many(i, t, &raw const name, 1, &raw mut found, e()), CI_OK);
        [
            (states[0], values[0]),
            (states[1], values[1]),
            (found.state, found.value),
            (states[2], values[2]),
            (states[3], values[3]),
        ]
    }
}

fn gate(node: &Owned<ci_index>) -> c_int {
    // SAFETY: all pointers are valid.
    unsafe { ci_fleet_gate(node.0, null_mut()) }
}

/// Stops the server, and waits until the gates are shut.
fn shut(pair: &Pair, server: &str) {
    connect(server).unwrap().stop();
    let began = std::time::Instant::now();
    while pair.nodes.iter().any(|node| gate(node) == CI_GATE_OPEN) {
        assert!(began.elapsed().as_secs() < 120, "waited in vain");
        // Looks again: C has no call that waits for a shut gate.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn no_lookup_passes_a_gate_that_is_shut() {
    let stale: fn(&mut ci_fleet_config) = |config| config.fresh_for_ms = 200;
    let refuse: fn(&mut ci_fleet_config) =
        |config| (config.fresh_for_ms, config.when_shut) = (200, CI_SHUT_REFUSE);
    for (server, change, gate_is, answer) in [
        ("shut stale", stale, CI_GATE_STALE, (CI_STALE, 7)),
        ("shut refuse", refuse, CI_GATE_REFUSE, (CI_MISS, 0)),
    ] {
        let pair = Pair::new(server, change);
        pair.fill(0, "a/1", 7);
        shut(&pair, server);
        assert_eq!(gate(&pair.nodes[0]), gate_is);
        let claimed = (CI_CLAIMED, 9);
        assert_eq!(shut_answers(&pair), [answer, answer, answer, answer, claimed], "{server}");
        assert_eq!(wait(&pair.nodes[0], 1), 0);
        connect(server).unwrap().start();
        assert_eq!(wait(&pair.nodes[0], LIMIT_MS), 1);
    }
}

#[test]
fn invalidation_that_does_not_reach_its_level_says_how_far_it_got() {
    let pair = Pair::new("not reached", |config| {
        (config.fresh_for_ms, config.patience_ms) = (200, 50);
    });
    pair.fill(0, "a/1", 7);
    shut(&pair, "not reached");
    let (code, out, values) = invalidate("ci_fleet_purge", &pair, CI_REACH_DURABLE, CI_HARD);
    assert_eq!((code, out.reach), (CI_NOT_REACHED, CI_REACH_LOCAL));
    assert_eq!((out.durability, out.values, values), (CI_DURABLE, 1, vec![7]));
    assert_eq!(pair.state(0, "a/1"), CI_MISS);
    let (code, out, _) = invalidate("ci_fleet_purge", &pair, CI_REACH_LOCAL, CI_HARD);
    assert_eq!((code, out.reach), (CI_OK, CI_REACH_LOCAL));
    let mut error = sized_struct::<ci_error>();
    let (i, t, e) = (pair.nodes[0].0, pair.tenants[0].0, &raw mut error);
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_fleet_flush(i, t, CI_HARD, CI_REACH_EVERYWHERE, null_mut(), e) };
    assert_eq!((code, error.code, kind(&error)), (CI_NOT_REACHED, CI_NOT_REACHED, "NotReached"));
    assert_eq!(message(&error), "reached local: expected everywhere in time");
    let mut stats = sized_struct::<ci_fleet_stats>();
    // SAFETY: all pointers are valid.
    assert_eq!(unsafe { ci_fleet_stats_get(i, &raw mut stats, null_mut()) }, CI_OK);
    assert_eq!((stats.outbox, stats.not_reached, stats.reached[0]), (3, 2, 1));
    assert_eq!((stats.gate, stats.size), (CI_GATE_STALE, size_of::<ci_fleet_stats>()));
}

fn words(watermark: &ci_watermark) -> &str {
    // SAFETY: the library ends each text with a zero byte.
    let text = unsafe { CStr::from_ptr(watermark.text.as_ptr()) }.to_str().unwrap();
    assert_eq!(text.len(), watermark.len);
    text
}

#[test]
fn watermark_of_an_edge_is_compared_by_a_shield() {
    let pair = Pair::new("watermark", |_| {});
    invalidate("ci_fleet_flush", &pair, CI_REACH_EVERYWHERE, CI_HARD);
    let (mut sent, mut echo) = (sized_struct::<ci_watermark>(), sized_struct::<ci_watermark>());
    let mut error = sized_struct::<ci_error>();
    let (shield, e) = (pair.nodes[1].0, &raw mut error);
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(ci_fleet_watermark(pair.nodes[0].0, LIMIT_MS, &raw mut sent, e), 1);
        let asked = text(words(&sent));
        let check = |asked, out| ci_fleet_watermark_check(shield, asked, LIMIT_MS, out, e);
        assert_eq!(check(asked, &raw mut echo), CI_TIER_CACHE);
        assert_eq!(ci_fleet_watermark_keeps(asked, text(words(&echo)), e), 1);
        for other in ["", "purges", "other:99"] {
            assert_eq!(ci_fleet_watermark_keeps(asked, text(other), e), 0, "{other}");
        }
        assert_eq!(check(text("other:1"), &raw mut echo), CI_TIER_PAST);
        assert_eq!(words(&echo), "other:1");
        let (stream, _) = words(&sent).rsplit_once(':').unwrap();
        let later = format!("{stream}:99999999");
        assert_eq!(
            ci_fleet_watermark_check(shield, text(&later), 1, &raw mut echo, e),
            CI_TIER_PAST,
            "it is behind"
        );
        assert_eq!(check(text("purges"), &raw mut echo), CI_ERR_TEXT);
        let expected = "asked: no colon at byte 6: expected `stream id:number`";
        assert_eq!((kind(&*e), message(&*e)), ("NoColon", expected));
        assert_eq!(ci_fleet_watermark_keeps(text("x:01"), asked, e), CI_ERR_TEXT);
    }
    invalidate("ci_fleet_flush", &pair, CI_REACH_EVERYWHERE, CI_HARD);
    let (i, t) = (pair.nodes[0].0, pair.tenants[0].0);
    // SAFETY: all pointers are valid.
    unsafe {
        let everywhere = CI_REACH_EVERYWHERE;
        ci_fleet_flush_over(i, t, 3_600_000, CI_LIVE, everywhere, null_mut(), e);
        assert_eq!(ci_fleet_watermark(i, LIMIT_MS, &raw mut sent, e), 1);
        let asked = text(words(&sent));
        let code = ci_fleet_watermark_check(shield, asked, LIMIT_MS, &raw mut echo, e);
        assert_eq!(code, CI_TIER_PAST, "a flush over time is running");
    }
}

#[test]
fn node_that_has_left_serves_nothing_as_fresh_and_starts_warm() {
    let dir = tempfile::tempdir().unwrap();
    for expected in [CI_RECOVERY_NEW, CI_RECOVERY_WARM] {
        let node = joined(dir.path(), "a", "left", |_| {});
        let mut found = sized_struct::<ci_recovery>();
        assert_eq!(wait(&node, LIMIT_MS), 1);
        // SAFETY: all pointers are valid.
        unsafe {
            assert_eq!(ci_durable_recovery(node.0, &raw mut found, null_mut()), expected);
            assert_eq!(found.closed, c_int::from(expected == CI_RECOVERY_WARM));
            let leave = || ci_fleet_leave(node.0, null_mut());
            assert_eq!((leave(), leave()), (CI_OK, CI_OK));
        }
        assert_eq!(gate(&node), CI_GATE_STALE);
    }
}

#[test]
fn handles_and_leases_of_before_are_those_of_the_fleet() {
    let dir = tempfile::tempdir().unwrap();
    let node = durable(dir.path());
    let doc = tenant(&node, "doc");
    // SAFETY: all pointers are valid.
    unsafe {
        let take = |out, error| ci_lease_take(node.0, doc.0, text("a"), out, error);
        let (slow, other) = (made(ci_lease_free, take), made(ci_lease_free, take));
        let urls = text("nats://127.0.0.1:1");
        assert_eq!(ci_fleet_join(node.0, urls, text("a"), null(), null_mut()), CI_OK);
        assert_eq!(ci_lease_commit(other.0, text("w"), 1, null_mut(), null_mut()), CI_STORED);
        let (nothing, local) = (null_mut(), CI_REACH_LOCAL);
        let (i, values) = (node.0, null_mut());
        let code = ci_fleet_purge(i, doc.0, text("a"), CI_HARD, local, nothing, values, null_mut());
        assert_eq!(code, CI_OK);
        assert_eq!(ci_lease_commit(slow.0, text("w"), 2, null_mut(), null_mut()), CI_REFUSED);
    }
}

type Change = fn(&mut ci_fleet_config);

#[test]
fn settings_that_contradict_each_other_are_named_and_leave_the_index_alone() {
    let dir = tempfile::tempdir().unwrap();
    let node = durable(dir.path());
    let mut error = sized_struct::<ci_error>();
    let url = "nats://127.0.0.1:1";
    for (change, expected) in [
        (
            (|it| it.when_shut = 2) as Change,
            "when_shut is 2: expected CI_SHUT_STALE or CI_SHUT_REFUSE",
        ),
        (|it| it.keep_removed = 2, "keep_removed is 2: expected 0 or 1"),
        (|it| it.flush_at_once = -1, "flush_at_once is -1: expected 0 or 1"),
        (|it| it.fresh_for_ms = 199, "time of freshness must be from 200 ms to 1 hour, got 199ms"),
        (
            |it| it.longest_fresh_for_ms = 300,
            "longest time of freshness must be at least that of this node, got 300ms",
        ),
        (|it| it.outbox_limit = 1, "limit of the outbox must be at least 2, got 1"),
        (|it| it.replicas = 6, "replicas is 6: expected 1 to 5"),
        (|it| it.replicas = -1, "replicas is -1: expected 1 to 5"),
        (|it| it.stream = text("s"), "one of stream and subject is set: expected both or none"),
    ] {
        let mut config = sized_struct::<ci_fleet_config>();
        change(&mut config);
        // SAFETY: all pointers are valid.
        let code = unsafe {
            ci_fleet_join(node.0, text(url), text("a"), &raw const config, &raw mut error)
        };
        assert_eq!((code, message(&error)), (CI_ERR_ARGUMENT, expected));
    }
    let invalid = ci_str { ptr: c"a\xff".as_ptr(), len: 2 };
    let e = &raw mut error;
    let mut small = sized_struct::<ci_fleet_config>();
    small.size = 8;
    let (memory, u, a) = (index(1, false), text(url), text("a"));
    // SAFETY: all pointers are valid.
    let codes = unsafe {
        [
            ci_fleet_join(null_mut(), u, a, null(), e),
            ci_fleet_join(node.0, invalid, a, null(), e),
            ci_fleet_join(node.0, u, invalid, null(), e),
            ci_fleet_join(node.0, text(""), a, null(), e),
            ci_fleet_join(node.0, u, text("a b"), null(), e),
            ci_fleet_join(node.0, u, a, &raw const small, e),
            ci_fleet_join(memory.0, u, a, null(), e),
        ]
    };
    let text_error = CI_ERR_TEXT;
    let (argument, size) = (CI_ERR_ARGUMENT, CI_ERR_SIZE);
    assert_eq!(codes, [CI_ERR_NULL, text_error, text_error, text_error, argument, size, argument]);
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(ci_fleet_gate(node.0, e), CI_ERR_ARGUMENT);
        assert_eq!(message(&*e), "index is not in a fleet: expected one of ci_fleet_join");
        assert_eq!(ci_flush(node.0, null(), CI_HARD, null_mut(), null_mut()), CI_OK);
        assert_eq!(ci_fleet_join(node.0, u, a, null(), e), CI_OK);
        assert_eq!(ci_fleet_join(node.0, u, a, null(), e), CI_ERR_ARGUMENT);
    }
}

#[test]
fn bad_input_is_a_code_and_invalidates_nothing() {
    let pair = Pair::new("bad input", |_| {});
    pair.fill(0, "a/1", 7);
    let other = index(1, false);
    let (foreign, rules) = (tenant(&other, "doc"), rules(false));
    let (i, t, a, local) = (pair.nodes[0].0, pair.tenants[0].0, text("a/1"), CI_REACH_LOCAL);
    let mut error = sized_struct::<ci_error>();
    let (e, none, null_values) = (&raw mut error, null_mut(), null_mut());
    let mut small = sized_struct::<ci_reached>();
    small.size = 8;
    let invalid = ci_str { ptr: c"a\xff".as_ptr(), len: 2 };
    let keys = [text("?w=1"), text("")];
    let purge = |i, t, path, mode, level, out| {
        // SAFETY: all pointers are valid.
        unsafe { ci_fleet_purge(i, t, path, mode, level, out, null_values, e) }
    };
    let hard = CI_HARD;
    let codes = [
        purge(null(), t, a, hard, local, none),
        purge(other.0, foreign.0, a, hard, local, none),
        purge(i, null(), a, hard, local, none),
        purge(i, foreign.0, a, hard, local, none),
        purge(i, t, invalid, hard, local, none),
        purge(i, t, text(""), hard, local, none),
        purge(i, t, a, 2, local, none),
        purge(i, t, a, hard, 3, none),
        purge(i, t, a, hard, local, &raw mut small),
    ];
    let (null_code, argument, text_code) = (CI_ERR_NULL, CI_ERR_ARGUMENT, CI_ERR_TEXT);
    let expected = [null_code, argument, null_code, CI_ERR_TENANT, text_code, text_code, argument];
    assert_eq!(codes[..7], expected);
    assert_eq!(codes[7..], [argument, CI_ERR_SIZE]);
    // SAFETY: all pointers are valid.
    unsafe {
        let keys = keys.as_ptr();
        let code = ci_fleet_purge_variants(i, t, a, keys, 2, hard, local, none, null_values, e);
        assert_eq!((code, (*e).element), (CI_ERR_TEXT, 1));
        let code = ci_fleet_purge_variants(i, t, a, keys, 0, hard, local, none, null_values, e);
        assert_eq!(code, CI_ERR_ARGUMENT);
        assert_eq!(ci_fleet_purge_prefix(i, t, text(""), hard, local, none, e), CI_ERR_TEXT);
        assert_eq!(ci_fleet_flush(i, foreign.0, hard, local, none, e), CI_ERR_TENANT);
        assert_eq!(ci_fleet_flush_over(i, t, 5, 7, local, none, e), CI_ERR_ARGUMENT);
        assert_eq!(ci_fleet_tenant_forget(i, null(), local, none, e), CI_ERR_NULL);
        let request = |body| ci_fleet_request(i, t, rules.0, body, local, none, null_values, e);
        assert_eq!(request(text("{}")), CI_ERR_TEXT);
        assert_eq!(message(&*e), "scope is missing: expected \"original\", \"urls\" or \"all\"");
        let body = text(r#"{"scope":"original","urls":["/a/1","/a/%"]}"#);
        assert_eq!((request(body), (*e).element, kind(&*e)), (CI_ERR_TEXT, 1, "Request"));
        assert_eq!(ci_fleet_removed(i, null_mut(), e), CI_ERR_NULL);
        assert_eq!(ci_fleet_stats_get(i, null_mut(), e), CI_ERR_NULL);
        assert_eq!(ci_fleet_watermark(i, 0, null_mut(), e), CI_ERR_NULL);
        let memory = other.0;
        let codes = [
            ci_fleet_wait(memory, 0, e),
            ci_fleet_leave(memory, e),
            ci_fleet_flush(memory, null(), hard, local, none, e),
        ];
        assert_eq!(BTreeSet::from(codes), BTreeSet::from([CI_ERR_ARGUMENT]));
    }
    assert_eq!(pair.state(0, "a/1"), CI_LIVE);
}
