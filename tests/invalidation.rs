//! Requests to invalidate: which are accepted, which are refused and how, and their effect on an
//! index.

mod common;

use cache_index::canonical::{PathErrorKind, Rules, Target, V7};
use cache_index::invalidation::{
    EntryOutcome, EntryReceipt, InvalidationError, InvalidationErrorKind as Kind,
    InvalidationLimits, InvalidationRequest, InvalidationScope, RequestEntry,
};
use cache_index::{
    CacheIndex, Config, Insertion, Lookup, Refusal, Selection, Severity, Soft, Tenant,
};
use common::{path, variant};
use proptest::prelude::*;
use std::error::Error;

fn rules() -> Rules {
    Rules::builder().token("doc").allow_wildcards().build().unwrap()
}

fn read(body: &str) -> Result<InvalidationRequest, InvalidationError> {
    InvalidationRequest::from_json(body.as_bytes(), &rules(), &InvalidationLimits::default())
}

fn refused(body: &str) -> InvalidationError {
    read(body).expect_err(body)
}

/// Pictures and prefixes that a request names.
fn targets(request: &InvalidationRequest) -> Vec<&str> {
    request.entries().iter().map(|entry| entry.target().as_str()).collect()
}

/// Three variants of the birds, each with its representation, and one of the boat.
fn filled() -> (CacheIndex<u64>, Tenant) {
    let index = CacheIndex::default();
    let tenant = index.tenant("doc");
    for (origin, key, value) in [
        ("sample.li/birds.jpg", "?", 1),
        ("sample.li/birds.jpg", "?w=200", 2),
        ("sample.li/birds.jpg", "?w=200#webp", 3),
        ("sample.li/birds.jpg", "?h=100&w=200", 4),
        ("sample.li/boat.jpg", "?w=200", 5),
    ] {
        assert!(index.insert(&tenant, &path(origin), &variant(key), value).is_stored());
    }
    (index, tenant)
}

/// Values that a request took out, in order.
fn removed(index: &CacheIndex<u64>, tenant: &Tenant, body: &str) -> Vec<u64> {
    let receipt = index.apply(tenant, &read(body).unwrap());
    let mut values: Vec<_> = receipt.into_removed().map(|(_, value)| value).collect();
    values.sort_unstable();
    values
}

#[test]
fn original_takes_every_variant_of_the_pictures_named_and_of_no_other() {
    let (index, tenant) = filled();
    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    assert_eq!(removed(&index, &tenant, body), [1, 2, 3, 4]);
    assert_eq!(removed(&index, &tenant, body), [0; 0], "nothing is handed over twice");
    assert_eq!(index.stats().live, 1);
}

#[test]
fn transformations_take_the_variants_that_include_all_of_one() {
    let (index, tenant) = filled();
    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["?h=100","w=7"]}"#;
    assert_eq!(removed(&index, &tenant, body), [4]);
    let body =
        r#"{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["width=200"]}"#;
    assert_eq!(removed(&index, &tenant, body), [2, 3]);
    assert_eq!(index.stats().live, 2);
}

#[test]
fn urls_take_the_variants_named_with_all_representations_and_the_origin_copy() {
    let (index, tenant) = filled();
    let body =
        r#"{"scope":"urls","urls":["/sample.li/birds.jpg?width=200","/sample.li/birds.jpg?h=9"]}"#;
    let receipt = index.apply(&tenant, &read(body).unwrap());
    let [found, typo] = receipt.into_entries().try_into().unwrap();
    assert_eq!((found.outcome(), found.variants()), (EntryOutcome::Removed, Some(3)));
    assert_eq!(found.variant(), Some(&variant("?w=200")));
    assert_eq!((typo.outcome(), typo.variants()), (EntryOutcome::MatchedNothing, Some(0)));
    let left = index.variants(&tenant, &path("sample.li/birds.jpg"));
    assert_eq!(left, [variant("?h=100&w=200")]);
}

