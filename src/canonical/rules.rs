//! The rules of one tenant: its delivery hosts, and how its paths are to be read.
//!
//! Invariant: rules that exist don't contradict themselves, so that canonicalization has no configuration error to report.
//! Not here: what the rules do to a text.

use super::bytes::{HOST, LABEL};
use super::error::PathError;
use super::grouping::Grouping;
use super::origin::canonical_prefix;
use std::fmt;

/// Whether paths of the token start with the segment `v7`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum V7 {
    /// Tokens since November 2021: they never do, and a `v7` is an error.
    #[default]
    Never,
    /// Tokens from before November 2021: they always do.
    Required,
    /// Migrated tokens: both spellings name the same picture.
    Optional,
}

/// What the first segment of a path without a scheme is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Root {
    /// A host if it is shaped like one (`sample.li/birds.jpg`), and a folder otherwise.
    #[default]
    Host,
    /// Always a folder: a library, or the part below an origin prefix.
    Path,
}

/// How the URLs and the invalidation entries of one tenant are read.
///
/// The default accepts request targets (`/sample.li/birds.jpg?w=600`) of a token without `v7` and without a prefix, and knows no
/// delivery host: behind a server that has told its tenants apart already, none is needed. With a [token](RulesBuilder::token) or a
/// [custom host](RulesBuilder::custom_host), whole delivery URLs are read as well, told from those of other hosts, and recognized
/// where they don't belong.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Rules, V7};
///
/// let rules = Rules::builder().token("doc").v7(V7::Optional).build()?;
/// let request = rules.delivery("https://doc.cloudimg.io/v7/Sample.LI/b%69rds.jpg?width=600&h=400")?;
/// assert_eq!(request.origin.as_str(), "sample.li/birds.jpg");
/// assert_eq!(request.variant.as_str(), "?h=400&w=600");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// In lower case.
    hosts: Vec<Box<str>>,
    pub(super) v7: V7,
    pub(super) root: Root,
    /// A canonical origin without its final slash.
    prefix: Option<Box<str>>,
    pub(super) wildcards: bool,
    grouping: Grouping,
}

impl Rules {
    /// Rules that differ from the default ones.
    pub fn builder() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// Whether spellings of one picture are filed together.
    pub(super) fn groups(&self) -> bool {
        self.grouping == Grouping::Grouped
    }

    /// The delivery hosts, in lower case.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        self.hosts.iter().map(|host| host.as_bytes())
    }

    /// Whether `host` with `port` is one that pictures are delivered from, in any case.
    #[inline]
    pub(super) fn delivers_from(&self, host: &[u8], port: &[u8]) -> bool {
        // Most others differ in length.
        self.hosts.iter().any(|known| known.len() == host.len()) && self.is_delivery(host, port)
    }

    fn is_delivery(&self, host: &[u8], port: &[u8]) -> bool {
        matches!(port, b"" | b"80" | b"443")
            && self.hosts.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(host))
    }

    /// These rules without those that only tell mistakes.
    pub(super) fn lenient(&self) -> Self {
        Self { v7: V7::Optional, prefix: None, grouping: Grouping::Exact, ..self.clone() }
    }

    /// `origin` without the prefix, if it starts with it; nothing if nothing is left.
    pub(super) fn below_prefix<'t>(&self, origin: &'t str) -> Option<&'t str> {
        if !self.has_prefix(origin.as_bytes()) {
            return Some(origin);
        }
        let below = origin[self.prefix.as_deref().map_or(0, str::len)..].trim_start_matches('/');
        (!below.is_empty()).then_some(below)
    }

    /// Whether `origin` is the prefix, or something below it.
    pub(super) fn has_prefix(&self, origin: &[u8]) -> bool {
        let below =
            self.prefix.as_deref().and_then(|prefix| origin.strip_prefix(prefix.as_bytes()));
        matches!(below, Some([] | [b'/', ..]))
    }
}

/// Settings for [`Rules`].
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Root, Rules};
///
/// let error = Rules::builder().prefix("https://hello.s3.aws.com/").root(Root::Host).build().unwrap_err();
/// assert_eq!(error.to_string(), "root is set to hosts although a prefix makes every first segment a folder");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings have no effect before `build`"]
pub struct RulesBuilder {
    token: Option<String>,
    custom_host: Option<String>,
    v7: V7,
    prefix: Option<String>,
    root: Option<Root>,
    wildcards: bool,
    grouping: Grouping,
}

impl RulesBuilder {
    /// The token: pictures are delivered from `token.cloudimg.io`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A host of the tenant's own that pictures are delivered from, beside that of the token.
    pub fn custom_host(mut self, host: impl Into<String>) -> Self {
        self.custom_host = Some(host.into());
        self
    }

    /// Whether paths start with `v7`; by default, never.
    pub fn v7(mut self, v7: V7) -> Self {
        self.v7 = v7;
        self
    }

    /// The URL that relative paths are below of. It makes every first segment a folder.
    pub fn prefix(mut self, url: impl Into<String>) -> Self {
        self.prefix = Some(url.into());
        self
    }

    /// What a first segment is; by default a host if it looks like one and there is no prefix.
    pub fn root(mut self, root: Root) -> Self {
        self.root = Some(root);
        self
    }

    /// Lets an invalidation entry that ends in `*` name all pictures that start so. Otherwise, such an entry is an error.
    pub fn allow_wildcards(mut self) -> Self {
        self.wildcards = true;
        self
    }

