//! Indexes that are kept in a directory: each function that invalidates writes to the log, and the
//! invalidation holds after a restart.

use super::calls::{
    Owned, index, kind, made, message, read, rules, sized_struct, stats, tenant, text,
};
use crate::*;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::ptr::{null, null_mut};

type Change = fn(&mut ci_durable_config);

fn open(dir: &Path, change: Change) -> Result<Owned<ci_index>, (c_int, Box<ci_error>)> {
    let (mut durable, mut error) = (sized_struct(), sized_struct::<ci_error>());
    change(&mut durable);
    let mut out = null_mut();
    let dir = text(dir.to_str().unwrap());
    // SAFETY: all pointers are valid.
    let code =
        unsafe { ci_durable_open(dir, null(), &raw const durable, &raw mut out, &raw mut error) };
    assert_eq!(out.is_null(), code != CI_OK);
    if code == CI_OK { Ok(Owned(out, ci_index_free)) } else { Err((code, Box::new(error))) }
}

/// No snapshot is written but where the test says so.
fn quiet(config: &mut ci_durable_config) {
    config.no_background_snapshots = 1;
}

fn opened(dir: &Path) -> Owned<ci_index> {
    open(dir, quiet).map_err(|(_, error)| message(&error).to_owned()).unwrap()
}

fn recovery(index: &Owned<ci_index>) -> ci_recovery {
    let mut out = sized_struct::<ci_recovery>();
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_durable_recovery(index.0, &raw mut out, null_mut()) };
    assert_eq!(code, out.state);
    out
}

fn log_of(index: &Owned<ci_index>) -> ci_durable_stats {
    let mut out = sized_struct::<ci_durable_stats>();
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_durable_stats_get(index.0, &raw mut out, null_mut()) };
    assert_eq!(code, CI_OK);
    out
}

fn insert(index: &Owned<ci_index>, tenant: &Owned<ci_tenant>, path: &str, key: &str, value: u64) {
    // SAFETY: all pointers are valid.
    let code = unsafe {
        ci_insert(index.0, tenant.0, text(path), text(key), value, null_mut(), null_mut())
    };
    assert_eq!(code, CI_STORED);
}

fn state(index: &Owned<ci_index>, tenant: &Owned<ci_tenant>, path: &str, key: &str) -> c_int {
    let mut value = 0;
    // SAFETY: all pointers are valid.
    unsafe { ci_lookup(index.0, tenant.0, text(path), text(key), &raw mut value, null_mut()) }
}

fn snapshot(index: &Owned<ci_index>) -> c_int {
    // SAFETY: all pointers are valid.
    unsafe { ci_durable_snapshot(index.0, null_mut(), null_mut()) }
}

fn close(index: &Owned<ci_index>) -> c_int {
    // SAFETY: all pointers are valid.
    unsafe { ci_durable_close(index.0, null_mut()) }
}

fn words(bytes: &[c_char]) -> &str {
    // SAFETY: the library ends each text with a zero byte.
    unsafe { CStr::from_ptr(bytes.as_ptr()) }.to_str().unwrap()
}

const INVALIDATIONS: [&str; 8] = [
    "ci_purge",
    "ci_purge_variants",
    "ci_purge_operations",
    "ci_purge_prefix",
    "ci_flush of a tenant",
    "ci_flush",
    "ci_flush_over",
    "ci_tenant_forget",
];

