//! The cases at the edge that the header states: empty texts, equal values, marks, freed handles.

use super::calls::{
    Owned, index, key, kind, made, message, path, read, rules, sized_struct, tenant, text,
};
use crate::*;
use std::collections::BTreeSet;
use std::ffi::{c_char, c_int};
use std::ptr::{dangling_mut, null, null_mut};

fn insert(index: &Owned<ci_index>, tenant: &Owned<ci_tenant>, name: (&str, &str), value: u64) {
    // SAFETY: all pointers are valid.
    let code = unsafe {
        ci_insert(index.0, tenant.0, text(name.0), text(name.1), value, null_mut(), null_mut())
    };
    assert_eq!(code, CI_STORED);
}

type Reader = unsafe extern "C" fn(
    *const ci_rules,
    ci_str,
    *mut c_char,
    usize,
    *mut ci_names,
    *mut ci_error,
) -> c_int;

/// Reads a text with rules: the target, the path and the variant.
fn names(function: Reader, rules: &Owned<ci_rules>, entry: &str) -> (c_int, String, String) {
    let (mut buffer, mut out) = ([0; 128], sized_struct::<ci_names>());
    // SAFETY: all pointers are valid, and texts point to the entry or the buffer.
    unsafe {
        let (buffer, room) = (buffer.as_mut_ptr(), buffer.len());
        let code = function(rules.0, text(entry), buffer, room, &raw mut out, null_mut());
        assert_eq!(code, CI_OK, "{entry}");
        let [path, variant] = [out.path, out.variant].map(|name| name.text("name").unwrap());
        (out.target, path.to_owned(), variant.to_owned())
    }
}

fn configured(
    change: impl FnOnce(&mut ci_rules_config),
) -> Result<Owned<ci_rules>, (c_int, Box<ci_error>)> {
    let (mut config, mut error) = (sized_struct(), sized_struct::<ci_error>());
    change(&mut config);
    let mut out = null_mut();
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_rules_new(&raw const config, &raw mut out, &raw mut error) };
    assert_eq!(out.is_null(), code != CI_OK);
    if code == CI_OK { Ok(Owned(out, ci_rules_free)) } else { Err((code, Box::new(error))) }
}

fn paths(index: &Owned<ci_index>, tenant: &Owned<ci_tenant>, prefix: &str) -> BTreeSet<String> {
    let mut entries = null_mut();
    // SAFETY: all pointers are valid.
    let code = unsafe { ci_paths(index.0, tenant.0, text(prefix), &raw mut entries, null_mut()) };
    assert_eq!(code, CI_OK);
    read(entries).into_iter().map(|(path, ..)| path).collect()
}

#[test]
fn star_alone_names_all_pictures_and_no_prefix() {
    let plain = rules(true);
    let all = (CI_TARGET_ALL, String::new(), String::new());
    assert_eq!(names(ci_invalidation_entry, &plain, "*"), all);
    let prefix = |entry| names(ci_invalidation_entry, &plain, entry);
    assert_eq!(prefix("a.li/*"), (CI_TARGET_PREFIX, "a.li/".to_owned(), String::new()));
    let below = configured(|config| {
        (config.wildcards, config.prefix) = (1, text("https://origin.example/shop"));
    });
    let below = below.map_err(|(code, _)| code).unwrap();
    assert_eq!(names(ci_invalidation_entry, &below, "*"), all);
    let (target, path, _) = names(ci_invalidation_entry, &below, "x/*");
    assert_eq!((target, &*path), (CI_TARGET_PREFIX, "x/"));
    let grouping = configured(|config| (config.wildcards, config.grouping) = (1, 1));
    let grouping = grouping.map_err(|(code, _)| code).unwrap();
    assert_eq!(names(ci_invalidation_entry, &grouping, "*"), all);

    let (index, mut error) = (index(1, false), sized_struct::<ci_error>());
    let tenant = tenant(&index, "doc");
    insert(&index, &tenant, ("a.li/b.jpg", "?"), 1);
    // SAFETY: all pointers are valid.
    let code = unsafe {
        ci_purge_prefix(index.0, tenant.0, text(""), CI_HARD, null_mut(), &raw mut error)
    };
    assert_eq!((code, kind(&error)), (CI_ERR_TEXT, "Empty"));
    assert_eq!(paths(&index, &tenant, "").len(), 1, "an empty prefix invalidates nothing");
}

#[test]
fn empty_prefix_lists_all_pictures_of_one_tenant() {
    let index = index(4, false);
    // The empty name is one of a tenant.
    let (nameless, other) = (tenant(&index, ""), tenant(&index, "other"));
    for name in ["a/1", "a/2", "b"] {
        insert(&index, &nameless, (name, "w"), 1);
    }
    insert(&index, &other, ("c", "w"), 2);
    let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(paths(&index, &nameless, ""), expected(&["a/1", "a/2", "b"]));
    assert_eq!(paths(&index, &other, ""), expected(&["c"]));
    assert_eq!(paths(&index, &tenant(&index, ""), "a/"), expected(&["a/1", "a/2"]));
}