    /// Whether the spellings of a picture are filed together; by default not.
    pub fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Checks the settings and makes rules of them.
    ///
    /// # Errors
    ///
    /// If a host or the prefix is malformed, or two settings contradict each other.
    pub fn build(self) -> Result<Rules, RulesError> {
        let mut rules = Rules {
            v7: self.v7,
            wildcards: self.wildcards,
            grouping: self.grouping,
            ..Rules::default()
        };
        if let Some(token) = self.token {
            if token.is_empty() || token.len() > 63 || !LABEL.contains_all(token.as_bytes()) {
                return Err(RulesError(Contradiction::Token(token)));
            }
            rules.hosts.push(format!("{}.cloudimg.io", token.to_ascii_lowercase()).into());
        }
        if let Some(host) = self.custom_host {
            if host.is_empty() || !HOST.contains_all(host.as_bytes()) {
                return Err(RulesError(Contradiction::CustomHost(host)));
            }
            if rules.delivers_from(host.as_bytes(), b"") {
                return Err(RulesError(Contradiction::SameHost(host)));
            }
            rules.hosts.push(host.to_ascii_lowercase().into());
        }
        rules.root = match (&self.prefix, self.root) {
            (Some(_), Some(Root::Host)) => return Err(RulesError(Contradiction::PrefixAndHosts)),
            (Some(_), _) => Root::Path,
            (None, root) => root.unwrap_or_default(),
        };
        if let Some(prefix) = self.prefix {
            rules.prefix = Some(canonical_prefix(&prefix, &rules)?);
        }
        Ok(rules)
    }
}

/// The error of [`RulesBuilder::build`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError(Contradiction);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contradiction {
    Token(String),
    CustomHost(String),
    SameHost(String),
    PrefixAndHosts,
    PrefixNoUrl(String),
    PrefixIsDelivery(String),
    Prefix(PathError),
}

impl From<Contradiction> for RulesError {
    fn from(contradiction: Contradiction) -> Self {
        Self(contradiction)
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Contradiction::Token(token) => write!(
                f,
                "token must be 1 to 63 letters, digits, \"-\" or \"_\", got \"{}\"",
                token.escape_debug()
            ),
            Contradiction::CustomHost(host) => write!(
                f,
                "custom host must be a name of letters, digits, \".\", \"-\" and \"_\" without a port, got \"{}\"",
                host.escape_debug()
            ),
            Contradiction::SameHost(host) => {
                write!(f, "custom host \"{host}\" is the token's own host")
            }
            Contradiction::PrefixAndHosts => f.write_str(
                "root is set to hosts although a prefix makes every first segment a folder",
            ),
            Contradiction::PrefixNoUrl(prefix) => write!(
                f,
                "origin prefix must be a URL that starts with a scheme, got \"{}\"",
                prefix.escape_debug()
            ),
            Contradiction::PrefixIsDelivery(prefix) => write!(
                f,
                "origin prefix \"{}\" is on a delivery host of these rules",
                prefix.escape_debug()
            ),
            Contradiction::Prefix(_) => f.write_str("origin prefix is malformed"),
        }
    }
}

impl std::error::Error for RulesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Contradiction::Prefix(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(builder: RulesBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn contradictions_are_refused() {
        let prefix = || Rules::builder().prefix("https://hello.s3.aws.com/");
        assert_eq!(
            refusal(prefix().root(Root::Host)),
            "root is set to hosts although a prefix makes every first segment a folder"
        );
        assert!(prefix().root(Root::Path).build().is_ok());
        assert_eq!(
            refusal(Rules::builder().token("doc").custom_host("DOC.cloudimg.io")),
            "custom host \"DOC.cloudimg.io\" is the token's own host"
        );
        assert_eq!(
            refusal(
                Rules::builder().custom_host("i.example.com").prefix("http://I.example.com:80/x")
            ),
            "origin prefix \"http://I.example.com:80/x\" is on a delivery host of these rules"
        );
    }

    #[test]
    fn malformed_settings_are_refused() {
        let token = "token must be 1 to 63 letters, digits, \"-\" or \"_\", got ";
        assert_eq!(refusal(Rules::builder().token("")), format!("{token}\"\""));
        assert_eq!(refusal(Rules::builder().token("a.b\n")), format!("{token}\"a.b\\n\""));
        assert_eq!(Rules::builder().token("a".repeat(63)).build().map(drop), Ok(()));
        let long = "a".repeat(64);
        assert_eq!(refusal(Rules::builder().token(&*long)), format!("{token}\"{long}\""));
        assert_eq!(
            refusal(Rules::builder().custom_host("img.example.com:443")),
            "custom host must be a name of letters, digits, \".\", \"-\" and \"_\" without a port, got \
             \"img.example.com:443\""
        );
        let no_url = "origin prefix must be a URL that starts with a scheme, got ";
        assert_eq!(
            refusal(Rules::builder().prefix("hello.s3.aws.com/")),
            format!("{no_url}\"hello.s3.aws.com/\"")
        );
    }

    #[test]
    fn a_malformed_prefix_says_where() {
        use std::error::Error;
        for (prefix, reason) in [
            ("https://h/%2", "invalid percent escape at byte 10: expected two hex digits"),
            (
                "https://h/a?b",
                "query at byte 11: expected none, as the whole picture is invalidated",
            ),
            (
                "https://h/*",
                "wildcard at byte 10: expected no \"*\" at the end of a path, or \"%2A\"",
            ),
            ("s3://h/", "unsupported scheme at byte 0: expected \"https\", \"http\" or \"ftp\""),
        ] {
            let error = Rules::builder().prefix(prefix).build().unwrap_err();
            assert_eq!(error.to_string(), "origin prefix is malformed");
            assert_eq!(error.source().unwrap().to_string(), reason);
        }
    }
}