/// Invalidates `a/1` with `?w=1`, by the function of this name.
fn invalidate(
    name: &str,
    index: &Owned<ci_index>,
    tenant: &Owned<ci_tenant>,
    mode: c_int,
) -> (c_int, c_int) {
    let (i, t, a, none) = (index.0, tenant.0, text("a/1"), null_mut());
    let (key, operation, rules) = (text("?w=1"), text("w=1"), rules(false));
    let mut out = sized_struct::<ci_purged>();
    let o = &raw mut out;
    // SAFETY: all pointers are valid.
    let code = unsafe {
        match name {
            "ci_purge" => ci_purge(i, t, a, mode, o, null_mut(), none),
            "ci_purge_variants" => {
                ci_purge_variants(i, t, a, &raw const key, 1, mode, o, null_mut(), none)
            }
            "ci_purge_operations" => {
                let texts = &raw const operation;
                ci_purge_operations(i, t, a, rules.0, texts, 1, mode, o, null_mut(), none)
            }
            "ci_purge_prefix" => ci_purge_prefix(i, t, text("a/"), mode, o, none),
            "ci_flush of a tenant" => ci_flush(i, t, mode, o, none),
            "ci_flush" => ci_flush(i, null(), mode, o, none),
            "ci_flush_over" => ci_flush_over(i, t, 3_600_000, CI_LIVE, o, none),
            "ci_tenant_forget" => ci_tenant_forget(i, t, o, none),
            other => unreachable!("{other}"),
        }
    };
    (code, out.durability)
}

#[test]
fn each_function_that_invalidates_is_logged_and_holds_after_a_restart() {
    for name in INVALIDATIONS {
        for (mode, expected) in [(CI_HARD, CI_MISS), (CI_SOFT, CI_STALE)] {
            let only_hard = ["ci_flush_over", "ci_tenant_forget"].contains(&name);
            let expected = if only_hard { CI_MISS } else { expected };
            let dir = tempfile::tempdir().unwrap();
            let index = opened(dir.path());
            assert_eq!(recovery(&index).state, CI_RECOVERY_NEW);
            let tenant = tenant(&index, "doc");
            insert(&index, &tenant, "a/1", "?w=1", 7);
            assert_eq!(snapshot(&index), CI_OK);
            assert_eq!(invalidate(name, &index, &tenant, mode), (CI_OK, CI_DURABLE), "{name}");
            assert_eq!(log_of(&index).log_records, 1, "{name}");
            drop((tenant, index)); // As if the process had crashed.

            let index = opened(dir.path());
            let found = recovery(&index);
            assert_eq!((found.state, found.closed), (CI_RECOVERY_WARM, 0), "{name}");
            assert_eq!((found.entries, found.replayed), (1, 1), "{name}");
            let tenant = super::calls::tenant(&index, "doc");
            assert_eq!(state(&index, &tenant, "a/1", "?w=1"), expected, "{name}, mode {mode}");
        }
    }
}

#[test]
fn all_other_functions_are_those_of_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let index = opened(dir.path());
    let tenant = tenant(&index, "doc");
    let (a, w) = (text("a/1"), text("w"));
    // SAFETY: all pointers are valid.
    unsafe {
        let take = |out, error| ci_lease_take(index.0, tenant.0, a, out, error);
        let (lease, slow) = (made(ci_lease_free, take), made(ci_lease_free, take));
        assert_eq!(ci_lease_commit(lease.0, w, 7, null_mut(), null_mut()), CI_STORED);
        assert_eq!(stats(&index).open_leases, 1);
        let (mut found, mut claim) = (0, null_mut());
        let (f, c) = (&raw mut found, &raw mut claim);
        assert_eq!(ci_claim(index.0, tenant.0, a, w, 8, f, c, null_mut()), CI_LIVE);
        assert_eq!((found, claim.is_null()), (7, true));
        let list = |path| ci_variants(index.0, tenant.0, a, path, null_mut());
        let mut entries = null_mut();
        assert_eq!(list(&raw mut entries), CI_OK);
        assert_eq!(read(entries), [(String::new(), "w".to_owned(), 0)]);
        assert_eq!(ci_paths(index.0, tenant.0, text("a"), &raw mut entries, null_mut()), CI_OK);
        assert_eq!(read(entries), [("a/1".to_owned(), String::new(), 0)]);
        let (name, mut answer) = (ci_name { path: a, variant: w }, ci_found { value: 0, state: 0 });
        let many = (&raw const name, &raw mut answer);
        ci_lookup_many(index.0, tenant.0, many.0, 1, many.1, null_mut());
        assert_eq!((answer.value, answer.state), (7, CI_LIVE));
        assert_eq!(ci_remove(index.0, tenant.0, a, w, 7, null_mut()), 1);
        assert_eq!(log_of(&index).log_records, 0, "nothing was invalidated");
        ci_purge(index.0, tenant.0, a, CI_HARD, null_mut(), null_mut(), null_mut());
        assert_eq!(ci_lease_commit(slow.0, w, 8, null_mut(), null_mut()), CI_REFUSED);
        insert(&index, &tenant, "a/1", "w", 9);
        ci_flush(index.0, null(), CI_HARD, null_mut(), null_mut());
        assert_eq!(ci_reclaim(index.0, 10, &raw mut entries, null_mut()), 1);
        ci_entries_free(entries);
    }
}