#[test]
fn same_value_again_replaces_no_object() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    let (a, w, key) = (text("a"), text("w"), key("w"));
    let replaced = |store: &mut dyn FnMut(*mut ci_commit) -> c_int| {
        let mut out = sized_struct::<ci_commit>();
        (out.has_replaced, out.replaced) = (9, 9);
        assert_eq!(store(&raw mut out), CI_STORED);
        (out.has_replaced, out.replaced)
    };
    // SAFETY: all pointers are valid.
    unsafe {
        let lease =
            || made(ci_lease_free, |out, error| ci_lease_take(index.0, tenant.0, a, out, error));
        let insert =
            |value| replaced(&mut |out| ci_insert(index.0, tenant.0, a, w, value, out, null_mut()));
        assert_eq!((insert(5), insert(5), insert(6)), ((0, 0), (0, 0), (1, 5)));
        let commit = |value| {
            let lease = lease();
            replaced(&mut |out| ci_lease_commit(lease.0, w, value, out, null_mut()))
        };
        assert_eq!((commit(6), commit(7)), ((0, 0), (1, 6)));
        let prepared = lease();
        let commit = &mut |out| ci_lease_commit_prepared(prepared.0, key.0, 7, out, null_mut());
        assert_eq!(replaced(commit), (0, 0));
        for (value, expected) in [(7, (0, 0)), (8, (1, 7))] {
            ci_purge(index.0, tenant.0, a, CI_SOFT, null_mut(), null_mut(), null_mut());
            let mut found = 0;
            let claim = made(ci_lease_free, |lease, error| {
                let state = ci_claim(index.0, tenant.0, a, w, value, &raw mut found, lease, error);
                if state == CI_STALE { CI_OK } else { state }
            });
            let commit = &mut |out| ci_lease_commit_claimed(claim.0, out, null_mut());
            assert_eq!(replaced(commit), expected);
        }
    }
}

#[test]
fn plain_variant_takes_those_with_marks_but_no_other_spelling() {
    let grouping = configured(|config| config.grouping = 1).map_err(|(code, _)| code).unwrap();
    let read_target = |target| names(ci_request_target, &grouping, target);
    let (_, path, plain) = read_target("/sample.li/a.jpg?w=600");
    let (_, other_path, marked) = read_target("/https://sample.li/a.jpg?width=600");
    assert_eq!((&*path, &*plain), ("sample.li/a.jpg", "?w=600"));
    assert_eq!((&*other_path, &*marked), ("sample.li/a.jpg", "?w=600@https"));
    let entry = names(ci_variant_entry, &grouping, "https://sample.li/a.jpg?width=600");
    assert_eq!(entry, (CI_TARGET_PATH, path.clone(), plain.clone()));

    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    for (value, variant) in [(1, &*plain), (2, &*marked), (3, "?w=600@https#webp"), (4, "?w=6")] {
        insert(&index, &tenant, (&path, variant), value);
    }
    let purge = |variant: &str| {
        let (variant, mut entries) = (text(variant), null_mut());
        let (i, t, path, none) = (index.0, tenant.0, text(&path), null_mut());
        // SAFETY: all pointers are valid.
        let code = unsafe {
            let e = &raw mut entries;
            ci_purge_variants(i, t, path, &raw const variant, 1, CI_HARD, none, e, null_mut())
        };
        assert_eq!(code, CI_OK);
        read(entries).into_iter().map(|(.., value)| value).collect::<BTreeSet<_>>()
    };
    assert_eq!(purge("?width=600"), BTreeSet::new());
    assert_eq!(purge("?w=600"), BTreeSet::from([1, 2, 3]));
}

#[test]
fn each_dead_value_comes_from_one_function() {
    let index = index(1, true);
    let tenant = tenant(&index, "doc");
    let none = null_mut();
    let reclaim = || {
        let mut entries = null_mut();
        // SAFETY: all pointers are valid.
        assert_eq!(unsafe { ci_reclaim(index.0, 10, &raw mut entries, null_mut()) }, 1);
        read(entries).into_iter().map(|(.., value)| value).collect::<Vec<_>>()
    };
    insert(&index, &tenant, ("a", "w"), 1);
    // SAFETY: all pointers are valid.
    unsafe {
        ci_purge(index.0, tenant.0, text("a"), CI_HARD, none, null_mut(), null_mut());
        assert!(reclaim().is_empty(), "values that no entries were asked for are lost");
        insert(&index, &tenant, ("a", "w"), 2);
        ci_purge_prefix(index.0, tenant.0, text("a"), CI_HARD, none, null_mut());
        let (mut out, mut entries) = (sized_struct::<ci_purged>(), null_mut());
        let (o, e) = (&raw mut out, &raw mut entries);
        ci_purge(index.0, tenant.0, text("a"), CI_HARD, o, e, null_mut());
        assert_eq!((out.variants, read(entries).len()), (0, 0));
    }
    assert_eq!(reclaim(), [2]);
}

