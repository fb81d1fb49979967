//! Bad input: each has a code of its own, and changes nothing.

use super::calls::{
    index, key, kind, made, message, no_config, path, rules, sized_struct, stats, tenant, text,
};
use crate::*;
use std::ffi::c_int;
use std::ptr::{null, null_mut};

/// Calls with an error struct, and returns both.
fn failed(call: impl FnOnce(*mut ci_error) -> c_int) -> (c_int, ci_error) {
    let mut error = sized_struct::<ci_error>();
    let code = call(&raw mut error);
    (code, error)
}

#[track_caller]
fn check(call: impl FnOnce(*mut ci_error) -> c_int, code: c_int, expected: &str) {
    let (got, error) = failed(call);
    assert_eq!((got, message(&error)), (code, expected));
    assert_eq!(error.code, code);
}

#[test]
fn null_is_named() {
    let (index, mut value) = (index(1, false), 7);
    let (tenant, value) = (tenant(&index, "doc"), &raw mut value);
    let (a, w) = (text("a"), text("w"));
    // SAFETY: NULL is allowed to be noticed; all other pointers are valid.
    unsafe {
        let message = "index is NULL: expected a pointer";
        check(|e| ci_lookup(null(), tenant.0, a, w, value, e), CI_ERR_NULL, message);
        check(|e| ci_flush(null(), null(), CI_HARD, null_mut(), e), CI_ERR_NULL, message);
        let message = "tenant is NULL: expected a pointer";
        check(|e| ci_lookup(index.0, null(), a, w, value, e), CI_ERR_NULL, message);
        let message = "value is NULL: expected a pointer";
        check(|e| ci_lookup(index.0, tenant.0, a, w, null_mut(), e), CI_ERR_NULL, message);
        let message = "path is NULL: expected a pointer";
        let lost = ci_str { ptr: null(), len: 3 };
        check(|e| ci_lookup(index.0, tenant.0, lost, w, value, e), CI_ERR_NULL, message);
        let message = "lease is NULL: expected a pointer";
        check(|e| ci_lease_commit(null_mut(), w, 1, null_mut(), e), CI_ERR_NULL, message);
        let message = "out is NULL: expected a pointer";
        check(|e| ci_index_new(no_config(), null_mut(), e), CI_ERR_NULL, message);
        check(|e| ci_stats_get(index.0, null_mut(), e), CI_ERR_NULL, message);
        check(|e| ci_lease_take(index.0, tenant.0, a, null_mut(), e), CI_ERR_NULL, message);
        ci_lease_free(null_mut());
        ci_index_free(null_mut());
        assert_eq!(ci_entries_left(null()), 0);
        assert_eq!(*value, 7, "an error leaves the value as it is");
    }
    assert_eq!(stats(&index).open_leases, 0, "a lease that could not be handed over");
}

#[test]
fn texts_that_are_no_names_are_refused_with_their_position() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    let latin = b"caf\xe9.jpg";
    let latin = ci_str { ptr: latin.as_ptr().cast(), len: latin.len() };
    let cut = "caf\u{e9}".as_bytes();
    let cut = ci_str { ptr: cut.as_ptr().cast(), len: cut.len() - 1 };
    let huge = ci_str { ptr: c"".as_ptr(), len: 1 << 24 };
    let key = text("w");
    let insert = |path, key| {
        // SAFETY: all texts can be read, apart from the one that is refused by its length.
        failed(|e| unsafe { ci_insert(index.0, tenant.0, path, key, 1, null_mut(), e) })
    };
    for (path, at, expected) in [
        (latin, 3, "path: invalid byte at byte 3: expected UTF-8"),
        (cut, 3, "path: invalid byte at byte 3: expected UTF-8"),
        (text(""), 0, "path is empty: expected 1 to 16777215 bytes"),
        (huge, 16_777_215, "path has 16777216 bytes: expected at most 16777215 bytes"),
    ] {
        let (code, error) = insert(path, key);
        assert_eq!((code, error.at, message(&error)), (CI_ERR_TEXT, at, expected));
    }
    let (code, error) = insert(text("a"), latin);
    assert_eq!((code, error.at, kind(&error)), (CI_ERR_TEXT, 3, "NotUtf8"));
    assert_eq!(message(&error), "variant: invalid byte at byte 3: expected UTF-8");
    assert_eq!(stats(&index).live, 0);

    let names = [("a", "w"), ("b", "")].map(|(p, v)| ci_name { path: text(p), variant: text(v) });
    let mut answers = [ci_found { value: 9, state: 9 }; 2];
    // SAFETY: all pointers are valid.
    let (code, error) = failed(|e| unsafe {
        ci_lookup_many(index.0, tenant.0, names.as_ptr(), 2, answers.as_mut_ptr(), e)
    });
    assert_eq!((code, error.element, answers[0].state), (CI_ERR_TEXT, 1, 9));
    let expected = "names[1]: variant is empty: expected 1 to 16777215 bytes";
    assert_eq!(message(&error), expected);
}

