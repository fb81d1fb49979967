//! Freshness: how long the origin allows a picture to be kept and used.
//!
//! Invariant: the first field of the target list that is valid and not empty decides, and
//! `Cache-Control` only if there is none (RFC 9213, 2.2). None of these fields is passed on: each
//! answer of the edge has a `Cache-Control` of its own.
//!
//! Not here: `Expires` is not read. An answer that says nothing is fresh until it is invalidated.

use super::fields::{joined, split};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use sfv::{BareItem, Dictionary, ListEntry, Parser, Version};
use std::time::Duration;

/// The fields that are read if none are named. The second is older than RFC 9213, and is read by
/// the same rules.
pub(crate) const DEFAULT_TARGETS: &str = "CDN-Cache-Control,Surrogate-Control";

/// Larger numbers count as this one (RFC 9111, 1.2.2).
const MOST_SECONDS: u64 = 1 << 31;

/// Browsers and caches further down may keep a picture but must ask before they show it again: an
/// invalidation doesn't reach them. Asking costs them a 304 without a body.
const ASK_FIRST: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The target list of RFC 9213, 2.2: the fields that are meant for this cache, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetList(Vec<HeaderName>);

/// The limits that the origin sets. By default there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// `no-store` or `private`.
    #[serde(skip)]
    pub(crate) is_forbidden: bool,
    /// In seconds; `None` for an unlimited time.
    lifetime: Option<u64>,
    /// The age of the answer when it came, in seconds.
    age: u64,
    /// `must-revalidate`, `proxy-revalidate` or `no-cache`: never used when stale.
    strict: bool,
    /// `stale-while-revalidate`, in seconds.
    while_revalidate: u64,
    /// `stale-if-error`, in seconds.
    if_error: u64,
    client: ClientPolicy,
}

/// The limits of `Cache-Control` for the caches further down, also if a targeted field decides
/// here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ClientPolicy {
    no_store: bool,
    while_revalidate: u64,
    if_error: u64,
}

/// The permitted use of a picture of a certain age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It may be served.
    Fresh,
    /// It may be served while it is fetched again (RFC 5861, 3).
    WhileRevalidate,
    /// It must be fetched again first. If that fails, it may be served if this is true (RFC 5861,
    /// 4).
    Expired { if_error: bool },
}

/// The directives of one field that are understood here.
#[derive(Debug, Default)]
struct Directives {
    /// `no-store` or `private`: not for a shared cache.
    forbidden: bool,
    no_cache: bool,
    must_revalidate: bool,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    while_revalidate: Option<u64>,
    if_error: Option<u64>,
}

impl TargetList {
    /// Reads names that are separated by commas.
    ///
    /// # Errors
    /// If a name cannot be a field name, is repeated, or is `Cache-Control`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for name in text.split(',').map(str::trim) {
            let field: HeaderName =
                name.parse().map_err(|_| format!("\"{name}\" is not the name of a field"))?;
            if field == header::CACHE_CONTROL {
                return Err("Cache-Control is always read, after the other fields".to_owned());
            }
            if names.contains(&field) {
                return Err(format!("{name} is repeated"));
            }
            names.push(field);
        }
        Ok(Self(names))
    }

    /// Reads the headers of an answer. Returns `None` if they say nothing.
    pub(crate) fn policy(&self, headers: &HeaderMap) -> Option<Policy> {
        let general = joined(headers, &header::CACHE_CONTROL).map(|text| Directives::plain(&text));
        let targeted =
            self.0.iter().find_map(|name| Directives::structured(&joined(headers, name)?));
        let client = general.as_ref().map(Directives::client).unwrap_or_default();
        let own = targeted.or(general)?;
        let age = headers.get(header::AGE).and_then(|age| seconds(age.to_str().ok()?));
        Some(Policy {
            is_forbidden: own.forbidden,
            lifetime: own.lifetime(),
            age: age.unwrap_or(0),
            strict: own.is_strict(),
            while_revalidate: own.while_revalidate.unwrap_or(0),
            if_error: own.if_error.unwrap_or(0),
            client,
        })
    }
}