#[test]
fn reclaim_may_return_values_without_a_queue() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    insert(&index, &tenant, ("a", "w"), 1);
    let mut entries = null_mut();
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(ci_flush(index.0, null(), CI_HARD, null_mut(), null_mut()), CI_OK);
        assert_eq!(ci_reclaim(index.0, 10, &raw mut entries, null_mut()), 1);
    }
    assert_eq!(read(entries), [("a".to_owned(), "w".to_owned(), 1)]);
}

#[test]
fn commit_after_the_index_was_freed_answers_as_before() {
    let index = index(1, false);
    let tenant = tenant(&index, "doc");
    let path = path("a");
    // SAFETY: all pointers are valid; a lease may be used after the index.
    unsafe {
        let lease = made(ci_lease_free, |out, error| {
            ci_lease_take_prepared(index.0, tenant.0, path.0, out, error)
        });
        drop(index);
        let commit = || ci_lease_commit(lease.0, text("w"), 4, null_mut(), null_mut());
        assert_eq!((commit(), commit()), (CI_STORED, CI_ERR_CLOSED));
    }
}

#[test]
fn settings_of_rules_have_a_code_for_each_mistake() {
    let refused = |change: fn(&mut ci_rules_config)| {
        let (code, error) = configured(change).err().unwrap();
        (code, error.at, message(&error).to_owned())
    };
    let invalid = ci_str { ptr: c"doc\xff".as_ptr(), len: 4 };
    let (code, error) = configured(|config| config.token = invalid).err().unwrap();
    let expected = "token: invalid byte at byte 3: expected UTF-8";
    assert_eq!((code, error.at, message(&error)), (CI_ERR_TEXT, 3, expected));
    let (code, at, message) = refused(|config| config.token = text("a.b"));
    let expected = "token must be 1 to 63 letters, digits, \"-\" or \"_\", got \"a.b\"";
    assert_eq!((code, at, &*message), (CI_ERR_ARGUMENT, usize::MAX, expected));
    let (code, at, message) = refused(|config| config.prefix = text("https://a b.li/"));
    let expected =
        "prefix: invalid host at byte 9: expected ASCII letters, digits, \".\", \"-\" and \"_\"";
    assert_eq!((code, at, &*message), (CI_ERR_ARGUMENT, 9, expected));
    let (code, _, message) = refused(|config| config.root = 3);
    assert_eq!((code, &*message), (CI_ERR_ARGUMENT, "root is 3: expected 0, 1 or 2"));
    let hosts = [text("a.li"), invalid];
    let (code, error) = configured(|config| {
        (config.delivery_hosts, config.delivery_hosts_count) = (hosts.as_ptr(), 2);
    })
    .err()
    .unwrap();
    let expected = "delivery_hosts[1]: text: invalid byte at byte 3: expected UTF-8";
    assert_eq!((code, error.element, super::calls::message(&error)), (CI_ERR_TEXT, 1, expected));
}

#[test]
fn errors_name_the_argument_and_leave_outputs_as_they_are() {
    let (index, rules) = (index(1, false), rules(false));
    let tenant = tenant(&index, "doc");
    let mut error = sized_struct::<ci_error>();
    let mut small = sized_struct::<ci_purged>();
    (small.size, small.generation) = (8, 77);
    let mut entries = dangling_mut::<ci_entries>();
    let before = entries;
    let texts = [text("w=1"), text("")];
    let (i, t, a) = (index.0, tenant.0, text("a"));
    // SAFETY: all pointers are valid, and no more is written than the size says.
    unsafe {
        let (out, gone) = (&raw mut small, &raw mut entries);
        assert_eq!(ci_purge(i, t, a, CI_HARD, out, gone, &raw mut error), CI_ERR_SIZE);
        let expected = format!("out.size is 8: expected {}", size_of::<ci_purged>());
        assert_eq!(message(&error), expected);
        assert_eq!(
            ci_purge(i, t, text(""), CI_HARD, null_mut(), gone, &raw mut error),
            CI_ERR_TEXT
        );
        let (texts, rules, none) = (texts.as_ptr(), rules.0, null_mut());
        let error = &raw mut error;
        let code = ci_purge_variants(i, t, a, texts, 2, CI_HARD, none, gone, error);
        assert_eq!((code, (*error).element), (CI_ERR_TEXT, 1));
        let expected = "variants[1]: text is empty: expected 1 to 16777215 bytes";
        assert_eq!(message(&*error), expected);
        let code = ci_purge_operations(i, t, a, rules, texts, 2, CI_HARD, none, gone, error);
        assert_eq!((code, (*error).element), (CI_ERR_TEXT, 1));
        let expected = "operations[1]: no operation at byte 0: expected at least one";
        assert_eq!(message(&*error), expected);
        assert_eq!(ci_paths(i, null(), text(""), gone, error), CI_ERR_NULL);
    }
    assert_eq!((small.generation, entries), (77, before));
}
