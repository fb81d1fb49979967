//! Reads requests from JSON, strictly.
//!
//! Invariant: all bytes are read as JSON before any other error is reported, so that invalid JSON
//! is always reported as such. The limits bound the memory that is used meanwhile, however the
//! input nests and repeats.
//!
//! A derived reader would accept `["all"]` for `{"scope":"all"}`, and its error texts repeat the
//! input.

use super::error::{Fault, InvalidationError, List};
use super::limits::InvalidationLimits;
use super::request::{InvalidationRequest, InvalidationScope, operations};
use crate::canonical::Rules;
use crate::severity::Severity;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

impl InvalidationRequest {
    /// Reads and checks a request in JSON, such as the body of `POST /invalidate`:
    ///
    /// ```json
    /// {"scope":"original","urls":["/sample.li/birds.jpg"]}
    /// {"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["?w=200"],
    ///  "mode":"soft"}
    /// {"scope":"urls","urls":["/sample.li/birds.jpg?w=200"]}
    /// {"scope":"all"}
    /// ```
    ///
    /// `mode` is `hard` or `soft`, and `hard` if absent. The rules decide whether entries begin
    /// with `/v7/`, and whether they may end in a star. Unknown members, repeated members and lists
    /// that do not belong to the scope are errors.
    ///
    /// **Cost:** O(length of the bytes). Input that is longer than the limit is not read. No lock.
    ///
    /// # Errors
    /// If the input is not a valid request. The error has a kind and a position, and repeats no
    /// part of the input. No input causes a panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Rules, V7};
    /// use cache_index::invalidation::{InvalidationLimits, InvalidationRequest};
    ///
    /// let (rules, limits) =
    ///     (Rules::builder().v7(V7::Required).build()?, InvalidationLimits::default());
    /// let body = br#"{"scope":"original","urls":["/v7/sample.li/birds.jpg"]}"#;
    /// let request = InvalidationRequest::from_json(body, &rules, &limits)?;
    /// assert_eq!(request.entries()[0].target().as_str(), "sample.li/birds.jpg");
    ///
    /// let error = InvalidationRequest::from_json(b"{\"scope\":\"everything\"}", &rules, &limits)
    ///     .unwrap_err();
    /// assert_eq!(error.to_string(), "unknown scope: expected \"original\", \"urls\" or \"all\"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_json(
        bytes: &[u8],
        rules: &Rules,
        limits: &InvalidationLimits,
    ) -> Result<Self, InvalidationError> {
        if bytes.len() > limits.bytes() {
            return Err(Fault::TooLarge { limit: limits.bytes() }.into());
        }
        if bytes.starts_with("\u{feff}".as_bytes()) {
            return Err(Fault::ByteOrderMark.into());
        }
        let Value::Object(members) = read(bytes, limits)? else {
            return Err(Fault::NotAnObject.into());
        };
        if let Some(fault) = members.fault {
            return Err(fault.into());
        }
        let scope = scope(members.scope)?;
        let severity = severity(members.mode)?;
        if scope != InvalidationScope::Original && members.transformations.is_some() {
            return Err(Fault::Transformations.into());
        }
        let mut picked = Vec::new();
        if let Some(value) = members.transformations {
            let list = list(value, List::Transformations)?;
            picked = operations(&as_bytes(&list), rules, limits)?;
        }
        match (scope, members.urls) {
            (InvalidationScope::All, None) => Ok(Self::all(severity)),
            (InvalidationScope::All, Some(_)) => Err(Fault::UrlsOfAll.into()),
            (_, None) => Err(Fault::MissingUrls.into()),
            (_, Some(value)) => {
                let list = list(value, List::Urls)?;
                let builder = Self::builder(rules).limits(*limits).severity(severity);
                builder.list(scope, as_bytes(&list).into_iter(), picked)
            }
        }
    }
}

fn scope(value: Option<Value<'_>>) -> Result<InvalidationScope, Fault> {
    match value {
        Some(Value::Text(scope)) => match &*scope {
            "original" => Ok(InvalidationScope::Original),
            "urls" => Ok(InvalidationScope::Urls),
            "all" => Ok(InvalidationScope::All),
            _ => Err(Fault::UnknownScope),
        },
        Some(_) => Err(Fault::ScopeType),
        None => Err(Fault::MissingScope),
    }
}

fn severity(value: Option<Value<'_>>) -> Result<Severity, Fault> {
    match value {
        Some(Value::Text(mode)) => match &*mode {
            "hard" => Ok(Severity::Hard),
            "soft" => Ok(Severity::Soft),
            _ => Err(Fault::UnknownMode),
        },
        Some(_) => Err(Fault::ModeType),
        None => Ok(Severity::default()),
    }
}

