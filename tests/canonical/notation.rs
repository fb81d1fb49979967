//! The notation in which cases of canonicalization are written, one a line.
//!
//! Settings: `default`, or some of these, joined by `;`
//!
//! | setting | meaning |
//! |---|---|
//! | `token=NAME` | pictures are delivered from `NAME.cloudimg.io`; `doc` if not given |
//! | `cname=HOST` | a custom host beside it |
//! | `v7`, `v7=required`, `v7=optional`, `v7=none` | whether paths start with `v7` |
//! | `prefix=URL` | the origin prefix |
//! | `root=host`, `root=path` | the meaning of a first segment |
//! | `wildcard=on`, `wildcard=off` | whether an entry may end in a star; off if not given |
//! | `grouping=on` | the spellings of a picture share an origin path |
//! | `scope=original`, `scope=urls` | entries name whole pictures, or single variants |
//! | `item=url`, `item=transformation` | entries are paths, or operations |
//!
//! Text: `\\` is one backslash, `\xHH` the byte HH, and `\{S*N}` the text S written N times. All
//! else stands for itself.

use cache_index::canonical::{Grouping, PathError, Root, Rules, Target, V7};
use std::fmt::Write;

/// The settings of a case.
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    pub(crate) entries: Entries,
}

/// The targets of invalidation entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    Pictures,
    Variants,
    Operations,
}

/// Which of the two functions reads a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Delivery,
    Invalidation,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "delivery" => Ok(Self::Delivery),
            "invalidate" => Ok(Self::Invalidation),
            _ => Err(format!("kind must be delivery or invalidate, got {text:?}")),
        }
    }
}

impl Settings {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut builder, mut token) = (Rules::builder(), "doc");
        let mut entries = Entries::Pictures;
        for setting in text.split(';').filter(|&setting| setting != "default") {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            builder = match (name, value) {
                ("token", name) => {
                    token = name;
                    builder
                }
                ("cname", host) => builder.custom_host(host),
                ("v7", "" | "required") => builder.v7(V7::Required),
                ("v7", "optional") => builder.v7(V7::Optional),
                ("v7", "none") => builder.v7(V7::Never),
                ("prefix", url) => builder.prefix(url),
                ("grouping", "on") => builder.grouping(Grouping::Grouped),
                ("root", "host") => builder.root(Root::Host),
                ("root", "path") => builder.root(Root::Path),
                ("wildcard", "on") => builder.allow_wildcards(),
                ("wildcard", "off") | ("scope", "original") | ("item", "url") => builder,
                ("scope", "urls") => {
                    entries = Entries::Variants;
                    builder
                }
                ("item", "transformation") => {
                    entries = Entries::Operations;
                    builder
                }
                _ => return Err(format!("unknown setting {setting:?}")),
            };
        }
        let rules = builder.token(token).build().map_err(|error| error.to_string())?;
        Ok(Self { rules, entries })
    }

    /// Reads `input`, and returns origin and variant key as they are written in a case.
    pub(crate) fn read(&self, kind: Kind, input: &[u8]) -> Result<(String, String), PathError> {
        let none = || "-".to_owned();
        match (kind, self.entries) {
            (Kind::Delivery, _) => {
                let delivery = self.rules.delivery(input)?;
                Ok((delivery.origin.to_string(), delivery.variant.to_string()))
            }
            (Kind::Invalidation, Entries::Pictures) => {
                self.rules.invalidation(input).map(|target| (pattern(&target), none()))
            }
            (Kind::Invalidation, Entries::Variants) => {
                let selection = self.rules.variant_entry(input)?;
                Ok((pattern(&selection.target), selection.variant.to_string()))
            }
            (Kind::Invalidation, Entries::Operations) => {
                self.rules.operations(input).map(|operations| (none(), operations.to_string()))
            }
        }
    }
}

/// A target as it is written in a case: with the star of a pattern.
pub(crate) fn pattern(target: &Target<'_>) -> String {
    match target {
        Target::Path(path) => path.to_string(),
        Target::Prefix(prefix) => format!("{prefix}*"),
    }
}

/// The bytes that `text` stands for.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        rest = if let Some(rest) = escape.strip_prefix('\\') {
            out.push(b'\\');
            rest
        } else if let Some((digits, rest)) =
            escape.strip_prefix('x').and_then(|x| x.split_at_checked(2))
        {
            out.push(u8::from_str_radix(digits, 16).map_err(|_| format!("bad byte \\x{digits}"))?);
            rest
        } else if let Some((repeat, rest)) =
            escape.strip_prefix('{').and_then(|x| x.split_once('}'))
        {
            let count = repeat.rsplit_once('*').and_then(|(s, n)| Some((s, n.parse().ok()?)));
            let (text, count): (&str, usize) = count.ok_or(format!("bad repeat \\{{{repeat}}}"))?;
            if text.len().saturating_mul(count) > 1 << 24 {
                return Err(format!("repeat \\{{{repeat}}} gives more than 16 MiB"));
            }
            out.extend_from_slice(text.repeat(count).as_bytes());
            rest
        } else {
            return Err(format!(
                "backslash at byte {} starts no escape",
                text.len() - escape.len() - 1
            ));
        };
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// `bytes` in the notation of texts, without repeats.
#[allow(dead_code, reason = "not every user of this file writes texts")]
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => out.push_str("\\\\"),
                char if char.is_ascii_control() => {
                    write!(out, "\\x{:02X}", char as u32).unwrap_or(());
                }
                char => out.push(char),
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02X}").unwrap_or(());
        }
    }
    out
}