#[test]
fn wrong_sizes_and_settings_create_nothing() {
    let mut out = null_mut();
    let mut new = |change: fn(&mut ci_config)| {
        let mut config = sized_struct::<ci_config>();
        change(&mut config);
        // SAFETY: all pointers are valid, and no more is read than the size says.
        let (code, error) = failed(|e| unsafe { ci_index_new(&raw const config, &raw mut out, e) });
        assert!(out.is_null());
        (code, message(&error).to_owned())
    };
    let size = size_of::<ci_config>();
    let expected = |got| (CI_ERR_SIZE, format!("config.size is {got}: expected {size}"));
    assert_eq!(new(|config| config.size = 0), expected(0));
    assert_eq!(new(|config| config.size -= 1), expected(size - 1));
    assert_eq!(new(|config| config.size = usize::MAX), expected(usize::MAX));
    let argument = |message: &str| (CI_ERR_ARGUMENT, message.to_owned());
    assert_eq!(
        new(|config| config.evict_oldest = 2),
        argument("evict_oldest is 2: expected 0 or 1")
    );
    let shards = "shard count must be a power of two from 1 to 65536, got 3";
    assert_eq!(new(|config| config.shards = 3), argument(shards));

    let (index, mut stats) = (index(1, false), sized_struct::<ci_stats>());
    (stats.size, stats.live) = (8, 77);
    let mut error = sized_struct::<ci_error>();
    // SAFETY: all pointers are valid, and no more is written than the size says.
    unsafe {
        assert_eq!(ci_stats_get(index.0, &raw mut stats, null_mut()), CI_ERR_SIZE);
        assert_eq!(stats.live, 77);
        error.size = 8;
        let code = ci_flush(index.0, null(), CI_HARD, null_mut(), &raw mut error);
        assert_eq!((code, error.code), (CI_ERR_SIZE, 0), "and the struct is left as it is");
    }
    assert_eq!(super::calls::stats(&index).flushes, 0);
}

/// A later header's struct: longer by fields that this library does not know.
#[test]
fn larger_settings_must_be_zero_where_they_are_unknown() {
    #[repr(C)]
    struct Larger(ci_config, [usize; 2]);
    let mut larger = Larger(sized_struct::<ci_config>(), [0; 2]);
    larger.0.size = size_of::<Larger>();
    let mut out = null_mut();
    // SAFETY: all pointers are valid.
    let mut new = |larger: &Larger| unsafe {
        let code = ci_index_new((&raw const *larger).cast(), &raw mut out, null_mut());
        if code == CI_OK {
            ci_index_free(out);
        }
        code
    };
    assert_eq!(new(&larger), CI_OK);
    larger.1[1] = 1;
    assert_eq!(new(&larger), CI_ERR_SIZE);
}