/// A JSON value, as far as a request can contain it.
#[derive(Debug)]
enum Value<'b> {
    Text(Cow<'b, str>),
    /// The first entries: at most one more than the limits allow. Entries that are not text are
    /// `None`.
    List(Vec<Option<Cow<'b, str>>>),
    Object(Box<Members<'b>>),
    Other,
}

/// The members that a request may have.
#[derive(Debug, Default)]
struct Members<'b> {
    scope: Option<Value<'b>>,
    mode: Option<Value<'b>>,
    urls: Option<Value<'b>>,
    transformations: Option<Value<'b>>,
    /// The fault of the first wrong member.
    fault: Option<Fault>,
}

fn list(value: Value<'_>, list: List) -> Result<Vec<Option<Cow<'_, str>>>, Fault> {
    match value {
        Value::List(entries) => Ok(entries),
        _ => Err(Fault::ListType(list)),
    }
}

fn as_bytes<'l>(list: &'l [Option<Cow<'_, str>>]) -> Vec<Option<&'l [u8]>> {
    list.iter().map(|entry| entry.as_ref().map(|text| text.as_bytes())).collect()
}

/// Reads all of `bytes`.
fn read<'b>(bytes: &'b [u8], limits: &InvalidationLimits) -> Result<Value<'b>, Fault> {
    let too_deep = Cell::new(false);
    let most = limits.entries().max(limits.transformations());
    let reader = Reader { part: Part::Body, left: limits.depth(), most, too_deep: &too_deep };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = reader.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if too_deep.get() {
            Fault::TooDeep { limit: limits.depth() }
        } else if bytes.is_empty() {
            Fault::EmptyBody
        } else if error.is_eof() {
            Fault::EndsEarly { line, column }
        } else {
            Fault::NotJson { line, column }
        }
    })
}

/// The part of the body that a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Body,
    Member,
    /// An entry of a list.
    Entry,
    /// A value that does not belong to a request: it is read as JSON and dropped.
    Nothing,
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'d> {
    part: Part,
    /// The number of nesting levels that are still allowed.
    left: usize,
    /// The maximum number of list entries. One more is kept so that the excess can be reported.
    most: usize,
    too_deep: &'d Cell<bool>,
}

impl Reader<'_> {
    /// Returns the reader for the values inside this value.
    fn inside<E: Error>(self, part: Part) -> Result<Self, E> {
        let Some(left) = self.left.checked_sub(1) else {
            self.too_deep.set(true);
            return Err(E::custom("too deep"));
        };
        Ok(Self { part, left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value<'de>, A::Error> {
        let is_list = self.part == Part::Member;
        let part = if is_list { Part::Entry } else { Part::Nothing };
        let (inside, mut entries) = (self.inside(part)?, Vec::new());
        while let Some(value) = sequence.next_element_seed(inside)? {
            if is_list && entries.len() <= self.most {
                entries.push(match value {
                    Value::Text(text) => Some(text),
                    _ => None,
                });
            }
        }
        Ok(if is_list { Value::List(entries) } else { Value::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let is_body = self.part == Part::Body;
        let inside = self.inside(if is_body { Part::Member } else { Part::Nothing })?;
        let (mut members, mut place) = (Members::default(), 0);
        // A member name is text at any depth. This reader handles it like any other value.
        while let Some(name) = map.next_key_seed(inside)? {
            let value = map.next_value_seed(inside)?;
            place += 1;
            if is_body {
                members.put(&name, value, place);
            }
        }
        Ok(if is_body { Value::Object(Box::new(members)) } else { Value::Other })
    }
}

/// Returns the member that clients mean when they write `name`.
fn meant(name: &Value<'_>) -> Option<&'static str> {
    let Value::Text(name) = name else { return None };
    match &**name {
        "url" | "uri" | "uris" | "path" | "paths" | "files" | "entries" => Some("urls"),
        "transformation" | "operations" => Some("transformations"),
        _ => None,
    }
}

impl<'b> Members<'b> {
    fn put(&mut self, name: &Value<'_>, value: Value<'b>, place: usize) {
        let known = match name {
            Value::Text(name) => match &**name {
                "scope" => Some(&mut self.scope),
                "mode" => Some(&mut self.mode),
                "urls" => Some(&mut self.urls),
                "transformations" => Some(&mut self.transformations),
                _ => None,
            },
            _ => None,
        };
        let fault = match known {
            None => Some(Fault::UnknownMember { place, meant: meant(name) }),
            Some(slot) => slot.replace(value).map(|_| Fault::RepeatedMember { place }),
        };
        // Only the first fault is reported.
        if self.fault.is_none() {
            self.fault = fault;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_of_a_list_than_tells_that_it_is_too_long() {
        let limits = InvalidationLimits::builder().entries(3).transformations(2).build().unwrap();
        let body = format!(r#"{{"urls":[{}],"x":["a"]}}"#, vec!["\"/a\""; 100].join(","));
        let Ok(Value::Object(members)) = read(body.as_bytes(), &limits) else { panic!("{body}") };
        let Some(Value::List(entries)) = members.urls else { panic!("{members:?}") };
        assert_eq!(entries.len(), 4);
    }
}
