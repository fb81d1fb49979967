//! The rules of one tenant: its delivery hosts, and how its paths are read.
//!
//! Invariant: the results do not depend on the order of the settings. Not here: the effect of the
//! rules on a text.

use super::path::grouping;
use super::path::host::split_port;
use super::settings::{Grouping, Root, V7};
use crate::names::OriginPath;
use std::borrow::Cow;

/// The rules for reading the URLs and the invalidation entries of one tenant.
///
/// The default accepts request targets (`/sample.li/birds.jpg?w=600`) of a token without `v7` and
/// without a prefix. It has no delivery host, because a server that has already identified the
/// tenant does not need one.
///
/// With a [token](super::RulesBuilder::token) or a [custom host](super::RulesBuilder::custom_host),
/// whole delivery URLs are read as well. They are distinguished from those of other hosts, and
/// recognized where they do not belong.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Rules, V7};
///
/// let rules = Rules::builder().token("doc").v7(V7::Optional).build()?;
/// let request =
///     rules.delivery("https://doc.cloudimg.io/v7/Sample.LI/b%69rds.jpg?width=600&h=400")?;
/// assert_eq!(request.origin.as_str(), "sample.li/birds.jpg");
/// assert_eq!(request.variant.as_str(), "?h=400&w=600");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(super) hosts: Vec<DeliveryHost>,
    pub(super) v7: V7,
    pub(super) root: Root,
    /// A canonical origin without its final slash.
    pub(super) prefix: Option<Box<str>>,
    /// The same prefix, grouped, if it is recognized in every spelling.
    pub(super) grouped_prefix: Option<Box<str>>,
    pub(super) wildcards: bool,
    pub(super) grouping: Grouping,
}

/// A host that pictures are delivered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeliveryHost {
    /// In lower case, with a port if one is needed.
    pub(super) text: Box<str>,
    name_len: usize,
}

impl DeliveryHost {
    pub(super) fn new(text: &str) -> Self {
        let name_len = split_port(text.as_bytes()).0.len();
        Self { text: text.to_ascii_lowercase().into(), name_len }
    }

    /// Returns whether this is `host` with `port`, in any case.
    pub(super) fn matches(&self, host: &[u8], port: &[u8]) -> bool {
        let (name, known_port) = self.text.as_bytes().split_at(self.name_len);
        let is_port = match known_port {
            [] => matches!(port, b"" | b"80" | b"443"),
            [_colon, known_port @ ..] => known_port == port,
        };
        is_port && name.eq_ignore_ascii_case(host)
    }
}

impl Rules {
    /// Returns rules under which the first segment may be anything, without other restrictions.
    #[inline]
    pub(super) fn of_any_root() -> Self {
        Self { root: Root::Path, ..Self::default() }
    }

    /// Returns whether spellings of one picture are grouped.
    pub(super) fn groups(&self) -> bool {
        self.grouping == Grouping::Grouped
    }

    /// Returns the delivery hosts, in lower case.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        self.hosts.iter().map(|host| host.text.as_bytes())
    }

    /// Returns whether pictures are delivered from `host` with `port`, in any case.
    #[inline]
    pub(super) fn delivers_from(&self, host: &[u8], port: &[u8]) -> bool {
        // Most others differ in length.
        self.hosts.iter().any(|known| known.name_len == host.len() && known.matches(host, port))
    }

    /// Returns whether a first segment is a delivery host although it does not have the shape of a
    /// host, such as `localhost:8080`.
    pub(super) fn delivers_from_segment(&self, segment: &[u8]) -> bool {
        let (host, port) = split_port(segment);
        self.root == Root::Host && self.delivers_from(host, port)
    }

    /// Returns these rules without grouping: names are exact, and the same texts are refused. A
    /// server that fetches pictures by their exact origins and stores them under grouped ones reads
    /// requests by these rules, see [`Delivery::grouped`](super::Delivery::grouped).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Grouping, Rules};
    ///
    /// let filing = Rules::builder()
    ///     .grouping(Grouping::Grouped)
    ///     .prefix("https://hello.s3.aws.com/")
    ///     .build()?;
    /// let exact = filing.without_grouping();
    /// assert_eq!(
    ///     exact.delivery("/http://h.example/a.jpg")?.origin.as_str(),
    ///     "http://h.example/a.jpg"
    /// );
    /// assert!(exact.delivery("/http://hello.s3.aws.com/a.jpg").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn without_grouping(&self) -> Self {
        Self { grouping: Grouping::Exact, ..self.clone() }
    }

    /// Returns these rules without those that only detect mistakes.
    pub(super) fn lenient(&self) -> Self {
        Self {
            v7: V7::Optional,
            prefix: None,
            grouped_prefix: None,
            grouping: Grouping::Exact,
            ..self.clone()
        }
    }

    /// Returns `origin`, which is exact, without the prefix. Returns `None` if it does not start
    /// with the prefix, or if the rest is empty.
    pub(super) fn below_prefix(&self, origin: &str) -> Option<String> {
        if !self.has_prefix(origin.as_bytes()) {
            return Some(origin.to_owned());
        }
        let below = match (self.prefix.as_deref(), self.grouped_prefix.as_deref()) {
            (Some(prefix), _) if is_below(origin.as_bytes(), prefix) => {
                origin[prefix.len()..].to_owned()
            }
            (Some(prefix), Some(grouped_prefix)) => {
                let spelled = path_of(origin).strip_prefix(path_of(prefix));
                let grouped = || grouped(origin)[grouped_prefix.len()..].to_owned();
                spelled.map_or_else(grouped, str::to_owned)
            }
            _ => return None,
        };
        let below = below.trim_start_matches('/');
        (!below.is_empty()).then(|| below.to_owned())
    }

    /// Returns whether `origin` is the prefix, or is below it. If spellings are grouped, any
    /// spelling counts.
    #[inline]
    pub(super) fn has_prefix(&self, origin: &[u8]) -> bool {
        self.prefix.as_deref().is_some_and(|prefix| {
            is_below(origin, prefix)
                || self
                    .grouped_prefix
                    .as_deref()
                    .is_some_and(|prefix| is_spelled_below(origin, prefix))
        })
    }
}

/// Returns whether `origin` is `prefix`, or is below it.
fn is_below(origin: &[u8], prefix: &str) -> bool {
    matches!(origin.strip_prefix(prefix.as_bytes()), Some([] | [b'/', ..]))
}

/// Does the same with grouping. `origin` may not yet be in its canonical spelling; then the answer
/// may be false.
#[inline(never)]
fn is_spelled_below(origin: &[u8], grouped_prefix: &str) -> bool {
    let origin = std::str::from_utf8(origin).unwrap_or_default();
    is_below(grouped(origin).as_bytes(), grouped_prefix)
}

pub(super) fn grouped(origin: &str) -> Cow<'_, str> {
    grouping::group_path(OriginPath::new_unchecked(origin)).into_cow()
}

/// Returns the part after scheme and host.
fn path_of(origin: &str) -> &str {
    let authority = origin.find("//").map_or(0, |at| at + "//".len());
    origin[authority..].find('/').map_or("", |len| &origin[authority + len..])
}
