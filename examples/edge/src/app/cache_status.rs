//! `Cache-Status`: the role of the cache in an answer, as RFC 9211 has it.
//!
//! Invariant: every value is a list of one structured item, and has either `hit` or `fwd`. Answers
//! that the edge generates itself, such as a 400 or a 502, have no `Cache-Status` (RFC 9211, 2).
//! There is no `key`: it would tell nothing that the URL doesn't.

use axum::http::HeaderValue;

/// A hit without a lifetime, as most answers are.
const HIT: HeaderValue = HeaderValue::from_static("edge; hit");

/// The handling of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// It was answered from the cache (RFC 9211, 2.1).
    Hit {
        /// Negative if the picture was stale (2.6).
        ttl: Option<i64>,
        /// It was stale because of a soft invalidation.
        is_softened: bool,
    },
    /// It went to the origin.
    Forwarded(Forwarded),
}

/// A request that went to the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) why: Why,
    /// The status of the origin's answer, if there was one (2.3).
    pub(crate) status: Option<u16>,
    /// The answer was kept (2.4).
    pub(crate) is_stored: bool,
    /// It waited for the fetch of another request (2.5).
    pub(crate) is_collapsed: bool,
    pub(crate) ttl: Option<i64>,
    /// In words (2.8).
    pub(crate) detail: Option<String>,
}

/// Why a request went to the origin (2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There was nothing.
    UriMiss,
    /// There was only the representation for other clients.
    VaryMiss,
    /// The stored picture was too old.
    Stale,
}

impl CacheStatus {
    pub(crate) fn to_header(&self) -> HeaderValue {
        let text = match self {
            Self::Hit { ttl: None, is_softened: false } => return HIT,
            // The time of the invalidation is not known.
            Self::Hit { is_softened: true, .. } => "edge; hit; detail=stale".to_owned(),
            Self::Hit { ttl, .. } => format!("edge; hit{}", ttl_parameter(*ttl)),
            Self::Forwarded(forwarded) => forwarded.text(),
        };
        // Numbers, and letters that were checked.
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("edge"))
    }
}

impl Forwarded {
    fn text(&self) -> String {
        let mut text = format!("edge; fwd={}", self.why.token());
        if let Some(status) = self.status {
            text += &format!("; fwd-status={status}");
        }
        for (name, is_set) in [("stored", self.is_stored), ("collapsed", self.is_collapsed)] {
            if is_set {
                text += &format!("; {name}");
            }
        }
        text += &ttl_parameter(self.ttl);
        if let Some(detail) = self.detail.as_deref().and_then(string) {
            text += &format!("; detail={detail}");
        }
        text
    }
}

impl Why {
    fn token(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
        }
    }
}

fn ttl_parameter(ttl: Option<i64>) -> String {
    ttl.map(|ttl| format!("; ttl={ttl}")).unwrap_or_default()
}

/// A string of a structured field (RFC 9651, 3.3.3). Returns `None` for text that can't be one.
fn string(text: &str) -> Option<String> {
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_printable.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfv::{BareItem, List, ListEntry, Parser, Token};

    /// The parameters, as the grammar reads them.
    fn parameters(status: &CacheStatus) -> Vec<(String, BareItem)> {
        let header = status.to_header();
        let list: List = Parser::new(&header).parse().unwrap();
        let [ListEntry::Item(item)] = list.as_slice() else { panic!("{header:?}") };
        assert_eq!(item.bare_item, token("edge"), "{header:?}");
        item.params.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    fn token(text: &str) -> BareItem {
        Token::from_string(text.to_owned()).unwrap().into()
    }

    fn forwarded(why: Why) -> Forwarded {
        Forwarded {
            why,
            status: Some(200),
            is_stored: true,
            is_collapsed: false,
            ttl: None,
            detail: None,
        }
    }

    #[test]
    fn a_hit_is_an_item_of_the_grammar() {
        let hit = ("hit".to_owned(), BareItem::Boolean(true));
        for (ttl, is_softened, rest) in [
            (None, false, vec![]),
            (Some(30), false, vec![("ttl".to_owned(), BareItem::from(30))]),
            (Some(-412), false, vec![("ttl".to_owned(), BareItem::from(-412))]),
            (Some(30), true, vec![("detail".to_owned(), token("stale"))]),
        ] {
            let seen = parameters(&CacheStatus::Hit { ttl, is_softened });
            assert_eq!((&seen[0], &seen[1..]), (&hit, &rest[..]));
        }
    }

    #[test]
    fn a_forward_is_an_item_of_the_grammar() {
        let text = |forwarded: Forwarded| {
            let status = CacheStatus::Forwarded(forwarded);
            let seen = parameters(&status);
            assert!(seen.iter().all(|(name, _)| name != "hit"), "{seen:?}");
            (status.to_header(), seen)
        };
        for (why, why_token) in
            [(Why::UriMiss, "uri-miss"), (Why::VaryMiss, "vary-miss"), (Why::Stale, "stale")]
        {
            let (header, seen) = text(forwarded(why));
            assert_eq!(header, format!("edge; fwd={why_token}; fwd-status=200; stored"));
            assert_eq!(seen[0], ("fwd".to_owned(), token(why_token)));
            assert_eq!(seen[1], ("fwd-status".to_owned(), BareItem::from(200)));
            assert_eq!(seen[2], ("stored".to_owned(), BareItem::Boolean(true)));
        }
        let rest = Forwarded {
            status: None,
            is_stored: false,
            is_collapsed: true,
            ttl: Some(60),
            detail: Some("a \"b\" \\ c".to_owned()),
            ..forwarded(Why::UriMiss)
        };
        let (header, seen) = text(rest.clone());
        assert_eq!(header, r#"edge; fwd=uri-miss; collapsed; ttl=60; detail="a \"b\" \\ c""#);
        let detail = sfv::String::from_string(r#"a "b" \ c"#.to_owned()).unwrap();
        assert_eq!(seen[3], ("detail".to_owned(), BareItem::String(detail)));
        let (header, _) = text(Forwarded { detail: Some("schön".to_owned()), ..rest });
        assert_eq!(header, "edge; fwd=uri-miss; collapsed; ttl=60");
    }
}
