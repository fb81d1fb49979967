//! Opaque names: any text, byte for byte, in every operation of the index.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Config, Hard, Lookup, NameErrorKind, OriginPath, PathPrefix, Selection, Soft,
    VariantKey,
};
use std::collections::BTreeSet;

/// Texts that canonical rules refuse or would respell, each a name of its own.
const TEXTS: [&str; 24] = [
    " ",
    "/",
    "//",
    "a b",
    "a%20b",
    "a%20B",
    "A b",
    "a b/",
    "a//b",
    "a/b",
    "a/./b",
    "?",
    "#",
    "@",
    "*",
    "a?b",
    "a#b",
    "a@b#c",
    "é",
    "e\u{301}",
    "\u{1f426}.jpg",
    "\0",
    "\t\r\n",
    "%",
];

fn origin(text: &str) -> OriginPath<'_> {
    OriginPath::opaque(text).unwrap()
}

fn key(text: &str) -> VariantKey<'_> {
    VariantKey::opaque(text).unwrap()
}

#[test]
fn every_text_is_a_path_and_a_key_of_its_own() {
    let index = CacheIndex::default();
    let tenant = index.tenant("doc");
    let all = || TEXTS.iter().flat_map(|path| TEXTS.iter().map(move |key| (*path, *key)));
    for (value, (path, text)) in all().enumerate() {
        assert_eq!(index.lookup(&tenant, &origin(path), &key(text)), Lookup::Miss);
        let lease = index.lease(&tenant, &origin(path));
        assert!(lease.commit(&key(text), value).is_stored(), "{path:?} {text:?}");
    }
    for (value, (path, text)) in all().enumerate() {
        assert_eq!(index.lookup(&tenant, &origin(path), &key(text)), Lookup::Live(value));
    }
    for purged in TEXTS {
        let keys: BTreeSet<_> = index.variants(&tenant, &origin(purged)).into_iter().collect();
        assert_eq!(keys, TEXTS.map(key).into());
        assert_eq!(index.purge(&tenant, &origin(purged), Hard).len(), TEXTS.len());
    }
    assert_eq!(index.stats().live, 0);
}

#[test]
fn purge_of_a_key_takes_no_other_opaque_key() {
    let index = CacheIndex::default();
    let (tenant, origin) = (index.tenant("doc"), origin("a b"));
    let others = ["300x200", "300x200#webp", "300x200@2x", "300x200#", "300x20", "?300x200#webp"];
    for (value, text) in others.iter().enumerate() {
        assert!(index.insert(&tenant, &origin, &key(text), value).is_stored());
    }
    let gone = index.purge_selected(&tenant, &origin, Selection::Keys(&[key("300x200")]), Hard);
    let gone: Vec<_> = gone.into_iter().collect();
    assert_eq!(gone, [(key("300x200").into_owned(), 0)]);
    let softened =
        index.purge_selected(&tenant, &origin, Selection::Keys(&[key("300x200#webp")]), Soft);
    assert_eq!(softened.len(), 1);
    assert_eq!(index.lookup(&tenant, &origin, &key("300x200@2x")), Lookup::Live(2));
    // A key with the grammar takes its representations, opaque or not.
    let gone = index.purge_selected(&tenant, &origin, Selection::Keys(&[key("?300x200")]), Hard);
    assert_eq!(gone.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), [5]);
}

#[test]
fn opaque_name_and_canonical_name_of_one_text_are_one_name() {
    let index = CacheIndex::default();
    let tenant = index.tenant("doc");
    let lease = index.lease(&tenant, &origin("sample.li/birds.jpg"));
    assert!(lease.commit(&key("?w=200"), 7).is_stored());
    let (birds, small) = (path("sample.li/birds.jpg"), variant("?w=200"));
    assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Live(7));
    assert_eq!((birds.borrowed(), small), (origin("sample.li/birds.jpg"), key("?w=200")));
    index.purge_prefix(&tenant, &PathPrefix::opaque("sample.li/b").unwrap(), Soft);
    assert_eq!(index.lookup(&tenant, &birds, &key("?w=200")), Lookup::Stale(7));
}

#[test]
fn prefix_is_compared_byte_for_byte() {
    let index = CacheIndex::default();
    let (tenant, small) = (index.tenant("doc"), key("s"));
    // The first byte of both letters is the same.
    for text in ["é/1", "è/1", "a?x=1", "a?x=1&y", "a%3Fx=1", "*a"] {
        assert!(index.insert(&tenant, &origin(text), &small, text.to_owned()).is_stored());
    }
    let under = |prefix| -> BTreeSet<String> {
        let paths = index.paths(&tenant, &PathPrefix::opaque(prefix).unwrap());
        paths.into_iter().map(String::from).collect()
    };
    assert_eq!(under("é"), ["é/1".to_owned()].into());
    assert_eq!(under("*"), ["*a".to_owned()].into());
    assert_eq!(under("a?x=1"), ["a?x=1".to_owned(), "a?x=1&y".to_owned()].into());
    index.purge_prefix(&tenant, &PathPrefix::opaque("a?").unwrap(), Hard);
    assert_eq!(under("a"), ["a%3Fx=1".to_owned()].into());
    index.purge_prefix(&tenant, &PathPrefix::opaque("é").unwrap(), Hard);
    assert!(index.lookup(&tenant, &origin("é/1"), &small).servable().is_none());
    assert!(index.lookup(&tenant, &origin("è/1"), &small).servable().is_some());
}

#[test]
fn empty_and_overlong_names_are_errors_that_name_the_limit() {
    let longest = "a".repeat(Config::MAX_PATH_LEN);
    let longer = longest.clone() + "a";
    let errors = |text: &str| {
        [
            OriginPath::opaque(text).map(drop),
            VariantKey::opaque(text).map(drop),
            PathPrefix::opaque(text).map(drop),
        ]
        .map(|result| result.map_err(|error| (error.kind(), error.to_string())))
    };
    for (result, subject) in
        errors("").into_iter().zip(["origin path", "variant key", "path prefix"])
    {
        let (kind, message) = result.unwrap_err();
        assert_eq!(kind, NameErrorKind::Empty);
        assert_eq!(message, format!("{subject} is empty: expected 1 to 16777215 bytes"));
    }
    for (result, subject) in
        errors(&longer).into_iter().zip(["origin path", "variant key", "path prefix"])
    {
        let (kind, message) = result.unwrap_err();
        assert!(matches!(kind, NameErrorKind::TooLong { len: 0x100_0000, limit: 0xFF_FFFF, .. }));
        let expected = format!("{subject} has 16777216 bytes: expected 1 to 16777215 bytes");
        assert_eq!(message, expected);
    }
    assert!(errors(&longest).iter().all(Result::is_ok));
}

#[test]
fn longest_names_are_stored_where_the_configuration_permits_them() {
    let config = Config::builder()
        .max_path_len(Config::MAX_PATH_LEN)
        .max_key_len(Config::MAX_KEY_LEN)
        .build()
        .unwrap();
    let index = CacheIndex::new(config);
    let tenant = index.tenant("doc");
    let origin = OriginPath::opaque("p".repeat(Config::MAX_PATH_LEN)).unwrap();
    let key = VariantKey::opaque("k".repeat(Config::MAX_KEY_LEN)).unwrap();
    assert!(index.insert(&tenant, &origin, &key, 7).is_stored());
    assert_eq!(index.lookup(&tenant, &origin, &key), Lookup::Live(7));
    assert_eq!(index.purge(&tenant, &origin, Hard).into_iter().next(), Some((key, 7)));
}