#[test]
fn closed_index_is_warm_and_its_values_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (index, mut incarnations) = (opened(dir.path()), [0; 2]);
    let tenant = tenant(&index, "doc");
    insert(&index, &tenant, "a/1", "w", 7);
    insert(&index, &tenant, "a/2", "w", 8);
    assert_eq!((close(&index), close(&index)), (CI_OK, CI_OK));
    let (mut purged, mut error) = (sized_struct::<ci_purged>(), sized_struct::<ci_error>());
    let mut gone = null_mut();
    // SAFETY: all pointers are valid.
    let code = unsafe {
        ci_durable_incarnation(index.0, &raw mut incarnations[0], null_mut());
        let (out, gone) = (&raw mut purged, &raw mut gone);
        ci_purge(index.0, tenant.0, text("a/1"), CI_HARD, out, gone, &raw mut error)
    };
    assert_eq!((code, purged.durability, purged.variants), (CI_NOT_DURABLE, CI_NOT_DURABLE, 1));
    assert_eq!(read(gone).len(), 1, "it holds in memory");
    assert_eq!((kind(&error), message(&error)), ("NotDurable", "index is closed"));
    assert_eq!(error.code, CI_NOT_DURABLE);
    assert_eq!(state(&index, &tenant, "a/1", "w"), CI_MISS);
    drop((tenant, index));

    let index = open(dir.path(), |config| config.load_in_background = 1).map_err(|it| it.0);
    let index = index.unwrap();
    let (mut found, mut values) = (sized_struct::<ci_recovery>(), null_mut());
    // SAFETY: all pointers are valid.
    unsafe {
        let state = ci_durable_wait(index.0, &raw mut found, null_mut());
        assert_eq!((state, found.closed, found.entries), (CI_RECOVERY_WARM, 1, 2));
        assert_eq!(ci_durable_values(index.0, &raw mut values, null_mut()), CI_OK);
        ci_durable_incarnation(index.0, &raw mut incarnations[1], null_mut());
    }
    let values: BTreeSet<_> = read(values).into_iter().map(|(.., value)| value).collect();
    assert_eq!(values, BTreeSet::from([7, 8]));
    assert!(incarnations[0] > 0 && incarnations[1] > incarnations[0], "{incarnations:?}");
    assert_eq!(recovery(&index).state, CI_RECOVERY_WARM);
}

#[test]
fn damaged_directory_is_cold_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let index = opened(dir.path());
    insert(&index, &tenant(&index, "doc"), "a/1", "w", 7);
    assert_eq!(close(&index), CI_OK);
    drop(index);
    std::fs::write(dir.path().join("MANIFEST"), b"damaged").unwrap();
    let index = opened(dir.path());
    let found = recovery(&index);
    assert_eq!((found.state, words(&found.kind)), (CI_RECOVERY_COLD, "Damaged"));
    let expected = "MANIFEST at byte 0: expected a manifest of at least 72 bytes";
    assert_eq!(words(&found.message), expected);
    assert_eq!(state(&index, &tenant(&index, "doc"), "a/1", "w"), CI_MISS);
}

