//! Accounts: the customers, and which of them a request is about.
//!
//! Invariant: a request concerns exactly one customer or is refused. The customer decides which
//! paths it can name, fetch and invalidate. On delivery the `Host` header identifies the customer.
//! On control it does so as well; if the address of the control listener belongs to no customer,
//! the client key identifies the customer.

use super::client_key::ClientKey;
use super::fault::Fault;
use super::history::History;
use super::index::Index;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use cache_index::Tenant;
use cache_index::canonical::{Delivery, Grouping, Root, Rules, RulesBuilder, V7};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The token of the one customer that there is without a file of customers: the first label of
/// `doc.cloudimg.io`.
pub(crate) const TOKEN: &str = "doc";

/// The domain that follows the token in a host.
const DOMAIN: &str = "cloudimg.io";

/// The host of the hosted API, under which clients that were written for it may come.
const API_HOST: &str = "api.cloudimage.com";

/// The limits of a customer's requests to the control listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Requests a second, on average.
    pub(crate) per_second: NonZeroU32,
    /// How many may come at once.
    pub(crate) burst: NonZeroU32,
    /// Entries of a request to invalidate.
    pub(crate) entries: usize,
    /// Bytes of one.
    pub(crate) body_bytes: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            per_second: NonZeroU32::new(100).expect("not zero"),
            burst: NonZeroU32::new(1000).expect("not zero"),
            entries: 1000,
            body_bytes: 1 << 20,
        }
    }
}

/// How a customer is to be set up.
#[derive(Clone)]
pub(crate) struct AccountSettings {
    pub(crate) token: String,
    pub(crate) client_key: ClientKey,
    pub(crate) v7: V7,
    /// The URL that relative paths are below of.
    pub(crate) prefix: Option<String>,
    pub(crate) custom_host: Option<String>,
    pub(crate) quota: Quota,
}

impl AccountSettings {
    pub(crate) fn new(token: &str, client_key: ClientKey) -> Self {
        let (token, quota) = (token.to_owned(), Quota::default());
        Self { token, client_key, v7: V7::default(), prefix: None, custom_host: None, quota }
    }
}

/// A customer: a delivery token, and the keys that may invalidate its pictures.
pub(crate) struct Account {
    /// Tells customers apart where their names would only be copied.
    pub(crate) number: usize,
    pub(crate) tenant: Tenant,
    /// Rules for exact names: the picture that is fetched.
    pub(crate) exact: Rules,
    /// The names under which pictures are stored and invalidated: with grouping, all spellings of a
    /// picture share one.
    pub(crate) filing: Rules,
    /// The common base of both rules.
    rules: RulesBuilder,
    grouping: Grouping,
    pub(crate) prefix: Option<String>,
    pub(crate) custom_host: Option<String>,
    pub(crate) v7: V7,
    client_key: ClientKey,
    pub(crate) quota: Quota,
    limiter: DefaultDirectRateLimiter,
    pub(crate) history: History,
}

impl Account {
    fn new(
        number: usize,
        settings: AccountSettings,
        root: Root,
        grouping: Grouping,
        tenant: Tenant,
    ) -> Result<Self, String> {
        let AccountSettings { token, client_key, v7, prefix, custom_host, quota } = settings;
        let wrong = |error: &dyn std::error::Error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("tenant \"{token}\": {error}{cause}")
        };
        let mut rules = Rules::builder().token(token.as_str()).v7(v7).allow_wildcards();
        // A prefix makes every first segment a folder by itself.
        rules = match &prefix {
            Some(prefix) => rules.prefix(prefix.as_str()),
            None => rules.root(root),
        };
        if let Some(host) = &custom_host {
            rules = rules.custom_host(host.as_str());
        }
        let rules = rules.grouping(grouping);
        let filing = rules.clone().build().map_err(|error| wrong(&error))?;
        let exact = filing.without_grouping();
        let rate = governor::Quota::per_second(quota.per_second).allow_burst(quota.burst);
        let limiter = RateLimiter::direct(rate);
        let history = History::default();
        Ok(Self {
            number,
            tenant,
            exact,
            filing,
            rules,
            grouping,
            prefix,
            custom_host,
            v7,
            client_key,
            quota,
            limiter,
            history,
        })
    }

    /// The delivery token.
    pub(crate) fn token(&self) -> &str {
        self.tenant.name()
    }

    /// Recognizes URLs of this server that were copied from the address bar: with the port that it
    /// listens on, and, if `is_sole`, under the names that only this machine has.
    fn listens_on(&mut self, port: u16, is_sole: bool) -> Result<(), String> {
        let local = ["localhost", "127.0.0.1"].map(str::to_owned);
        let hosts = [format!("{}.{DOMAIN}", self.token())].into_iter();
        let hosts = hosts.chain(self.custom_host.clone());
        let mut rules = self.rules.clone();
        for host in hosts.chain(local.into_iter().filter(|_| is_sole)) {
            rules = rules.delivery_host(format!("{host}:{port}"));
        }
        self.filing = rules.build().map_err(|error| error.to_string())?;
        self.exact = self.filing.without_grouping();
        Ok(())
    }

    /// Returns the names under which to store the picture that `exact` names.
    pub(crate) fn file<'a>(&self, exact: &Delivery<'a>) -> Delivery<'a> {
        match self.grouping {
            Grouping::Grouped => exact.clone().grouped(),
            _ => exact.clone(),
        }
    }

    /// Takes one request from the customer's quota, or returns how long to wait for the next.
    pub(crate) fn take_turn(&self) -> Result<(), Duration> {
        self.limiter
            .check()
            .map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }
}

