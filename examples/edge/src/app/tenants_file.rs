//! The file of tenants: TOML, read strictly.
//!
//! Invariant: an error has a position and repeats no part of the file, which contains keys.

use super::accounts::{AccountSettings, Quota};
use super::client_key::ClientKey;
use cache_index::canonical::V7;
use serde::Deserialize;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenant: Vec<Tenant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    token: String,
    client_key: String,
    #[serde(default)]
    v7: Mode,
    prefix: Option<String>,
    custom_host: Option<String>,
    #[serde(default)]
    limits: Limits,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Never,
    Required,
    Optional,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    requests_per_second: Option<NonZeroU32>,
    burst: Option<NonZeroU32>,
    entries: Option<usize>,
    body_bytes: Option<usize>,
}

/// Reads the file.
///
/// # Errors
/// If the file cannot be read, or is not valid: one line.
pub(crate) fn read(path: &Path) -> Result<Vec<AccountSettings>, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("can't read {name}: {error}"))?;
    parse(&text).map_err(|reason| format!("{name}: {reason}"))
}

fn parse(text: &str) -> Result<Vec<AccountSettings>, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{at}{}", reason(error.message()))
    })?;
    file.tenant.into_iter().map(settings).collect()
}

/// Returns the reason of an error without the text that it found: that text may be a key in the
/// wrong place.
fn reason(message: &str) -> &str {
    let first = message.lines().next().unwrap_or_default();
    let repeats = ["invalid", "unknown"].iter().any(|word| first.starts_with(word));
    match first.find("expected ") {
        Some(at) if repeats => &first[at..],
        _ if repeats || first.is_empty() => "malformed",
        _ => first,
    }
}

fn settings(tenant: Tenant) -> Result<AccountSettings, String> {
    let Tenant { token, client_key, v7, prefix, custom_host, limits } = tenant;
    let key = ClientKey::new(&client_key)
        .map_err(|reason| format!("tenant \"{}\": {reason}", token.escape_debug()))?;
    let defaults = Quota::default();
    let quota = Quota {
        per_second: limits.requests_per_second.unwrap_or(defaults.per_second),
        burst: limits.burst.or(limits.requests_per_second).unwrap_or(defaults.burst),
        entries: limits.entries.unwrap_or(defaults.entries),
        body_bytes: limits.body_bytes.unwrap_or(defaults.body_bytes),
    };
    if quota.entries == 0 || quota.body_bytes == 0 {
        return Err(format!("tenant \"{}\": limits must be at least 1", token.escape_debug()));
    }
    let v7 = match v7 {
        Mode::Never => V7::Never,
        Mode::Required => V7::Required,
        Mode::Optional => V7::Optional,
    };
    Ok(AccountSettings { token, client_key: key, v7, prefix, custom_host, quota })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_set_is_read() {
        let file = r#"
            [[tenant]]
            token = "acme"
            client_key = "secret-a"
            v7 = "required"
            prefix = "https://bucket.example/pictures/"
            custom_host = "img.acme.example"
            limits = { requests_per_second = 5, entries = 10, body_bytes = 1000 }

            [[tenant]]
            token = "plain"
            client_key = "secret-b"
        "#;
        let [acme, plain] = parse(file).unwrap().try_into().ok().unwrap();
        assert_eq!((acme.token.as_str(), acme.v7), ("acme", V7::Required));
        assert_eq!(acme.prefix.as_deref(), Some("https://bucket.example/pictures/"));
        assert_eq!(acme.custom_host.as_deref(), Some("img.acme.example"));
        let rate = NonZeroU32::new(5).unwrap();
        let expected = Quota { per_second: rate, burst: rate, entries: 10, body_bytes: 1000 };
        assert_eq!(acme.quota, expected);
        assert!(acme.client_key == ClientKey::new("secret-a").unwrap());
        assert_eq!((plain.v7, plain.quota), (V7::Never, Quota::default()));
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for (file, reason) in [
            ("", "missing field `tenant`"),
            ("tenant = 1", "line 1: expected a sequence"),
            ("[[tenant]]\nclient_key = \"secret\"", "missing field `token`"),
            (
                "[[tenant]]\ntoken = \"a\"\nclient_key = \"secret\"\nv8 = true",
                "line 4: expected one of `token`",
            ),
            ("[[tenant]]\ntoken = \"a\"\nclient_key = secret", "line 3: "),
            (
                "[[tenant]]\ntoken = \"a\"\nclient_key = \"secret\"\nv7 = \"maybe\"",
                "line 4: expected one of `never`",
            ),
            ("[[tenant]]\ntoken = \"a\"\nclient_key = \"b\"\nlimits = \"secret\"", "line 4: "),
            (
                "[[tenant]]\ntoken = \"a\"\nclient_key = \"\"",
                "tenant \"a\": the client key must be",
            ),
            (
                "[[tenant]]\ntoken = \"a\"\nclient_key = \"secret\"\nlimits = { burst = 0 }",
                "line 4: ",
            ),
            (
                "[[tenant]]\ntoken = \"a\"\nclient_key = \"secret\"\nlimits = { entries = 0 }",
                "tenant \"a\": limits must be at least 1",
            ),
        ] {
            let error = parse(file).err().unwrap();
            assert!(error.contains(reason), "{file}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }
}
