//! Creates the rules of a tenant from its settings.
//!
//! Invariant: rules do not contradict themselves, so canonicalization never has to report a
//! configuration error. Not here: the effect of the rules on a text.

use super::error::{Fault, PathError};
use super::input_checks::{self, split_query};
use super::path::host::split_port;
use super::path::origin::Origin;
use super::rules::{DeliveryHost, Rules, grouped};
use super::settings::{Grouping, Root, V7};
use super::text::bytes::{HOST, LABEL};
use std::fmt;

impl Rules {
    /// Creates a builder for rules that differ from the default.
    pub fn builder() -> RulesBuilder {
        RulesBuilder::default()
    }
}

/// The settings for [`Rules`].
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Root, Rules};
///
/// let error = Rules::builder()
///     .prefix("https://hello.s3.aws.com/")
///     .root(Root::Host)
///     .build()
///     .unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "root is set to hosts although a prefix makes every first segment a folder"
/// );
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings have no effect before `build`"]
pub struct RulesBuilder {
    token: Option<String>,
    custom_host: Option<String>,
    delivery_hosts: Vec<String>,
    v7: V7,
    prefix: Option<String>,
    root: Option<Root>,
    wildcards: bool,
    grouping: Grouping,
}

impl RulesBuilder {
    /// Sets the token: pictures are delivered from `token.cloudimg.io`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a host of the tenant from which pictures are delivered, beside the host of the token.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").custom_host("img.example.org").build()?;
    /// let request = rules.delivery("https://img.example.org/sample.li/a.jpg?w=300")?;
    /// assert_eq!(request, rules.delivery("https://doc.cloudimg.io/sample.li/a.jpg?w=300")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn custom_host(mut self, host: impl Into<String>) -> Self {
        self.custom_host = Some(host.into());
        self
    }

    /// Adds a host that the server answers to, with a port if it is not 80 or 443, such as
    /// `localhost:8080`. May be called several times. Whole delivery URLs of the host are read, as
    /// a user copies them from the address bar. They are also recognized where they do not belong.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder()
    ///     .delivery_host("localhost:8080")
    ///     .delivery_host("img.example.org")
    ///     .build()?;
    /// let error =
    ///     rules.invalidation("http://localhost:8080/sample.li/birds.jpg?w=300").unwrap_err();
    /// assert!(error.suggestions().eq(["sample.li/birds.jpg"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delivery_host(mut self, host: impl Into<String>) -> Self {
        self.delivery_hosts.push(host.into());
        self
    }

    /// Sets whether paths start with `v7`; the default is never. [`V7`] has an example.
    pub fn v7(mut self, v7: V7) -> Self {
        self.v7 = v7;
        self
    }

    /// Sets the URL that relative paths are resolved against. With a prefix, every first segment is
    /// a folder.
    pub fn prefix(mut self, url: impl Into<String>) -> Self {
        self.prefix = Some(url.into());
        self
    }

    /// Sets the meaning of a first segment. By default it is a host if it looks like one and there
    /// is no prefix.
    pub fn root(mut self, root: Root) -> Self {
        self.root = Some(root);
        self
    }

    /// Allows an invalidation entry that ends in `*` to name all pictures with that prefix. Without
    /// this setting, such an entry is an error. A star anywhere else is then an error: in a name,
    /// it is written `%2A`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().allow_wildcards().build()?;
    /// assert_eq!(rules.invalidation("sample.li/avatars/*")?.as_str(), "sample.li/avatars/");
    /// assert!(Rules::default().invalidation("sample.li/avatars/*").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_wildcards(mut self) -> Self {
        self.wildcards = true;
        self
    }

    /// Sets whether the spellings of a picture are grouped; the default is not. [`Grouping`] has an
    /// example.
    pub fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Checks the settings and creates the rules.
    ///
    /// # Errors
    ///
    /// If a host or the prefix is malformed, or two settings contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// assert!(Rules::builder().token("doc").prefix("https://hello.s3.aws.com/").build().is_ok());
    /// assert!(Rules::builder().prefix("hello.s3.aws.com/").build().is_err());
    /// ```
    pub fn build(self) -> Result<Rules, RulesError> {
        let mut rules = Rules {
            hosts: self.hosts()?,
            v7: self.v7,
            wildcards: self.wildcards,
            grouping: self.grouping,
            ..Rules::default()
        };
        rules.root = match (&self.prefix, self.root) {
            (Some(_), Some(Root::Host)) => {
                let reason =
                    "root is set to hosts although a prefix makes every first segment a folder";
                return Err(RulesError::new(reason));
            }
            (Some(_), _) => Root::Path,
            (None, root) => root.unwrap_or_default(),
        };
        if let Some(prefix) = self.prefix {
            let prefix = canonical_prefix(&prefix, &rules)?;
            if rules.groups() {
                let folder = grouped(&format!("{prefix}/")).into_owned();
                rules.grouped_prefix = folder.strip_suffix('/').map(Into::into);
            }
            rules.prefix = Some(prefix);
        }
        Ok(rules)
    }

    fn hosts(&self) -> Result<Vec<DeliveryHost>, RulesError> {
        let mut hosts = Vec::new();
        if let Some(token) = &self.token {
            if token.is_empty() || token.len() > 63 || !LABEL.contains_all(token.as_bytes()) {
                let expected = "token must be 1 to 63 letters, digits, \"-\" or \"_\"";
                return Err(RulesError::unexpected(expected, token));
            }
            hosts.push(DeliveryHost::new(&format!("{token}.cloudimg.io")));
        }
        if let Some(host) = &self.custom_host {
            if host.is_empty() || !HOST.contains_all(host.as_bytes()) {
                return Err(RulesError::bad_host("custom host", "without a port", host));
            }
            if hosts.iter().any(|known| known.matches(host.as_bytes(), b"")) {
                let reason = format!("custom host \"{host}\" is the token's own host");
                return Err(RulesError::new(reason));
            }
            hosts.push(DeliveryHost::new(host));
        }
        for host in &self.delivery_hosts {
            let known = delivery_host(host)?;
            // A host that is already known is not a contradiction.
            if !hosts.contains(&known) {
                hosts.push(known);
            }
        }
        Ok(hosts)
    }
}