/// All customers.
pub(crate) struct Accounts {
    all: Vec<Arc<Account>>,
    /// By token host and custom host, in lower case.
    by_host: HashMap<Box<str>, usize>,
    /// Whether there is one alone, which answers to any host on loopback.
    has_sole: bool,
}

/// The answer to a host that belongs to no customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// The one customer, to clients on this machine.
    Sole,
    Nobody,
}

impl Accounts {
    /// # Errors
    /// If two customers share a token, a host or a key, or the settings of one contradict each
    /// other.
    pub(crate) fn new(
        settings: Vec<AccountSettings>,
        unnamed: Unnamed,
        root: Root,
        grouping: Grouping,
        index: &Index,
    ) -> Result<Self, String> {
        let mut accounts = Self { all: Vec::new(), by_host: HashMap::new(), has_sole: false };
        for mut settings in settings {
            settings.token.make_ascii_lowercase();
            let token = settings.token.clone();
            let number = accounts.all.len();
            if accounts.all.iter().any(|other| other.client_key == settings.client_key) {
                return Err(format!("tenant \"{token}\" has the client key of another tenant"));
            }
            let custom = settings.custom_host.iter().map(|host| host.to_ascii_lowercase());
            for host in custom.chain([format!("{token}.{DOMAIN}")]) {
                if accounts.by_host.insert(host.as_str().into(), number).is_some() {
                    return Err(format!(
                        "tenant \"{token}\" has the host {host} of another tenant"
                    ));
                }
            }
            let tenant = index.tenant(&token);
            accounts.all.push(Arc::new(Account::new(number, settings, root, grouping, tenant)?));
        }
        match (unnamed, accounts.all.as_slice()) {
            (_, []) => return Err("there is no tenant".to_owned()),
            (Unnamed::Sole, [_]) => accounts.has_sole = true,
            _ => {}
        }
        Ok(accounts)
    }

    pub(crate) fn all(&self) -> &[Arc<Account>] {
        &self.all
    }

    /// The one customer that answers to any host on loopback, if this server is set up so.
    pub(crate) fn sole(&self) -> Option<&Arc<Account>> {
        self.all.first().filter(|_| self.has_sole)
    }

    /// Sets the port on which pictures are delivered, before the first request.
    ///
    /// # Errors
    /// If the rules of a customer contradict that.
    pub(crate) fn listens_on(&mut self, port: u16) -> Result<(), String> {
        for account in &mut self.all {
            let account = Arc::get_mut(account).ok_or("requests are being served")?;
            account.listens_on(port, self.has_sole)?;
        }
        Ok(())
    }

    /// The customer whose pictures a request is for.
    ///
    /// # Errors
    /// Returns 400 without a host or with several, and 421 if the host belongs to no customer.
    pub(crate) fn of_delivery(
        &self,
        host: Host<'_>,
        loopback: bool,
    ) -> Result<&Arc<Account>, Fault> {
        match (self.sole(), loopback) {
            (Some(sole), true) if !matches!(host, Host::Several) => Ok(sole),
            _ => self.named(host.name()?),
        }
    }

    /// The customer whose key a request to the control listener carries.
    ///
    /// # Errors
    /// Returns 401 without the right key, and 421 if the host belongs to no customer.
    pub(crate) fn of_control(
        &self,
        headers: &HeaderMap,
        host: Host<'_>,
        loopback: bool,
    ) -> Result<Arc<Account>, Fault> {
        let candidates = match (self.sole(), loopback) {
            (Some(sole), true) if !matches!(host, Host::Several) => std::slice::from_ref(sole),
            _ => match host.name()? {
                name if is_address(name) || name.eq_ignore_ascii_case(API_HOST) => &self.all[..],
                name => std::slice::from_ref(self.named(name)?),
            },
        };
        let mut keys = headers.get_all("x-client-key").iter();
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(wrong_key()) };
        // All keys are compared, so that the duration reveals nothing.
        let offered = ClientKey::offered(key.as_bytes());
        let mut found = None;
        for account in candidates {
            if offered == account.client_key {
                found = Some(account);
            }
        }
        found.cloned().ok_or_else(wrong_key)
    }

    fn named(&self, host: &str) -> Result<&Arc<Account>, Fault> {
        let found = match self.by_host.get(host) {
            None if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.by_host.get(host.to_ascii_lowercase().as_str())
            }
            found => found,
        };
        found.and_then(|number| self.all.get(*number)).ok_or_else(|| {
            let reason = "unknown host: no tenant of this server delivers from it";
            Fault::new(StatusCode::MISDIRECTED_REQUEST, reason)
        })
    }
}