impl Directives {
    /// Reads a `Cache-Control` (RFC 9111, 5.2). Unknown directives are ignored, as it wants it.
    fn plain(text: &str) -> Self {
        let mut directives = Self::default();
        for piece in split(text, ',') {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = name.trim().to_ascii_lowercase();
            let value = value.trim().trim_matches('"');
            if directives.flag(&name) {
                continue;
            }
            // A lifetime that can't be read counts as over (RFC 9111, 4.2.1).
            let number = seconds(value).unwrap_or(0);
            if let Some(slot) = directives.slot(&name) {
                // The first of several counts.
                slot.get_or_insert(number);
            }
        }
        directives
    }

    /// Reads a targeted field: a dictionary (RFC 9213, 2.1). Returns `None` if it is empty or not a
    /// dictionary. A directive with a value of the wrong type is ignored.
    fn structured(text: &str) -> Option<Self> {
        let parser = Parser::new(text).with_version(Version::Rfc8941);
        let dictionary: Dictionary = parser.parse().ok()?;
        if dictionary.is_empty() {
            return None;
        }
        let mut directives = Self::default();
        for (name, member) in &dictionary {
            let ListEntry::Item(item) = member else { continue };
            match item.bare_item {
                BareItem::Boolean(true) => {
                    directives.flag(name.as_str());
                }
                BareItem::Integer(number) => {
                    let number = u64::try_from(number).ok().map(|it| it.min(MOST_SECONDS));
                    if let (Some(slot), Some(number)) = (directives.slot(name.as_str()), number) {
                        *slot = Some(number);
                    }
                }
                _ => {}
            }
        }
        Some(directives)
    }

    /// Sets a directive that has no value, and returns whether this is one.
    fn flag(&mut self, name: &str) -> bool {
        let flag = match name {
            "no-store" | "private" => &mut self.forbidden,
            "no-cache" => &mut self.no_cache,
            "must-revalidate" | "proxy-revalidate" => &mut self.must_revalidate,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// The place of a directive that has a number of seconds.
    fn slot(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "max-age" => Some(&mut self.max_age),
            "s-maxage" => Some(&mut self.s_maxage),
            "stale-while-revalidate" => Some(&mut self.while_revalidate),
            "stale-if-error" => Some(&mut self.if_error),
            _ => None,
        }
    }

    fn lifetime(&self) -> Option<u64> {
        if self.no_cache { Some(0) } else { self.s_maxage.or(self.max_age) }
    }

    fn is_strict(&self) -> bool {
        self.must_revalidate || self.no_cache
    }

    /// Returns the limits for caches further down. Explicit windows for stale answers are kept.
    fn client(&self) -> ClientPolicy {
        let allowed = |window: Option<u64>| window.filter(|_| !self.is_strict()).unwrap_or(0);
        ClientPolicy {
            no_store: self.forbidden,
            while_revalidate: allowed(self.while_revalidate),
            if_error: allowed(self.if_error),
        }
    }
}

/// Reads a number of seconds: digits alone.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Too many digits for the type are too many seconds.
    is_number.then(|| text.parse().unwrap_or(MOST_SECONDS).min(MOST_SECONDS))
}

impl Policy {
    /// Returns the permitted use of a picture that came `since` ago.
    pub(crate) fn state(&self, since: Duration) -> State {
        let Some(over) = self.seconds_over(since) else { return State::Fresh };
        // Fresh if the lifetime exceeds the age (RFC 9111, 4.2), so at 0 it is stale.
        match u64::try_from(over) {
            Err(_) => State::Fresh,
            Ok(over) if !self.strict && over < self.while_revalidate => State::WhileRevalidate,
            Ok(over) => State::Expired { if_error: !self.strict && over < self.if_error },
        }
    }

    /// Returns the permitted use of a picture after a soft invalidation, which asks to serve it
    /// stale. The limits of the origin still hold.
    pub(crate) fn state_when_softened(&self, since: Duration) -> State {
        match self.state(since) {
            State::Fresh if self.strict => State::Expired { if_error: false },
            State::Fresh => State::WhileRevalidate,
            state => state,
        }
    }

    /// The policy after the origin has confirmed the picture and said no more (RFC 9111, 4.3.4).
    pub(crate) fn confirmed(self) -> Self {
        Self { age: 0, ..self }
    }