#[test]
fn tenant_of_another_index_is_noticed() {
    let (one, other) = (index(1, false), index(1, false));
    let foreign = tenant(&other, "doc");
    let (a, w, mut value, mut lease) = (text("a"), text("w"), 0, null_mut());
    let message = "tenant of another index: expected one of this index";
    // SAFETY: all pointers are valid.
    unsafe {
        let check = |call: &mut dyn FnMut(*mut ci_error) -> c_int| {
            check(call, CI_ERR_TENANT, message);
        };
        check(&mut |e| ci_lookup(one.0, foreign.0, a, w, &raw mut value, e));
        check(&mut |e| ci_lease_take(one.0, foreign.0, a, &raw mut lease, e));
        check(&mut |e| ci_insert(one.0, foreign.0, a, w, 1, null_mut(), e));
        check(&mut |e| ci_remove(one.0, foreign.0, a, w, 1, e));
        check(&mut |e| ci_purge(one.0, foreign.0, a, CI_HARD, null_mut(), null_mut(), e));
        check(&mut |e| ci_purge_prefix(one.0, foreign.0, a, CI_HARD, null_mut(), e));
        check(&mut |e| ci_flush(one.0, foreign.0, CI_HARD, null_mut(), e));
        check(&mut |e| ci_tenant_forget(one.0, foreign.0, null_mut(), e));
    }
    assert!(lease.is_null());
    let stats = stats(&one);
    assert_eq!((stats.live, stats.purges, stats.prefix_purges, stats.tenant_flushes), (0, 0, 0, 0));
}

#[test]
fn modes_counts_and_limits_out_of_range_change_nothing() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    let (a, mut entries) = (text("a"), null_mut());
    let none = null_mut();
    let code = CI_ERR_ARGUMENT;
    // SAFETY: all pointers are valid.
    unsafe {
        let expected = "mode is 7: expected CI_HARD or CI_SOFT";
        check(|e| ci_purge(index.0, tenant.0, a, 7, none, null_mut(), e), code, expected);
        let expected = "count is 0: expected at least 1";
        let purge = |e| ci_purge_variants(index.0, tenant.0, a, null(), 0, 0, none, null_mut(), e);
        check(purge, code, expected);
        let expected = "limit is 0: expected at least 1";
        check(|e| ci_reclaim(index.0, 0, &raw mut entries, e), code, expected);
        let mut path = null_mut();
        let expected = "form is 9: expected CI_OPAQUE or CI_CANONICAL";
        check(|e| ci_path_new(a, 9, &raw mut path, e), code, expected);
        let mut ids = null_mut();
        let expected = "incarnation is 16777216: expected at most 16777215";
        check(|e| ci_ids_new(1 << 24, &raw mut ids, e), code, expected);
        assert!(entries.is_null() && path.is_null() && ids.is_null());
    }
    assert_eq!(stats(&index).purges, 0);
}

#[test]
fn bad_variant_leaves_the_lease_open() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    // SAFETY: all pointers are valid.
    unsafe {
        let lease = made(ci_lease_free, |out, error| {
            ci_lease_take(index.0, tenant.0, text("a"), out, error)
        });
        let mut out = sized_struct::<ci_commit>();
        out.size = 1;
        let commit = |variant, out| ci_lease_commit(lease.0, text(variant), 5, out, null_mut());
        assert_eq!(commit("", null_mut()), CI_ERR_TEXT);
        assert_eq!(commit("w", &raw mut out), CI_ERR_SIZE);
        let claimed = ci_lease_commit_claimed(lease.0, null_mut(), null_mut());
        assert_eq!(claimed, CI_ERR_ARGUMENT, "it was not claimed");
        assert_eq!(stats(&index).open_leases, 1);
        assert_eq!(commit("w", null_mut()), CI_STORED);
        assert_eq!(commit("w", null_mut()), CI_ERR_CLOSED);
    }
    assert_eq!((stats(&index).open_leases, stats(&index).live), (0, 1));
}

#[test]
fn lease_and_entries_outlive_the_index() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    let (path, key) = (path("a"), key("w"));
    // SAFETY: all pointers are valid; leases and entries may be used after the index.
    unsafe {
        let lease = made(ci_lease_free, |out, error| {
            ci_lease_take_prepared(index.0, tenant.0, path.0, out, error)
        });
        ci_insert(index.0, tenant.0, text("a"), text("w"), 3, null_mut(), null_mut());
        let mut entries = null_mut();
        ci_purge(index.0, tenant.0, text("a"), CI_HARD, null_mut(), &raw mut entries, null_mut());
        drop(tenant);
        drop(index);
        let commit = ci_lease_commit_prepared(lease.0, key.0, 4, null_mut(), null_mut());
        assert_eq!(commit, CI_REFUSED);
        assert_eq!(super::calls::read(entries), [(String::new(), "w".to_owned(), 3)]);
    }
}