fn delivery_host(host: &str) -> Result<DeliveryHost, RulesError> {
    let (name, port) = split_port(host.as_bytes());
    let is_port = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    let is_host = !name.is_empty() && HOST.contains_all(name);
    if !is_host || !is_port || port.first() == Some(&b'0') {
        return Err(RulesError::bad_host("delivery host", "with or without a port", host));
    }
    let host = host.strip_suffix(':').unwrap_or(host);
    Ok(DeliveryHost::new(host.strip_suffix(":80").or(host.strip_suffix(":443")).unwrap_or(host)))
}

/// The error of [`RulesBuilder::build`].
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let error = Rules::builder().token("").build().unwrap_err();
/// let expected = "token must be 1 to 63 letters, digits, \"-\" or \"_\", got \"\"";
/// assert_eq!(error.to_string(), expected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    reason: String,
    /// The error in the prefix.
    source: Option<PathError>,
}

impl RulesError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), source: None }
    }

    fn unexpected(expected: &str, got: &str) -> Self {
        Self::new(format!("{expected}, got \"{}\"", got.escape_debug()))
    }

    fn bad_host(setting: &str, port: &str, host: &str) -> Self {
        let expected = "must be a name of letters, digits, \".\", \"-\" and \"_\"";
        let mut error = Self::unexpected(&format!("{setting} {expected} {port}"), host);
        if !host.is_ascii() {
            error.reason += ": write other scripts in their \"xn--\" form";
        }
        error
    }

    fn prefix(source: PathError) -> Self {
        Self { source: Some(source), ..Self::new("origin prefix is malformed") }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for RulesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Returns the canonical form of an origin prefix, without its final slash.
fn canonical_prefix(prefix: &str, rules: &Rules) -> Result<Box<str>, RulesError> {
    let source = input_checks::checked(prefix.as_bytes()).map_err(RulesError::prefix)?;
    if let (path, Some(_)) = split_query(source) {
        return Err(RulesError::prefix(Fault::QueryNotAllowed.at(path.len())));
    }
    let origin = Origin::read(source, None, rules, &mut ()).map_err(RulesError::prefix)?;
    if !origin.is_url() {
        let expected = "origin prefix must be a URL that starts with a scheme";
        return Err(RulesError::unexpected(expected, prefix));
    }
    if origin.is_delivery_url(rules) {
        let prefix = prefix.escape_debug();
        let reason = format!("origin prefix \"{prefix}\" is on a delivery host of these rules");
        return Err(RulesError::new(reason));
    }
    let (text, _) = origin.settle(false, rules, &mut ()).map_err(RulesError::prefix)?;
    Ok(text.strip_suffix('/').unwrap_or(&text).into())
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
        let host = "must be a name of letters, digits, \".\", \"-\" and \"_\"";
        let hint = ": write other scripts in their \"xn--\" form";
        assert_eq!(
            refusal(Rules::builder().custom_host("m\u{fc}nchen.example")),
            format!("custom host {host} without a port, got \"m\u{fc}nchen.example\"{hint}")
        );
        for bad in ["", ":80", "a b", "h:0", "h:x", "h:123456", "h/", "[::1]:80"] {
            assert_eq!(
                refusal(Rules::builder().delivery_host(bad)),
                format!("delivery host {host} with or without a port, got \"{bad}\"")
            );
        }
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
                "unexpected query at byte 11: this entry invalidates the whole picture",
            ),
            (
                "https://h/*",
                "wildcard not allowed at byte 10: expected \"%2A\" for a star in a name",
            ),
            ("s3://h/", "unsupported scheme at byte 0: expected \"https\", \"http\" or \"ftp\""),
        ] {
            let error = Rules::builder().prefix(prefix).build().unwrap_err();
            assert_eq!(error.to_string(), "origin prefix is malformed");
            assert_eq!(error.source().unwrap().to_string(), reason);
        }
    }
}
