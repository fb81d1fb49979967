//! Requests to invalidate: from the bytes of a body to what is to be done.
//!
//! Invariant: an [`Invalidation`] that exists was checked in every entry. Strict, and silent about the input: an error says where
//! something is wrong and what was expected there, and repeats nothing. Pure: nothing is invalidated here.

use super::fault::Fault;
use super::json::Json;
use cache_index::OriginPath;
use cache_index::canonical::{Rules, Target};
use std::collections::HashSet;

/// The most entries of a list.
const MOST_ENTRIES: usize = 1000;

const SCOPES: &str = "expected \"original\" or \"all\"";

/// What is to be invalidated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    All,
    Original { entries: Vec<Entry>, duplicates: usize },
}

/// One picture that is to go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where in the list it stands first.
    pub(crate) position: usize,
    pub(crate) origin: OriginPath<'static>,
}

impl Invalidation {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// 400 if it isn't JSON, 422 if it is JSON but no request.
    pub(crate) fn parse(bytes: &[u8], rules: &Rules) -> Result<Self, Fault> {
        let Json::Object(members) = Json::parse(bytes).map_err(Fault::bad_request)? else {
            return Err(Fault::unprocessable("the body must be a JSON object"));
        };
        let (scope, urls) = sort_out(members)?;
        match scope {
            Some(Json::Text(scope)) if scope == "original" => originals(urls, rules),
            Some(Json::Text(scope)) if scope == "all" => match urls {
                None => Ok(Self::All),
                Some(_) => Err(Fault::unprocessable("scope \"all\" takes no urls")),
            },
            Some(Json::Text(_)) => Err(Fault::unprocessable(format!("unknown scope: {SCOPES}"))),
            Some(_) => Err(Fault::unprocessable(format!("scope is not a string: {SCOPES}"))),
            None => Err(Fault::unprocessable(format!("scope is missing: {SCOPES}"))),
        }
    }
}

/// The values of `scope` and `urls`, if these and no others are there, each once.
fn sort_out(members: Vec<(String, Json)>) -> Result<(Option<Json>, Option<Json>), Fault> {
    let (mut scope, mut urls) = (None, None);
    for (place, (name, value)) in members.into_iter().enumerate() {
        let member = format!("member {} of the body", place + 1);
        let slot = match name.as_str() {
            "scope" => &mut scope,
            "urls" => &mut urls,
            _ => {
                let reason = format!("{member} is unknown: expected scope and urls");
                return Err(Fault::unprocessable(reason));
            }
        };
        if slot.replace(value).is_some() {
            return Err(Fault::unprocessable(format!("{member} repeats an earlier one")));
        }
    }
    Ok((scope, urls))
}

/// Checks every entry.
fn originals(urls: Option<Json>, rules: &Rules) -> Result<Invalidation, Fault> {
    let list = match urls {
        Some(Json::List(list)) if !list.is_empty() => list,
        _ => {
            let reason = "scope \"original\" needs urls: a list of at least one string";
            return Err(Fault::unprocessable(reason));
        }
    };
    if list.len() > MOST_ENTRIES {
        let reason = format!("urls has {} entries: at most {MOST_ENTRIES} are taken", list.len());
        return Err(Fault::unprocessable(reason));
    }
    let count = list.len();
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for (position, url) in list.iter().enumerate() {
        let origin = origin(url, rules)
            .map_err(|reason| Fault::unprocessable(format!("urls[{position}]: {reason}")))?;
        if seen.insert(origin.clone()) {
            entries.push(Entry { position, origin });
        }
    }
    let duplicates = count - entries.len();
    Ok(Invalidation::Original { entries, duplicates })
}

fn origin(url: &Json, rules: &Rules) -> Result<OriginPath<'static>, String> {
    let Json::Text(url) = url else { return Err("expected a string".to_owned()) };
    match rules.invalidation(url).map_err(|error| error.to_string())? {
        Target::Path(path) => Ok(path.into_owned()),
        Target::Prefix(_) => Err("wildcards are not supported by this server".to_owned()),
    }
}