    /// The remaining lifetime in seconds, negative when it is over; `None` if it is unlimited.
    pub(crate) fn ttl(&self, since: Duration) -> Option<i64> {
        self.seconds_over(since).map(|over| -over)
    }

    fn seconds_over(&self, since: Duration) -> Option<i64> {
        let lifetime = self.lifetime?;
        let age = since.as_secs().saturating_add(self.age);
        Some(0_i64.saturating_add_unsigned(age).saturating_sub_unsigned(lifetime))
    }

    /// The `Cache-Control` of an answer with this picture.
    pub(crate) fn cache_control(&self) -> HeaderValue {
        let ClientPolicy { no_store, while_revalidate, if_error } = self.client;
        if no_store {
            return NO_STORE;
        }
        if while_revalidate == 0 && if_error == 0 {
            return ASK_FIRST;
        }
        let mut text = "public, max-age=0".to_owned();
        for (name, window) in
            [("stale-while-revalidate", while_revalidate), ("stale-if-error", if_error)]
        {
            if window > 0 {
                text += &format!(", {name}={window}");
            }
        }
        HeaderValue::from_str(&text).unwrap_or(ASK_FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(lines: &[(&'static str, &str)]) -> Option<Policy> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        TargetList::parse(DEFAULT_TARGETS).unwrap().policy(&headers)
    }

    fn lifetime(lines: &[(&'static str, &str)]) -> Option<u64> {
        policy(lines).unwrap().lifetime
    }

    #[test]
    fn the_first_valid_targeted_field_wins_over_cache_control() {
        let general = ("cache-control", "max-age=1");
        let (cdn, surrogate) = ("cdn-cache-control", "surrogate-control");
        assert_eq!(lifetime(&[general]), Some(1));
        assert_eq!(lifetime(&[general, (cdn, "max-age=60")]), Some(60));
        assert_eq!(lifetime(&[general, (surrogate, "max-age=70")]), Some(70));
        assert_eq!(lifetime(&[general, (surrogate, "max-age=70"), (cdn, "max-age=60")]), Some(60));
        // Several lines are one dictionary, and the last of several values counts.
        assert_eq!(lifetime(&[(cdn, "max-age=5, no-cache=?0"), (cdn, "max-age=6")]), Some(6));
        // Nothing registered is still something: Cache-Control is ignored.
        assert_eq!(lifetime(&[("cache-control", "no-store"), (cdn, "none")]), None);
        assert!(!policy(&[("cache-control", "no-store"), (cdn, "none")]).unwrap().is_forbidden);
        // Not a dictionary, or empty: the next one decides.
        for invalid in ["", "max-age=3600+600", "max-age=60,,", "MAX-AGE=60", "max-age=\"60"] {
            assert_eq!(lifetime(&[general, (cdn, invalid)]), Some(1), "{invalid}");
            let next = [general, (cdn, invalid), (surrogate, "max-age=70")];
            assert_eq!(lifetime(&next), Some(70), "{invalid}");
        }
        // Values of a wrong type are not consumed.
        for wrong in ["max-age=6.5", "max-age=-1", "max-age=\"60\"", "max-age", "max-age=(60)"] {
            assert_eq!(lifetime(&[general, (cdn, wrong)]), None, "{wrong}");
        }
        assert_eq!(policy(&[]), None);
        assert_eq!(policy(&[("expires", "0")]), None);
    }

    #[test]
    fn cache_control_is_read_as_a_shared_cache_reads_it() {
        for (text, expected) in [
            ("max-age=60", Some(60)),
            ("MAX-AGE = \"60\"", Some(60)),
            ("max-age=60, s-maxage=5", Some(5)),
            ("max-age=60, max-age=5", Some(60)),
            ("max-age=60, no-cache=\"set-cookie, x\"", Some(0)),
            ("max-age=soon", Some(0)),
            ("max-age", Some(0)),
            ("max-age=99999999999999999999999", Some(1 << 31)),
            ("public, immutable", None),
            ("x=\"max-age=60, no-store\"", None),
        ] {
            assert_eq!(lifetime(&[("cache-control", text)]), expected, "{text}");
        }
        for forbidden in ["no-store", "private, max-age=60", "Private=\"x\""] {
            assert!(policy(&[("cache-control", forbidden)]).unwrap().is_forbidden, "{forbidden}");
        }
    }

    #[test]
    fn a_picture_passes_from_fresh_to_stale_to_expired() {
        let of = |text: &str| policy(&[("cache-control", text), ("age", "10")]).unwrap();
        let at = |text: &str, since| of(text).state(Duration::from_secs(since));
        let text = "max-age=60, stale-while-revalidate=30, stale-if-error=100";
        assert_eq!(at(text, 49), State::Fresh);
        assert_eq!(at(text, 50), State::WhileRevalidate);
        assert_eq!(at(text, 79), State::WhileRevalidate);
        assert_eq!(at(text, 80), State::Expired { if_error: true });
        assert_eq!(at(text, 149), State::Expired { if_error: true });
        assert_eq!(at(text, 150), State::Expired { if_error: false });
        assert_eq!(at("public", u64::MAX), State::Fresh);
        for strict in ["must-revalidate", "proxy-revalidate", "no-cache"] {
            let text = format!("{text}, {strict}");
            assert_eq!(at(&text, 60), State::Expired { if_error: false }, "{text}");
        }
        assert_eq!(of(text).ttl(Duration::from_secs(20)), Some(30));
        assert_eq!(of(text).ttl(Duration::from_secs(80)), Some(-30));
        assert_eq!(Policy::default().ttl(Duration::ZERO), None);
    }

    #[test]
    fn a_soft_invalidation_is_within_the_limits_of_the_origin() {
        let at = |text, since| {
            policy(&[("cache-control", text)])
                .unwrap()
                .state_when_softened(Duration::from_secs(since))
        };
        assert_eq!(at("public", 9), State::WhileRevalidate);
        assert_eq!(at("max-age=60", 9), State::WhileRevalidate);
        assert_eq!(at("max-age=60", 60), State::Expired { if_error: false });
        assert_eq!(at("max-age=60, must-revalidate", 9), State::Expired { if_error: false });
    }

    #[test]
    fn clients_are_told_what_cache_control_allows_them_and_nothing_else() {
        let ask_first = "public, max-age=0, must-revalidate";
        let (swr, sie) = ("stale-while-revalidate=30", "stale-if-error=60");
        for (general, targeted, expected) in [
            ("max-age=9", "", ask_first.to_owned()),
            ("public", swr, ask_first.to_owned()),
            (swr, "max-age=9", format!("public, max-age=0, {swr}")),
            (
                "stale-if-error=60, stale-while-revalidate=30",
                "",
                format!("public, max-age=0, {swr}, {sie}"),
            ),
            ("stale-if-error=60, must-revalidate", "", ask_first.to_owned()),
            ("no-store", "max-age=60", "no-store".to_owned()),
            ("private", "", "no-store".to_owned()),
            ("max-age=9", "no-store", ask_first.to_owned()),
        ] {
            let lines = [("cache-control", general), ("cdn-cache-control", targeted)];
            let told = policy(&lines).unwrap().cache_control();
            assert_eq!(told, expected, "{general} | {targeted}");
        }
        assert_eq!(Policy::default().cache_control(), ask_first);
    }

    #[test]
    fn a_policy_survives_a_restart() {
        let written = policy(&[("cache-control", "max-age=60, stale-if-error=9"), ("age", "3")]);
        let json = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Option<Policy>>(&json).unwrap(), written);
    }

    #[test]
    fn what_is_no_target_list_is_refused() {
        let names = TargetList::parse(" CDN-Cache-Control, x-cdn").unwrap().0;
        assert_eq!(names, ["cdn-cache-control", "x-cdn"]);
        for (text, reason) in [
            ("", "\"\" is not the name of a field"),
            ("a,", "\"\" is not the name of a field"),
            ("a b", "\"a b\" is not the name of a field"),
            ("a,A", "A is repeated"),
            ("a,cache-control", "Cache-Control is always read, after the other fields"),
        ] {
            assert_eq!(TargetList::parse(text).unwrap_err(), reason, "{text}");
        }
    }
}