#[test]
fn acknowledgements_follow_the_policy_of_syncs() {
    for (change, expected) in [
        ((|config| config.sync = CI_SYNC_NEVER) as Change, CI_WRITTEN),
        (|config| (config.sync, config.sync_ms) = (CI_SYNC_EVERY, 5), CI_WRITTEN),
        (|config| config.sync = CI_SYNC_ALWAYS, CI_DURABLE),
        (
            |config| {
                (config.snapshot_ms, config.snapshot_bytes) = (60_000, 1 << 20);
                (config.segment_bytes, config.load_threads) = (1 << 16, 2);
            },
            CI_DURABLE,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path(), change).map_err(|it| it.0).unwrap();
        let mut out = sized_struct::<ci_purged>();
        // SAFETY: all pointers are valid.
        let code = unsafe { ci_flush(index.0, null(), CI_HARD, &raw mut out, null_mut()) };
        assert_eq!((code, out.durability), (CI_OK, expected));
    }
}

#[test]
fn settings_that_contradict_each_other_are_named_and_touch_no_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("new");
    for (change, expected) in [
        (
            (|config| config.sync = 3) as Change,
            "sync is 3: expected CI_SYNC_ALWAYS, CI_SYNC_EVERY or CI_SYNC_NEVER",
        ),
        (|config| config.sync_ms = 5, "sync_ms is 5: expected 0 without CI_SYNC_EVERY"),
        (|config| config.sync = CI_SYNC_EVERY, "period of syncs must be longer than 0, got 0"),
        (
            |config| (config.no_background_snapshots, config.snapshot_ms) = (1, 5),
            "no_background_snapshots is 1: expected snapshot_ms and snapshot_bytes 0",
        ),
        (|config| config.snapshot_bytes = 1, "log size of a snapshot must be at least 4096, got 1"),
        (|config| config.load_in_background = 2, "load_in_background is 2: expected 0 or 1"),
        (|config| config.reserved = 1, "reserved is 1: expected 0"),
    ] {
        let (code, error) = open(&dir, change).err().unwrap();
        assert_eq!((code, message(&error)), (CI_ERR_ARGUMENT, expected));
    }
    let (code, error) = open(Path::new(""), quiet).err().unwrap();
    assert_eq!((code, kind(&error)), (CI_ERR_TEXT, "Empty"));
    assert!(!dir.exists());
}

#[test]
fn directory_in_use_and_an_index_in_memory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = opened(dir.path());
    let (code, error) = open(dir.path(), quiet).err().unwrap();
    assert_eq!((code, kind(&error)), (CI_ERR_IO, "Io"));
    let expected = "directory could not be locked: another process may use it: ";
    assert!(message(&error).starts_with(expected), "{}", message(&error));
    drop(first);
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let (code, error) = open(&file, quiet).err().unwrap();
    assert_eq!(code, CI_ERR_IO);
    assert!(message(&error).contains("Not a directory"), "{}", message(&error));

    let memory = index(1, false);
    let expected = "index is in memory alone: expected one of ci_durable_open";
    let mut error = sized_struct::<ci_error>();
    let e = &raw mut error;
    let (mut number, mut entries) = (0, null_mut());
    let mut stats = sized_struct::<ci_durable_stats>();
    // SAFETY: all pointers are valid.
    let codes = unsafe {
        [
            ci_durable_recovery(memory.0, null_mut(), e),
            ci_durable_wait(memory.0, null_mut(), e),
            ci_durable_incarnation(memory.0, &raw mut number, e),
            ci_durable_values(memory.0, &raw mut entries, e),
            ci_durable_snapshot(memory.0, null_mut(), e),
            ci_durable_stats_get(memory.0, &raw mut stats, e),
            ci_durable_close(memory.0, e),
        ]
    };
    assert_eq!((codes, message(&error)), ([CI_ERR_ARGUMENT; 7], expected));
    assert!(entries.is_null());
    let mut out = sized_struct::<ci_purged>();
    // SAFETY: all pointers are valid.
    assert_eq!(unsafe { ci_flush(memory.0, null(), CI_HARD, &raw mut out, e) }, CI_OK);
    assert_eq!(out.durability, CI_IN_MEMORY);
}