#[test]
fn buffer_that_is_too_small_says_what_is_needed() {
    let rules = rules(true);
    let mut names = sized_struct::<ci_names>();
    let mut buffer = [0; 64];
    let mut read = |target: &str, room: usize| {
        // SAFETY: all pointers are valid, and the buffer has at least that room.
        let (code, error) = failed(|e| unsafe {
            let buffer = if room == 0 { null_mut() } else { buffer.as_mut_ptr() };
            ci_request_target(rules.0, text(target), buffer, room, &raw mut names, e)
        });
        // SAFETY: names point to the text or to the buffer.
        let text = |name: ci_str| unsafe { name.text("name").unwrap().to_owned() };
        (code, names.needed, text(names.path), text(names.variant), message(&error).to_owned())
    };
    let canonical = read("/sample.li/birds.jpg?h=400&w=600", 0);
    assert_eq!(canonical.1, 0, "names point into the text");
    assert_eq!((&*canonical.2, &*canonical.3), ("sample.li/birds.jpg", "?h=400&w=600"));

    let other = "/Sample.LI/b%69rds.jpg?width=600&h=400";
    let needed = "sample.li/birds.jpg?h=400&w=600".len();
    for room in [0, 1, needed - 1] {
        let (code, wanted, .., message) = read(other, room);
        assert_eq!((code, wanted), (CI_ERR_BUFFER, needed));
        assert_eq!(message, format!("buffer has {room} bytes: expected at least {needed}"));
    }
    let (code, used, path, variant, _) = read(other, needed);
    assert_eq!((code, used), (CI_OK, needed));
    assert_eq!((&*path, &*variant), ("sample.li/birds.jpg", "?h=400&w=600"));
    let (code, .., message) = read("/sample.li/birds%2", 64);
    assert_eq!(code, CI_ERR_TEXT);
    assert_eq!(message, "invalid percent escape at byte 16: expected two hex digits");
}

#[test]
fn panic_is_a_code_and_does_not_leave() {
    let mut error = sized_struct::<ci_error>();
    // SAFETY: the struct is valid.
    let code = unsafe { boundary::guard(&raw mut error, || panic!("on purpose")) };
    assert_eq!((code, error.code, kind(&error)), (CI_ERR_PANIC, CI_ERR_PANIC, "Panic"));
}

#[test]
fn long_message_is_cut_between_characters_and_terminated() {
    let long = "\u{e9}".repeat(CI_MESSAGE_SIZE);
    let error = error::Failure::argument(long).to_c();
    assert_eq!(message(&error), "\u{e9}".repeat((CI_MESSAGE_SIZE - 1) / 2));
}

#[test]
fn one_variant_of_many_pictures_is_refused() {
    let (wild, plain) = (rules(true), rules(false));
    let mut out = sized_struct::<ci_names>();
    let mut entry = |rules: &super::calls::Owned<ci_rules>, entry| {
        out.target = 9;
        // SAFETY: all pointers are valid.
        let (code, error) = failed(|e| unsafe {
            ci_variant_entry(rules.0, text(entry), null_mut(), 0, &raw mut out, e)
        });
        assert_eq!((code, out.target), (CI_ERR_TEXT, 9), "{entry}");
        (error.at, kind(&error).to_owned(), message(&error).to_owned())
    };
    for (starred, at) in [
        ("sample.li/*?w=6", 10),
        ("sample.li/*", 10),
        ("a*?width=6&h=1", 1),
        ("*?w=6", 0),
        ("*", 0),
    ] {
        let expected = format!("unexpected wildcard at byte {at}: expected one picture");
        assert_eq!(entry(&wild, starred), (at, "WildcardWithOperations".to_owned(), expected));
    }
    // Rules without wildcards refuse each star.
    let (at, kind, message) = entry(&plain, "sample.li/*?w=6");
    assert_eq!((at, &*kind), (10, "WildcardNotAllowed"));
    assert!(message.starts_with("wildcard not allowed at byte 10: expected "), "{message}");
}