fn wrong_key() -> Fault {
    let reason = "wrong or missing client key: expected one X-Client-Key header";
    Fault::new(StatusCode::UNAUTHORIZED, reason)
}

/// The host that a request names, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    /// With its port.
    One(&'a str),
    Missing,
    Several,
}

impl<'a> Host<'a> {
    /// The authority of the request target, which takes precedence, or the `Host` header.
    pub(crate) fn of(uri: &'a axum::http::Uri, headers: &'a HeaderMap) -> Self {
        let mut hosts = headers.get_all(HOST).iter();
        match (uri.authority(), hosts.next(), hosts.next()) {
            (_, _, Some(_)) => Self::Several,
            (Some(authority), _, _) => Self::One(authority.as_str()),
            (None, Some(host), None) => host.to_str().map_or(Self::Missing, Self::One),
            (None, None, None) => Self::Missing,
        }
    }

    /// Without its port, and without the dot that ends a complete name.
    pub(crate) fn name(self) -> Result<&'a str, Fault> {
        match self {
            Self::One(host) => Ok(without_port(host)),
            Self::Missing => Err(Fault::bad_request("the Host header is missing or malformed")),
            Self::Several => Err(Fault::bad_request("there are several Host headers")),
        }
    }
}

fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are no port's.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether a host is the address of a machine rather than the name of a site.
pub(crate) fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Text for the header `Retry-After`: whole seconds, rounded up, as no client is to come too early.
pub(crate) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::Config;

    fn accounts() -> Accounts {
        let key = |key: &str| ClientKey::new(key).unwrap();
        let mut acme = AccountSettings::new("Acme", key("a"));
        acme.custom_host = Some("img.acme.example".to_owned());
        let settings = vec![acme, AccountSettings::new("other", key("b"))];
        let index = Index::in_memory(Config::default());
        Accounts::new(settings, Unnamed::Nobody, Root::Host, Grouping::Grouped, &index).unwrap()
    }

    #[test]
    fn the_host_says_who_it_is() {
        let accounts = accounts();
        for (host, token) in [
            ("acme.cloudimg.io", "acme"),
            ("ACME.cloudimg.io:8080", "acme"),
            ("img.acme.example.", "acme"),
            ("other.cloudimg.io:80", "other"),
        ] {
            let account = accounts.of_delivery(Host::One(host), true).unwrap();
            assert_eq!(account.token(), token, "{host}");
        }
        for host in [
            "",
            "acme",
            "cloudimg.io",
            "x.acme.cloudimg.io",
            "127.0.0.1:8080",
            "img.acme.example.org",
        ] {
            let fault = accounts.of_delivery(Host::One(host), true).err().unwrap();
            assert_eq!(fault.status.as_u16(), 421, "{host}");
        }
        assert_eq!(accounts.of_delivery(Host::Missing, true).err().unwrap().status.as_u16(), 400);
        assert_eq!(accounts.of_delivery(Host::Several, true).err().unwrap().status.as_u16(), 400);
    }

    #[test]
    fn a_key_opens_its_own_account_alone() {
        let accounts = accounts();
        let ask = |host, key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-client-key", key.parse().unwrap());
            let found = accounts.of_control(&headers, Host::One(host), true);
            found.map(|account| account.token().to_owned()).map_err(|fault| fault.status.as_u16())
        };
        assert_eq!(ask("acme.cloudimg.io", "a").as_deref(), Ok("acme"));
        assert_eq!(ask("acme.cloudimg.io", "b"), Err(401));
        for host in ["127.0.0.1:8081", "[::1]:8081", "localhost", "api.cloudimage.com"] {
            assert_eq!(ask(host, "a").as_deref(), Ok("acme"), "{host}");
            assert_eq!(ask(host, "b").as_deref(), Ok("other"), "{host}");
            assert_eq!(ask(host, "c"), Err(401), "{host}");
        }
        assert_eq!(ask("evil.example", "a"), Err(421));
    }

    #[test]
    fn customers_share_nothing() {
        let index = Index::in_memory(Config::default());
        let key = |key: &str| ClientKey::new(key).unwrap();
        let with_host = |token, key, host: &str| AccountSettings {
            custom_host: Some(host.to_owned()),
            ..AccountSettings::new(token, key)
        };
        for (settings, reason) in [
            (vec![], "there is no tenant"),
            (
                vec![AccountSettings::new("a", key("1")), AccountSettings::new("A", key("2"))],
                "tenant \"a\" has the host a.cloudimg.io of another tenant",
            ),
            (
                vec![AccountSettings::new("a", key("1")), AccountSettings::new("b", key("1"))],
                "tenant \"b\" has the client key of another tenant",
            ),
            (
                vec![with_host("a", key("1"), "x.example"), with_host("b", key("2"), "X.example")],
                "tenant \"b\" has the host x.example of another tenant",
            ),
        ] {
            let made = Accounts::new(settings, Unnamed::Sole, Root::Host, Grouping::Exact, &index);
            assert_eq!(made.err().unwrap(), reason);
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(retry_after(Duration::from_millis(1)), "1");
        assert_eq!(retry_after(Duration::from_secs(2)), "2");
    }
}
