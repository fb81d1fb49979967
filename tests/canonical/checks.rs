//! The laws themselves, for any text. The properties try them on generated texts, the fuzz targets
//! on everything else.

use crate::naive::{Naive, Outcome};
use crate::notation::{Entries, Kind, Settings};
use cache_index::canonical::{Delivery, MAX_INPUT, PathError, Rules, Target};
use cache_index::{OriginPath, PathPrefix, VariantKey};

/// Settings that differ in all that matters.
pub(crate) const SETTINGS: [&str; 8] = [
    "default",
    "v7",
    "v7=optional",
    "root=path",
    "cname=img.example.com;wildcard=on",
    "prefix=https://hello.s3.aws.com/bucket/",
    "scope=urls",
    "scope=urls;v7=optional;wildcard=on",
];

/// All that holds of a request, whether it is accepted or not.
pub(crate) fn request(settings_text: &str, text: &[u8]) {
    let settings = Settings::parse(settings_text).unwrap();
    let rules = &settings.rules;
    both_agree(settings_text, &settings, Kind::Delivery, text);
    let read = rules.delivery(text);
    let explanation = rules.explain_delivery(text);
    assert!(explanation.steps.iter().all(|step| step.from != step.to));
    assert_eq!(explanation.outcome, read);
    let target = rules.request_target(text);
    assert_eq!(rules.explain_request_target(text).outcome, target);
    if !text.starts_with(b"//") {
        assert_eq!(target.clone().ok(), read.clone().ok());
    } else if text.len() <= MAX_INPUT && rules.request_target(&text[1..]).is_ok() {
        assert_eq!(target, rules.request_target(&text[1..]));
    }
    if let Ok(delivery) = read {
        origin_is_fixed(&delivery.origin);
        variant_is_fixed(&delivery.variant);
        can_be_named(settings_text, rules, &delivery.origin);
        let grouped = delivery.clone().grouped();
        assert_eq!(ungrouped(&grouped), delivery);
        assert!(delivery.variant.covers(&grouped.variant));
        known(grouped.origin.as_str());
        known(grouped.variant.as_str());
    }
}

/// All that holds of an entry, whether it is accepted or not.
pub(crate) fn entry(settings_text: &str, text: &[u8]) {
    let settings = Settings::parse(settings_text).unwrap();
    both_agree(settings_text, &settings, Kind::Invalidation, text);
    let rules = &settings.rules;
    assert_eq!(rules.explain_invalidation(text).outcome, rules.invalidation(text));
    assert_eq!(rules.explain_variant_entry(text).outcome, rules.variant_entry(text));
    assert_eq!(rules.explain_operations(text).outcome, rules.operations(text));
    if let Err(error) = settings.read(Kind::Invalidation, text) {
        for suggestion in error.suggestions() {
            let read = settings.read(Kind::Invalidation, suggestion.as_bytes());
            assert!(read.is_ok(), "{suggestion:?}: {read:?}");
        }
    }
    match rules.invalidation(text) {
        Ok(Target::Path(path)) => origin_is_fixed(&path),
        Ok(Target::Prefix(prefix)) => known(prefix.as_str()),
        Err(error) => inside(&error, text),
    }
    if let Ok(operations) = rules.operations(text) {
        let key = VariantKey::from_canonical(operations.as_str()).unwrap();
        assert!(operations.matches(&key));
        assert!(!operations.matches(&VariantKey::from_canonical("?").unwrap()));
    }
}