#[test]
fn origin_copy_that_goes_alone_is_told_from_a_variant_that_was_meant() {
    for (mode, severity) in [("hard", Severity::Hard), ("soft", Severity::Soft)] {
        let (index, tenant) = filled();
        let body =
            format!(r#"{{"scope":"urls","urls":["/sample.li/birds.jpg?w=9"],"mode":"{mode}"}}"#);
        let request = read(&body).unwrap();
        assert_eq!(request.severity(), severity);
        let forecast = index.dry_run(&tenant, &request);
        let receipt = index.apply(&tenant, &request);
        for outcome in [forecast.entries()[0].outcome(), receipt.entries()[0].outcome()] {
            assert_eq!(outcome, EntryOutcome::OriginCopyOnly);
        }
        assert_eq!((receipt.variants(), receipt.matched_nothing()), (1, 0));
    }
}

#[test]
fn origin_copy_that_is_named_is_told_with_its_own_entry() {
    let (index, tenant) = filled();
    let request =
        read(r#"{"scope":"urls","urls":["/sample.li/birds.jpg?w=200","/sample.li/birds.jpg"]}"#);
    let [small, copy] = index.apply(&tenant, &request.unwrap()).into_entries().try_into().unwrap();
    assert_eq!(small.variants(), Some(2));
    assert_eq!((copy.outcome(), copy.variants()), (EntryOutcome::Removed, Some(1)));
    assert_eq!(copy.into_removed(), [(variant("?"), 1)]);
}

#[test]
fn wildcard_takes_all_under_it_and_pictures_beside_it_are_told_first() {
    let (index, tenant) = filled();
    let request = read(r#"{"scope":"original","urls":["/sample.li/b*","/sample.li/boat.jpg"]}"#);
    let request = request.unwrap();
    assert!(matches!(request.entries()[0].target(), Target::Prefix(_)));

    let forecast = index.dry_run(&tenant, &request);
    assert_eq!(forecast.entries()[0].variants(), Some(5));
    assert_eq!(forecast.entries()[1].variants(), Some(1));

    let receipt = index.apply(&tenant, &request);
    let [all, boat] = receipt.into_entries().try_into().unwrap();
    assert_eq!((all.outcome(), all.variants()), (EntryOutcome::NotCounted, None));
    assert!(all.outcome().to_string().contains("a dry run counts"));
    assert_eq!(boat.into_removed(), [(variant("?w=200"), 5)]);
    assert_eq!(index.lookup(&tenant, &path("sample.li/birds.jpg"), &variant("?")), Lookup::Miss);
}

#[test]
fn receipt_says_what_its_entries_named_and_whose_rule_made_room() {
    let index = CacheIndex::<u64>::new(Config::builder().max_prefix_rules(1).build().unwrap());
    let (tenant, other) = (index.tenant("doc"), index.tenant("other"));
    let wildcard = read(r#"{"scope":"original","urls":["/x/*"]}"#).unwrap();
    assert_eq!(index.apply(&other, &wildcard).entries()[0].widened(), None);

    let request = read(r#"{"scope":"original","urls":["/a.jpg","a.jpg","/b/*"]}"#).unwrap();
    let receipt = index.apply(&tenant, &request);

    let [picture, prefix] = receipt.entries() else { panic!("{receipt:?}") };
    assert_eq!((picture.entry_index(), prefix.entry_index()), (Some(0), Some(2)));
    assert_eq!((picture.path(), prefix.path()), (Some(&path("a.jpg")), None));
    assert_eq!(prefix.target().map(Target::as_str), Some("b/"));
    assert_eq!((picture.widened(), prefix.widened()), (None, Some(&other)));
    assert_eq!(receipt.duplicates(), 1);
}

#[test]
fn all_takes_everything_of_the_tenant_and_nothing_of_another() {
    let (index, tenant) = filled();
    let other = index.tenant("other");
    assert!(index.insert(&other, &path("a"), &variant("?"), 9).is_stored());
    let receipt = index.apply(&tenant, &read(r#"{"scope":"all"}"#).unwrap());
    let [all] = receipt.into_entries().try_into().unwrap();
    assert_eq!((all.entry_index(), all.target()), (None, None));
    assert_eq!(all.outcome(), EntryOutcome::Invalidated);
    assert_eq!((index.stats().live, index.stats().dead), (1, 5));
    assert_eq!(index.lookup(&other, &path("a"), &variant("?")), Lookup::Live(9));
}

#[test]
fn soft_makes_stale_and_says_what_was_stale_before() {
    let (index, tenant) = filled();
    let small = r#"{"scope":"urls","urls":["/sample.li/birds.jpg?w=200"],"mode":"soft"}"#;
    assert_eq!(index.apply(&tenant, &read(small).unwrap()).variants(), 3);
    let all = r#"{"mode":"soft","scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    let request = read(all).unwrap();
    let receipt = index.apply(&tenant, &request);
    let entry = &receipt.entries()[0];
    assert_eq!(entry.outcome(), EntryOutcome::MadeStale);
    assert_eq!((entry.variants(), entry.stale_before()), (Some(1), Some(3)));

    // The second time, entries match but need no change: this is not a typing error.
    let receipt = index.apply(&tenant, &request);
    assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::AlreadyStale);
    assert_eq!(receipt.matched_nothing(), 0);
    assert!(receipt.into_removed().next().is_none());
}

#[test]
fn fill_under_way_is_voided_and_told() {
    let (index, tenant) = filled();
    let lease = index.lease(&tenant, &path("sample.li/new.jpg"));
    let request = read(r#"{"scope":"original","urls":["/sample.li/new.jpg"]}"#).unwrap();

    let forecast = index.dry_run(&tenant, &request);
    assert_eq!(forecast.entries()[0].outcome(), EntryOutcome::OvertookFills);
    assert_eq!(forecast.overtaken_fills(), 1);

    let receipt = index.apply(&tenant, &request);
    assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::OvertookFills);
    assert_eq!((receipt.variants(), receipt.overtaken_fills(), receipt.duplicates()), (0, 1, 0));
    let Insertion::Refused(refused) = lease.commit(&variant("?w=1"), 7) else { panic!() };
    assert_eq!((refused.value, refused.reason), (7, Refusal::Purged));
}

#[test]
fn fills_of_a_picture_are_told_once_whatever_is_named_of_it() {
    let body = r#"{"scope":"urls","urls":["/sample.li/new.jpg?w=1","/sample.li/new.jpg?w=2"],"mode":"MODE"}"#;
    for mode in ["hard", "soft"] {
        let (index, tenant) = filled();
        let leases = [(); 2].map(|()| index.lease(&tenant, &path("sample.li/new.jpg")));
        let request = read(&body.replace("MODE", mode)).unwrap();
        let forecast = index.dry_run(&tenant, &request);
        let receipt = index.apply(&tenant, &request);
        let fills = |entry: &EntryReceipt<u64>| (entry.outcome(), entry.overtaken_fills());
        let told: Vec<_> = receipt.entries().iter().map(fills).collect();
        let expected =
            [(EntryOutcome::OvertookFills, Some(2)), (EntryOutcome::MatchedNothing, Some(0))];
        assert_eq!(told, expected, "{mode}");
        assert_eq!((receipt.overtaken_fills(), receipt.matched_nothing()), (2, 1), "{mode}");
        let forecasts = forecast.entries().iter();
        let told = forecasts.map(|entry| (entry.outcome(), entry.overtaken_fills()));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{mode}");
        drop(leases);
    }
}

#[test]
fn outcome_of_a_variant_and_its_origin_copy_is_that_of_both() {
    use EntryOutcome::{AlreadyStale, MadeStale};
    let named = r#"{"scope":"urls","urls":["/sample.li/birds.jpg?h=100&w=200"],"mode":"soft"}"#;
    let soft = |key: &str| {
        let picks = [variant(key)];
        move |index: &CacheIndex<u64>, tenant: &Tenant| {
            let birds = path("sample.li/birds.jpg");
            let softened = index.purge_selected(tenant, &birds, Selection::Keys(&picks), Soft);
            assert_eq!(softened.len(), 1);
        }
    };
    // The entries that are stale before: the variant, the origin copy.
    for (stale, outcome, counts) in [
        ([false, false], MadeStale, (2, 0)),
        ([true, false], MadeStale, (1, 1)),
        ([false, true], MadeStale, (1, 1)),
        ([true, true], AlreadyStale, (0, 2)),
    ] {
        let (index, tenant) = filled();
        for (key, is_stale) in ["?h=100&w=200", "?"].into_iter().zip(stale) {
            if is_stale {
                soft(key)(&index, &tenant);
            }
        }
        let request = read(named).unwrap();
        let counts = (Some(counts.0), Some(counts.1));
        let forecast = index.dry_run(&tenant, &request);
        let entry = &forecast.entries()[0];
        assert_eq!((entry.outcome(), (entry.variants(), entry.stale_before())), (outcome, counts));
        let receipt = index.apply(&tenant, &request);
        let entry = &receipt.entries()[0];
        assert_eq!((entry.outcome(), (entry.variants(), entry.stale_before())), (outcome, counts));
    }
}

#[test]
fn dry_run_names_what_would_go_and_counts_what_is_stale() {
    let (index, tenant) = filled();
    let birds = path("sample.li/birds.jpg");
    let small = [variant("?w=200"), variant("?")];
    assert_eq!(index.purge_selected(&tenant, &birds, Selection::Keys(&small), Soft).len(), 3);

    let request = read(r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#).unwrap();
    let forecast = index.dry_run(&tenant, &request);
    let entry = &forecast.entries()[0];
    assert_eq!((entry.outcome(), entry.variants()), (EntryOutcome::Removed, Some(4)));
    let mut keys: Vec<_> = entry.removed().iter().map(|(key, ())| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["?", "?h=100&w=200", "?w=200", "?w=200#webp"]);

    let under = r#"{"scope":"original","urls":["/sample.li/*"],"mode":"MODE"}"#;
    for (mode, counts) in [("hard", (Some(5), None)), ("soft", (Some(2), Some(3)))] {
        let request = read(&under.replace("MODE", mode)).unwrap();
        let forecast = index.dry_run(&tenant, &request);
        let entry = &forecast.entries()[0];
        assert_eq!((entry.variants(), entry.stale_before()), counts, "{mode}");
    }
}

#[test]
fn outcomes_have_words() {
    use EntryOutcome as Outcome;
    for (outcome, words) in [
        (Outcome::Removed, "removed"),
        (Outcome::MadeStale, "made stale"),
        (Outcome::AlreadyStale, "already stale"),
        (Outcome::OvertookFills, "overtook open fills"),
        (Outcome::OriginCopyOnly, "origin copy only"),
        (Outcome::MatchedNothing, "matched nothing"),
        (Outcome::Invalidated, "invalidated"),
        (Outcome::NotCounted, "invalidated, matches not counted: a dry run counts them"),
    ] {
        assert_eq!((outcome.as_str(), format!("{outcome:<20}|")), (words, format!("{words:<20}|")));
    }
}

#[test]
fn dry_run_lets_a_fill_under_way_be_stored() {
    let (index, tenant) = filled();
    let lease = index.lease(&tenant, &path("sample.li/new.jpg"));
    for body in [
        r#"{"scope":"original","urls":["/sample.li/new.jpg","/sample.li/*"]}"#,
        r#"{"scope":"urls","urls":["/sample.li/new.jpg?w=1"],"mode":"soft"}"#,
        r#"{"scope":"all"}"#,
    ] {
        let before = index.stats();
        let receipt = index.dry_run(&tenant, &read(body).unwrap());
        assert!(receipt.entries().iter().all(|entry| entry.overtaken_fills() == Some(1)), "{body}");
        assert_eq!(index.stats(), before, "{body}");
    }
    assert!(lease.commit(&variant("?w=1"), 7).is_stored());
}

#[test]
fn generation_of_a_receipt_is_the_last_it_took_and_a_dry_run_takes_none() {
    let (index, tenant) = filled();
    let request = read(r#"{"scope":"original","urls":["/a","/b*","/c"]}"#).unwrap();
    let before = index.dry_run(&tenant, &request).generation();
    assert_eq!(index.dry_run(&tenant, &request).generation(), before);
    let receipt = index.apply(&tenant, &request);
    let newest = receipt.entries().iter().map(EntryReceipt::generation).max();
    assert_eq!(Some(receipt.generation()), newest);
    assert!(receipt.entries().iter().all(|entry| entry.generation() > before));
    assert_eq!(index.dry_run(&tenant, &request).generation(), receipt.generation());
}

#[test]
fn duplicates_count_once_however_they_are_spelled() {
    let request = read(
        r#"{"scope":"original","urls":["/a.jpg","a.jpg","/x/../a.jpg","/%61.jpg","/b.jpg","/a.jpg*","//a.jpg*"]}"#,
    )
    .unwrap();
    assert_eq!(targets(&request), ["a.jpg", "b.jpg", "a.jpg"]);
    assert_eq!(request.duplicates(), 4);
    let positions: Vec<_> = request.entries().iter().map(RequestEntry::entry_index).collect();
    assert_eq!(positions, [0, 4, 5]);

    let request =
        read(r#"{"scope":"urls","urls":["/a.jpg?w=1&h=2","/a.jpg?height=2&w=1","/a.jpg?w=1"]}"#);
    assert_eq!(request.unwrap().duplicates(), 1);
}

#[test]
fn both_generations_of_the_api_name_the_same_pictures() {
    for (v7, text, works) in [
        (V7::Never, "/sample.li/birds.jpg", true),
        (V7::Never, "/v7/sample.li/birds.jpg", false),
        (V7::Required, "/v7/sample.li/birds.jpg", true),
        (V7::Required, "/sample.li/birds.jpg", false),
        (V7::Optional, "/v7/sample.li/birds.jpg", true),
        (V7::Optional, "sample.li/birds.jpg", true),
    ] {
        let rules = Rules::builder().v7(v7).build().unwrap();
        let body = format!(r#"{{"scope":"original","urls":["{text}"]}}"#);
        let read =
            InvalidationRequest::from_json(body.as_bytes(), &rules, &InvalidationLimits::default());
        match read {
            Ok(request) => {
                assert_eq!((works, targets(&request)), (true, vec!["sample.li/birds.jpg"]));
            }
            Err(error) => {
                assert!(!works, "{error}");
                assert!(error.path_error().unwrap().suggestions().len() > 0);
            }
        }
    }
}

#[test]
fn error_names_the_entry_and_carries_the_reason_with_its_suggestion() {
    let error = refused(
        r#"{"scope":"original","urls":["/a.jpg","https://doc.cloudimg.io/sample.li/boat.jpg?w=300"]}"#,
    );
    assert_eq!(error.to_string(), "urls[1] names no picture");
    assert_eq!((error.member(), error.entry_index()), (Some("urls"), Some(1)));
    let reason = error.path_error().unwrap();
    assert_eq!(reason.kind(), PathErrorKind::QueryNotAllowed);
    assert_eq!(reason.suggestions().collect::<Vec<_>>(), ["sample.li/boat.jpg"]);
    assert_eq!(error.source().unwrap().to_string(), reason.to_string());

    let error =
        refused(r#"{"scope":"original","urls":["/a.jpg"],"transformations":["w=1","w=%zz"]}"#);
    assert_eq!(error.to_string(), "transformations[1] names no operations");
    assert_eq!(
        error.source().unwrap().to_string(),
        "invalid percent escape at byte 2: expected two hex digits"
    );
}

#[test]
fn error_names_the_member_that_is_wrong() {
    let path = r#""urls":["/a"]"#;
    for (body, member) in [
        ("null", None),
        (r#"{"scope":"all","secret":1}"#, None),
        ("{}", Some("scope")),
        (r#"{"scope":1}"#, Some("scope")),
        (r#"{"scope":"secret"}"#, Some("scope")),
        (r#"{"scope":"all","mode":1}"#, Some("mode")),
        (r#"{"scope":"all","mode":"secret"}"#, Some("mode")),
        (r#"{"scope":"original"}"#, Some("urls")),
        (&format!(r#"{{"scope":"all",{path}}}"#), Some("urls")),
        (r#"{"scope":"original","urls":["/a*"],"transformations":["w=1"]}"#, Some("urls")),
        (
            &format!(r#"{{"scope":"urls",{path},"transformations":["w=1"]}}"#),
            Some("transformations"),
        ),
        (
            &format!(r#"{{"scope":"original",{path},"transformations":"w=1"}}"#),
            Some("transformations"),
        ),
    ] {
        assert_eq!(refused(body).member(), member, "{body}");
    }
}

/// Checks that a body is refused for that reason, with a text that repeats no part of it.
fn assert_refused(body: &str, kind: Kind, text: &str) {
    let error = refused(body);
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, text), "{body}");
    assert!(!format!("{error} {:?}", error.source()).contains("secret"), "{body}");
}

#[test]
fn members_that_are_wrong_are_refused_with_a_fixed_text() {
    let scopes = "expected \"original\", \"urls\" or \"all\"";
    let modes = "expected \"hard\" or \"soft\"";
    let members = "expected scope, mode, urls and transformations";
    for (body, kind, text) in [
        ("null", Kind::WrongType, "the body must be a JSON object".to_owned()),
        ("1e9", Kind::WrongType, "the body must be a JSON object".to_owned()),
        (r#""all""#, Kind::WrongType, "the body must be a JSON object".to_owned()),
        (r#"["all"]"#, Kind::WrongType, "the body must be a JSON object".to_owned()),
        ("{}", Kind::MissingScope, format!("scope is missing: {scopes}")),
        (r#"{"urls":["/a"]}"#, Kind::MissingScope, format!("scope is missing: {scopes}")),
        (r#"{"scope":"secret"}"#, Kind::UnknownScope, format!("unknown scope: {scopes}")),
        (r#"{"scope":"ALL"}"#, Kind::UnknownScope, format!("unknown scope: {scopes}")),
        (r#"{"scope":"all "}"#, Kind::UnknownScope, format!("unknown scope: {scopes}")),
        (r#"{"scope":""}"#, Kind::UnknownScope, format!("unknown scope: {scopes}")),
        (r#"{"scope":null}"#, Kind::WrongType, format!("scope is not a string: {scopes}")),
        (r#"{"scope":["all"]}"#, Kind::WrongType, format!("scope is not a string: {scopes}")),
        (r#"{"scope":{"all":1}}"#, Kind::WrongType, format!("scope is not a string: {scopes}")),
        (r#"{"scope":true}"#, Kind::WrongType, format!("scope is not a string: {scopes}")),
        (r#"{"scope":"all","mode":"Soft"}"#, Kind::UnknownMode, format!("unknown mode: {modes}")),
        (
            r#"{"scope":"all","mode":null}"#,
            Kind::WrongType,
            format!("mode is not a string: {modes}"),
        ),
        (r#"{"scope":"all","mode":1}"#, Kind::WrongType, format!("mode is not a string: {modes}")),
        (
            r#"{"scope":"all","scope":"all"}"#,
            Kind::RepeatedMember,
            "member 2 of the body repeats an earlier one".to_owned(),
        ),
        (
            r#"{"urls":["/a"],"scope":"original","\u0075rls":["/b"]}"#,
            Kind::RepeatedMember,
            "member 3 of the body repeats an earlier one".to_owned(),
        ),
        (
            r#"{"scope":"all","mode":"hard","mode":"hard"}"#,
            Kind::RepeatedMember,
            "member 3 of the body repeats an earlier one".to_owned(),
        ),
        (
            r#"{"scope":"all","secret":1}"#,
            Kind::UnknownMember,
            format!("member 2 of the body is unknown: {members}"),
        ),
        (
            r#"{"Scope":"all"}"#,
            Kind::UnknownMember,
            format!("member 1 of the body is unknown: {members}"),
        ),
        (
            r#"{"scope":"original","url":["/a.jpg"]}"#,
            Kind::UnknownMember,
            "member 2 of the body is unknown: expected \"urls\"".to_owned(),
        ),
        (
            r#"{"scope":"original","transformation":["w=1"],"urls":["a"]}"#,
            Kind::UnknownMember,
            "member 2 of the body is unknown: expected \"transformations\"".to_owned(),
        ),
        (
            r#"{"scope":"all","":1,"secret":1}"#,
            Kind::UnknownMember,
            format!("member 2 of the body is unknown: {members}"),
        ),
    ] {
        assert_refused(body, kind, &text);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn lists_that_are_wrong_are_refused_with_a_fixed_text() {
    let list = "expected a list of strings";
    let one = "expected at least one string";
    for (body, kind, text) in [
        (
            r#"{"scope":"original"}"#,
            Kind::MissingList,
            "urls is missing: expected a list of at least one string".to_owned(),
        ),
        (
            r#"{"scope":"urls"}"#,
            Kind::MissingList,
            "urls is missing: expected a list of at least one string".to_owned(),
        ),
        (r#"{"scope":"original","urls":[]}"#, Kind::EmptyList, format!("urls is empty: {one}")),
        (
            r#"{"scope":"original","urls":null}"#,
            Kind::WrongType,
            format!("urls is not a list: {list}"),
        ),
        (
            r#"{"scope":"original","urls":"/a"}"#,
            Kind::WrongType,
            format!("urls is not a list: {list}"),
        ),
        (
            r#"{"scope":"original","urls":{"0":"/a"}}"#,
            Kind::WrongType,
            format!("urls is not a list: {list}"),
        ),
        (
            r#"{"scope":"original","urls":[1]}"#,
            Kind::WrongType,
            "urls[0] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/a",null]}"#,
            Kind::WrongType,
            "urls[1] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/a",["/b"]]}"#,
            Kind::WrongType,
            "urls[1] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/a",{"secret":"/b"}]}"#,
            Kind::WrongType,
            "urls[1] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"all","urls":["/a"]}"#,
            Kind::UnexpectedList,
            "scope \"all\" takes no urls".to_owned(),
        ),
        (
            r#"{"scope":"all","urls":[]}"#,
            Kind::UnexpectedList,
            "scope \"all\" takes no urls".to_owned(),
        ),
        (
            r#"{"scope":"all","urls":null}"#,
            Kind::UnexpectedList,
            "scope \"all\" takes no urls".to_owned(),
        ),
        (
            r#"{"scope":"all","transformations":["w=1"]}"#,
            Kind::UnexpectedList,
            "transformations are only allowed with scope \"original\"".to_owned(),
        ),
        (
            r#"{"scope":"urls","urls":["/a"],"transformations":["w=1"]}"#,
            Kind::UnexpectedList,
            "transformations are only allowed with scope \"original\"".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/a"],"transformations":[]}"#,
            Kind::EmptyList,
            format!("transformations is empty: {one}, or no transformations"),
        ),
        (
            r#"{"scope":"original","urls":["/a"],"transformations":"w=1"}"#,
            Kind::WrongType,
            format!("transformations is not a list: {list}"),
        ),
        (
            r#"{"scope":"original","urls":["/a"],"transformations":[1]}"#,
            Kind::WrongType,
            "transformations[0] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/a"],"transformations":["?"]}"#,
            Kind::BadEntry,
            "transformations[0] names no operations".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/b","/a*"],"transformations":["w=1"]}"#,
            Kind::WildcardWithOperations,
            "urls[1] ends in a star: expected whole pictures, without operations".to_owned(),
        ),
        (
            r#"{"scope":"urls","urls":["/a*?w=1"]}"#,
            Kind::WildcardWithOperations,
            "urls[0] ends in a star: expected whole pictures, without operations".to_owned(),
        ),
    ] {
        assert_refused(body, kind, &text);
    }
}

#[test]
fn what_is_no_json_is_never_called_anything_else() {
    let deep = format!(r#"{{"scope":"all","urls":{}"#, "[".repeat(60_000));
    for (body, kind, text) in [
        (&b""[..], Kind::NotJson, "the body is empty: expected a JSON object"),
        (b"   ", Kind::NotJson, "the body ends too early at line 1, column 3"),
        (b"{\"secret\":", Kind::NotJson, "the body ends too early at line 1, column 10"),
        (b"scope=all", Kind::NotJson, "the body is not JSON at line 1, column 1"),
        (b"{'scope':'all'}", Kind::NotJson, "the body is not JSON at line 1, column 2"),
        (b"{\"scope\":\"all\",}", Kind::NotJson, "the body is not JSON at line 1, column 16"),
        (
            b"{\"scope\":\"all\"}\n{\"scope\":\"all\"}",
            Kind::NotJson,
            "the body is not JSON at line 2, column 1",
        ),
        (
            b"\xEF\xBB\xBF{\"scope\":\"all\"}",
            Kind::NotJson,
            "the body starts with a byte order mark: expected a JSON object",
        ),
        (b"{\"scope\":\"\xFF\"}", Kind::NotJson, "the body is not JSON at line 1, column 11"),
        // Also in a part that no request has, which a careless reader would skip.
        (
            b"{\"secret\":[{\"\":\"\xFF\"}]}",
            Kind::NotJson,
            "the body is not JSON at line 1, column 17",
        ),
        (b"{\"scope\":\"all\x00\"}", Kind::NotJson, "the body is not JSON at line 1, column 14"),
        (
            b"{\"secret\":1,\"scope\":\"all\"",
            Kind::NotJson,
            "the body ends too early at line 1, column 25",
        ),
        (deep.as_bytes(), Kind::TooDeep, "the body nests deeper than 16 levels"),
    ] {
        let error = InvalidationRequest::from_json(body, &rules(), &InvalidationLimits::default());
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        assert_eq!((error.member(), error.entry_index()), (None, None));
    }
}

#[test]
fn limits_hold_at_the_figure_and_not_before_it() {
    let limits = |f: fn(_) -> cache_index::invalidation::InvalidationLimitsBuilder| {
        f(InvalidationLimits::builder()).build().unwrap()
    };
    let read =
        |body: &str, limits| InvalidationRequest::from_json(body.as_bytes(), &rules(), &limits);
    let list = |count: usize| vec!["\"/a\""; count].join(",");
    let body = |count| format!(r#"{{"scope":"original","urls":[{}]}}"#, list(count));
    let documented = limits(|limits| limits.entries(InvalidationLimits::DOCUMENTED_ENTRIES));
    assert!(read(&body(15), documented).is_ok());
    let error = read(&body(16), documented).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::TooManyEntries, "urls has more than 15 entries")
    );
    assert!(read(&body(1000), InvalidationLimits::default()).is_ok());
    assert_eq!(
        read(&body(10_000), InvalidationLimits::default()).unwrap_err().kind(),
        Kind::TooManyEntries
    );

    let body = |count| {
        format!(
            r#"{{"scope":"original","urls":["/a"],"transformations":[{}]}}"#,
            vec!["\"w=1\""; count].join(",")
        )
    };
    assert!(read(&body(50), InvalidationLimits::default()).is_ok());
    let error = read(&body(51), InvalidationLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "transformations has more than 50 entries");
    assert_eq!((error.kind(), error.member()), (Kind::TooManyEntries, Some("transformations")));

    let all = r#"{"scope":"all"}"#;
    let exact = limits(|limits| limits.bytes(15));
    assert!(read(all, exact).is_ok());
    let error = read(&format!("{all} "), exact).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::TooLarge, "the body is larger than 15 bytes")
    );

    let nested =
        |depth: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    for depth in [2, 16, 127] {
        let limits = InvalidationLimits::builder().depth(depth).build().unwrap();
        assert_eq!(
            read(&nested(depth), limits).unwrap_err().kind(),
            Kind::UnknownMember,
            "{depth}"
        );
        assert_eq!(
            read(&nested(depth + 1), limits).unwrap_err().kind(),
            if depth == 127 { Kind::NotJson } else { Kind::TooDeep }
        );
    }
}

#[test]
fn lists_are_checked_as_json_is() {
    let rules = rules();
    let builder = || InvalidationRequest::builder(&rules);
    let none: [&str; 0] = [];
    assert_eq!(builder().original(none).unwrap_err().kind(), Kind::EmptyList);
    assert_eq!(builder().urls(none).unwrap_err().kind(), Kind::EmptyList);
    assert_eq!(
        builder().transformations(none).original(["/a"]).unwrap_err().kind(),
        Kind::EmptyList
    );
    assert_eq!(
        builder().transformations(["w=1"]).urls(["/a"]).unwrap_err().kind(),
        Kind::UnexpectedList
    );
    assert_eq!(
        builder().transformations(["w=1"]).original(["/a*"]).unwrap_err().kind(),
        Kind::WildcardWithOperations
    );
    let error = builder().transformations(["w=1"; 51]).original(["/a"]).unwrap_err();
    assert_eq!(error.kind(), Kind::TooManyEntries);
    assert_eq!(
        builder().original(["/a"; 1001]).unwrap_err().to_string(),
        "urls has more than 1000 entries"
    );
    // Bytes that are not UTF-8 can also name a picture.
    let request = builder().original([&b"/caf\xE9.jpg"[..]]).unwrap();
    assert_eq!(targets(&request), ["caf%E9.jpg"]);
}

#[test]
fn one_bad_entry_stops_all_the_others() {
    let (index, tenant) = filled();
    let before = index.stats();
    for bad in ["", "/", "/../a", "/a?w=1", "/a?", "/%zz", "/a#x", "ftp2://a/b", "/v7/a"] {
        let body = serde_json::json!({ "scope": "original", "urls": ["/sample.li/birds.jpg", "/sample.li/*", bad] });
        let error = refused(&body.to_string());
        assert_eq!((error.kind(), error.entry_index()), (Kind::BadEntry, Some(2)), "{bad}");
    }
    assert_eq!(index.stats(), before);
    assert_eq!(index.dry_run(&tenant, &InvalidationRequest::all(Severity::Hard)).variants(), 5);
}

#[test]
#[should_panic(expected = "belongs to another index")]
fn tenant_of_another_index_is_a_bug_of_the_caller() {
    let (index, _) = filled();
    let stranger = CacheIndex::<u64>::default().tenant("doc");
    let _ = index.dry_run(&stranger, &InvalidationRequest::all(Severity::Hard));
}

/// Texts that name something, and texts that don't.
fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "/?[a-c](/[a-c]){0,2}\\*?",
        2 => "/[a-b]\\?(w|h|width)=[0-9]",
        1 => any::<String>(),
    ]
}

/// JSON that is nearly a request.
fn near_request() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("\"original\"".to_owned()),
        Just("\"urls\"".to_owned()),
        Just("\"all\"".to_owned()),
        Just("\"soft\"".to_owned()),
        Just("null".to_owned()),
        Just("[[[1]]]".to_owned()),
        proptest::collection::vec(entry(), 0..4)
            .prop_map(|list| serde_json::json!(list).to_string()),
        "[\\[\\]{}:,\"a-z0-9\\\\ ]{0,12}",
    ];
    let name = prop_oneof![
        8 => Just("scope"), 8 => Just("urls"), 2 => Just("mode"), 2 => Just("transformations"), 1 => Just("other")
    ];
    proptest::collection::vec((name, value), 0..4).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = InvalidationRequest::from_json(&bytes, &rules(), &InvalidationLimits::default());
    }

    #[test]
    fn what_is_read_agrees_with_a_lax_reader(body in near_request()) {
        let lax = serde_json::from_str::<serde_json::Value>(&body);
        match read(&body) {
            Ok(request) => {
                let lax = lax.expect("what is a request is JSON");
                let scope = match request.scope() {
                    InvalidationScope::All => "all",
                    InvalidationScope::Urls => "urls",
                    _ => "original",
                };
                prop_assert_eq!(&lax["scope"], scope);
                let listed = lax["urls"].as_array().map_or(0, Vec::len);
                prop_assert_eq!(request.entries().len() + request.duplicates(), listed);
                prop_assert_eq!(request.severity() == Severity::Soft, lax["mode"] == "soft");
            }
            Err(error) => {
                let deep = error.kind() == Kind::TooDeep;
                prop_assert_eq!(error.kind() == Kind::NotJson, lax.is_err() && !deep, "{}", error);
            }
        }
    }

    #[test]
    fn json_and_lists_say_the_same(
        urls in proptest::collection::vec(entry(), 0..5),
        picked in proptest::option::of(proptest::collection::vec("\\??(w|h)=[0-9]", 0..3)),
        soft in any::<bool>(),
        singly in any::<bool>(),
    ) {
        let rules = rules();
        let mut body = serde_json::json!({ "scope": if singly { "urls" } else { "original" }, "urls": urls });
        let mut builder = InvalidationRequest::builder(&rules);
        if soft {
            body["mode"] = "soft".into();
            builder = builder.severity(Severity::Soft);
        }
        if let Some(picked) = &picked {
            body["transformations"] = serde_json::json!(picked);
            builder = builder.transformations(picked);
        }
        let of_lists = if singly { builder.urls(&urls) } else { builder.original(&urls) };
        prop_assert_eq!(read(&body.to_string()), of_lists);
    }
}