/// All that holds of a text that may or may not be canonical.
pub(crate) fn known(text: &str) {
    if let Ok(path) = OriginPath::from_canonical(text) {
        assert_eq!(path.as_str(), text);
        origin_is_fixed(&path);
    }
    if let Ok(prefix) = PathPrefix::from_canonical(text) {
        assert_eq!(prefix.as_str(), text);
        let grouped = Target::Prefix(prefix.borrowed()).grouped();
        if let Ok(path) = OriginPath::from_canonical(text) {
            let path = Target::Path(path).grouped();
            assert!(path.as_str().starts_with(grouped.as_str()), "{path:?} {grouped:?}");
        }
    }
    if let Ok(key) = VariantKey::from_canonical(text) {
        assert_eq!(key.as_str(), text);
        assert!(key.covers(&key));
        let operations = VariantKey::from_canonical(key.operations()).unwrap();
        assert!(operations.covers(&key));
        variant_is_fixed(&operations);
    }
}

fn both_agree(settings_text: &str, settings: &Settings, kind: Kind, text: &[u8]) {
    let read = settings.read(kind, text);
    match (read, plainly(settings_text, kind, text)) {
        (Ok(read), Ok(plain)) => assert_eq!(read, plain),
        // A text with two faults may be refused for either.
        (Err(error), Err(_)) => inside(&error, text),
        (read, plain) => panic!("{read:?} is not {plain:?}"),
    }
}

fn inside(error: &PathError, text: &[u8]) {
    assert!(error.byte_offset() <= text.len(), "{error}");
}

/// A canonical origin names itself, with the two exceptions that can't be written so.
fn origin_is_fixed(origin: &OriginPath<'_>) {
    let text = origin.as_str();
    assert_eq!(OriginPath::from_canonical(text).as_ref(), Ok(origin));
    let written_otherwise = text.contains('?') || text == "v7" || text.starts_with("v7/");
    if !written_otherwise && text.len() <= MAX_INPUT {
        let rules = Settings::parse("root=path").unwrap().rules;
        assert_eq!(rules.invalidation(text), Ok(Target::Path(origin.borrowed())));
    }
}

/// The key of one group stays the same when it is appended to a path.
fn variant_is_fixed(variant: &VariantKey<'_>) {
    let text = variant.as_str();
    assert_eq!(VariantKey::from_canonical(text).as_ref(), Ok(variant));
    let request = format!("/a.jpg{text}");
    if !text[1..].contains('?') && request.len() <= MAX_INPUT {
        let again = Rules::default().delivery(&request).unwrap();
        assert_eq!(again.origin.as_str(), "a.jpg");
        assert_eq!(&again.variant, variant);
    }
}

/// Everything that is stored can be named in an entry, if there is room for the name.
fn can_be_named(settings: &str, rules: &Rules, origin: &OriginPath<'_>) {
    let v7 = if settings.split(';').any(|setting| setting == "v7") { "v7/" } else { "" };
    let entry = format!("/{v7}{}?ci_url_encoded=1", encoded(origin.as_str()));
    if entry.len() <= MAX_INPUT {
        assert_eq!(rules.invalidation(&entry), Ok(Target::Path(origin.borrowed())));
    }
}

/// `text` with every byte encoded.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| out + &format!("%{byte:02x}"))
}

/// The plain implementation of some settings.
fn naive(settings: &str) -> Naive {
    let has = |setting: &str| settings.split(';').any(|s| s == setting);
    let value = |name: &str| settings.split(';').find_map(|s| s.strip_prefix(name));
    let mut hosts = vec!["doc.cloudimg.io".to_owned()];
    hosts.extend(value("cname=").map(str::to_owned));
    Naive {
        hosts,
        v7: if has("v7") {
            "required"
        } else if has("v7=optional") {
            "optional"
        } else {
            "none"
        },
        prefix: value("prefix=").map(|prefix| prefix.trim_end_matches('/').to_owned()),
        hosts_are_told: !has("root=path") && value("prefix=").is_none(),
        wildcards: has("wildcard=on"),
    }
}

/// Returns the result of the plain implementation.
fn plainly(settings: &str, kind: Kind, text: &[u8]) -> Outcome {
    let (naive, entries) = (naive(settings), Settings::parse(settings).unwrap().entries);
    match (kind, entries) {
        (Kind::Delivery, _) => naive.delivery(text),
        (Kind::Invalidation, Entries::Variants) => naive.selection(text),
        (Kind::Invalidation, _) => naive.invalidation(text),
    }
}

/// The exact names that grouped ones were made from, found the plain way.
pub(crate) fn ungrouped(grouped: &Delivery<'_>) -> Delivery<'static> {
    let key = grouped.variant.as_str();
    let (operations, mark) = key.split_once('@').unwrap_or((key, ""));
    let (mark, spelling) = mark.split_once('=').unwrap_or((mark, ""));
    let (head, digits) = mark.split_once('%').unwrap_or((mark, ""));
    let scheme = ["https", "http", "ftp"].into_iter().find(|scheme| head.starts_with(scheme));
    let rest = head.strip_prefix(scheme.unwrap_or("")).unwrap();
    let (dot, port) = rest.strip_prefix('.').map_or(("", rest), |port| (".", port));
    let text = grouped.origin.as_str();
    let drops = scheme.is_some() || !port.is_empty() || !spelling.is_empty();
    let (first, tail) = text.split_at(head_len(text, drops));
    let (host, kept_port) = first.split_at(first.rfind(':').unwrap_or(first.len()));
    // A spelling stands for all of the head, and for the slash behind it, which may have been
    // missing.
    let tail = if spelling.is_empty() { tail } else { &tail[1..] };
    let mut origin = match scheme {
        _ if !spelling.is_empty() => spelling.to_owned(),
        Some(scheme) => format!("{scheme}://{host}{dot}{port}{kept_port}"),
        None if port.is_empty() => first.to_owned(),
        None => format!("{first}{port}"),
    };
    let bit = |n: usize| {
        let digit =
            digits.get(n / 4..=n / 4).map(|digit| usize::from_str_radix(digit, 16).unwrap());
        digit.is_some_and(|digit| digit >> (n % 4) & 1 == 1)
    };
    let (mut count, mut at) = (0, 0);
    let (mut in_query, mut in_first) = (false, first.is_empty());
    while at < tail.len() {
        let rest = &tail[at..];
        // The grouped spelling of these is the encoded one.
        let star = !in_query && rest.starts_with("%2A");
        let plus = in_first && rest.starts_with("%2B");
        let char = if star {
            '*'
        } else if plus {
            '+'
        } else {
            rest.chars().next().unwrap()
        };
        let reserved = "!$&'()*+,;=:@".contains(char) || (in_query && "/?".contains(char));
        if reserved && !(in_first && char == ':') {
            if bit(count) == (star || plus) {
                origin.push(char);
            } else {
                origin += &format!("%{:02X}", char as u32);
            }
            count += 1;
        } else {
            origin.push(char);
        }
        at += if star || plus { 3 } else { 1 };
        in_first &= char != '/' && char != '?';
        in_query |= char == '?';
    }
    Delivery {
        origin: OriginPath::from_canonical(&origin).unwrap().into_owned(),
        variant: VariantKey::from_canonical(operations).unwrap().into_owned(),
    }
}

/// Returns the length of the part of a grouped text in which only scheme, dot and port were
/// dropped.
fn head_len(text: &str, drops: bool) -> usize {
    let scheme =
        ["https://", "http://", "ftp://"].into_iter().find(|scheme| text.starts_with(scheme));
    let authority = scheme.map_or(0, str::len);
    let Some(len) = text[authority..].find('/') else { return 0 };
    let first = &text[..authority + len];
    // A host is recognized as in the rules: text that they write in lower case when it is followed
    // by something.
    let upper = format!("{}/", first.to_ascii_uppercase());
    let told =
        || Rules::default().invalidation(&upper).is_ok_and(|target| target.as_str() != upper);
    if drops || scheme.is_some() || (authority == 0 && first.contains('.') && told()) {
        first.len()
    } else {
        0
    }
}
