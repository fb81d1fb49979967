//! From text to names: canonicalization of delivery URLs and of invalidation entries.
//!
//! Invariant: these are pure and total functions. Every text gives a name or an error that says what is wrong, where, and what was
//! expected. Every spelling in which a picture can be requested and every spelling in which it can be invalidated give one
//! [`OriginPath`]; renditions that may differ in a byte never share origin path and [`VariantKey`].
//! Not here: what is stored under the names, and what may be served.
//!
//! # The steps, in order
//!
//! | step | request | invalidation entry |
//! |---|---|---|
//! | checks on the raw text: length, control bytes, spaces at the ends, `#` | yes | yes |
//! | delivery host off | yes | no |
//! | cut at the first `?` | yes | yes |
//! | query to variant key | yes | for single variants; otherwise there may be none |
//! | leading slashes and `v7` off | yes | yes |
//! | path decoded, if `ci_url_encoded=1` says that it is encoded as a whole | yes | yes |
//! | escapes settled: each byte gets its one spelling (RFC 3986, section 6.2.2) | yes | yes |
//! | form told: URL, alias, host, or relative path | yes | yes |
//! | origin is a delivery URL itself | starts over with it | error |
//! | scheme, host, port and dot segments settled | yes | yes |
//! | origin prefix repeated | error | error |
//! | star at the end | error | wildcard, where allowed |
//! | spellings of one picture grouped, if the rules say so | yes | yes |
//!
//! # Cost
//!
//! Time is linear in the input, at most [`MAX_INPUT`] bytes of which are read. Text that is canonical already is borrowed from the
//! input, and nothing is allocated; otherwise there is one allocation for each name that had to change. A delivery URL inside of a
//! delivery URL takes more; so do a path that is encoded as a whole and is longer than 256 bytes, and a query of that length in which the
//! name of a parameter is encoded: one buffer each, for the text between the steps, and one for the pieces of such a query if it grows beyond
//! [`MAX_INPUT`].

mod bytes;
mod error;
mod escape;
mod explain;
mod fast_path;
mod form;
mod grouping;
mod host;
mod input;
mod input_checks;
mod names;
mod operations;
mod origin;
mod parameters;
mod query;
mod rules;
mod scan;
mod sealed_flag;
mod segments;
mod spelling;
mod split;
mod suggest;
mod verify;
mod writer;

pub use error::{PathError, PathErrorKind};
pub use explain::{Explanation, Step, StepKind};
pub use grouping::Grouping;
pub use input::Input;
pub use input_checks::MAX_INPUT;
pub use names::{Delivery, Target, VariantTarget};
pub use operations::Operations;
pub use rules::{Root, Rules, RulesBuilder, RulesError, V7};
pub use split::MAX_PARAMETERS;

pub(crate) use verify::{check_origin, check_prefix, check_variant};

use crate::origin::{OriginPath, PathPrefix};
use crate::variant::VariantKey;
use error::Fault;
use explain::Trace;
use host::Reference;
use origin::Origin;
use query::Query;
use std::borrow::Cow;

/// How many delivery URLs may stand inside of each other, the outermost not counted. Editors nest one.
const MAX_NESTING: usize = 4;

/// The only query that an entry may have which invalidates whole pictures: it selects no variant, it says how the path is spelled.
const PATH_IS_ENCODED: &[u8] = b"?ci_url_encoded=1";

impl Rules {
    /// Reads a delivery URL as it stands in a page or in an address bar: a whole one
    /// (`https://doc.cloudimg.io/sample.li/a.jpg?w=600`), one without its scheme
    /// (`//doc.cloudimg.io/sample.li/a.jpg?w=600`) or its path alone (`/sample.li/a.jpg?w=600`).
    ///
    /// What stands in the first line of a request is read by
    /// [`request_target`](Self::request_target): there, two slashes name no host.
    ///
    /// Signatures are dropped; verify them before asking an index what is stored.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where; no input panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let one = rules.delivery("https://doc.cloudimg.io/sample.li/./b%69rds.jpg?width=600&height=400")?;
    /// let other = rules.delivery("/sample.li/birds.jpg?h=400&w=600")?;
    /// assert_eq!(one, other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delivery<'a>(
        &self,
        input: &'a (impl Input + ?Sized),
    ) -> Result<Delivery<'a>, PathError> {
        self.delivery_of(input.bytes(), input.text(), Reference::Url)
    }

    /// Reads the target of a request, as it stands in the first line of an HTTP request and in
    /// logs: `/sample.li/a.jpg?w=600`.
    ///
    /// It names no host, however many slashes it starts with: they come from a base that ends in a
    /// slash, and are dropped. Proxies send and log whole URLs
    /// (`http://doc.cloudimg.io/sample.li/a.jpg?w=600`), which are read as
    /// [`delivery`](Self::delivery) reads them; RFC 9112, section 3.2.2, has servers accept those.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where; no input panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let request = rules.request_target("//sample.li/birds.jpg?w=300")?;
    /// assert_eq!(request.origin.as_str(), "sample.li/birds.jpg");
    /// assert_eq!(request, rules.request_target("http://doc.cloudimg.io/sample.li/birds.jpg?w=300")?);
    /// // In a page, two slashes start a host.
    /// assert!(rules.delivery("//sample.li/birds.jpg?w=300").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_target<'a>(
        &self,
        target: &'a (impl Input + ?Sized),
    ) -> Result<Delivery<'a>, PathError> {
        self.delivery_of(target.bytes(), target.text(), Reference::Target)
    }

    /// Reads an entry of an invalidation request that names a whole picture, with all of its variants.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where. A query is an error, so that nobody believes that a single
    /// variant was invalidated; the exception is exactly `?ci_url_encoded=1` behind an encoded
    /// path. Where wildcards are allowed, a raw star anywhere but at the end is an error, as is a
    /// `^` at the start: such patterns would match nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Rules, Target};
    ///
    /// let rules = Rules::builder().token("doc").allow_wildcards().build()?;
    /// let Target::Path(path) = rules.invalidation("/Sample.LI/birds.jpg")? else { panic!() };
    /// assert_eq!(path.as_str(), "sample.li/birds.jpg");
    /// let Target::Prefix(prefix) = rules.invalidation("/sample.li/avatars/*")? else { panic!() };
    /// assert_eq!(prefix.as_str(), "sample.li/avatars/");
    ///
    /// let error = rules.invalidation("/sample.li/birds.jpg?w=600").unwrap_err();
    /// assert_eq!(error.to_string(), "unexpected query at byte 20: this entry invalidates the whole picture");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invalidation<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Result<Target<'a>, PathError> {
        let entry = entry.bytes();
        self.read_invalidation(entry, &mut ()).map_err(|error| self.with_suggestions(error, entry))
    }

    /// Reads an entry of an invalidation request that names single variants: an origin with the operations behind it.
    ///
    /// The key has no marks, so that it [covers](VariantKey::covers) all representations of the variant and, where spellings of the
    /// origin are grouped, those stored for each of them.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Rules, Target};
    ///
    /// let entry = Rules::default().variant_entry("/sample.li/paris.jpg?width=400")?;
    /// assert!(matches!(entry.target, Target::Path(path) if path.as_str() == "sample.li/paris.jpg"));
    /// assert_eq!(entry.variant.as_str(), "?w=400");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn variant_entry<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Result<VariantTarget<'a>, PathError> {
        let entry = entry.bytes();
        self.read_variant_entry(entry, &mut ()).map_err(|error| self.with_suggestions(error, entry))
    }

    /// Reads an entry of a transformations list: operations that pick variants. The leading question mark may be missing.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where. No operation at all is an error, as it would pick every variant.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{PathErrorKind, Rules};
    ///
    /// let rules = Rules::default();
    /// assert_eq!(rules.operations("width=200")?.as_str(), "?w=200");
    /// assert_eq!(rules.operations("?").unwrap_err().kind(), PathErrorKind::Empty);
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn operations<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Result<Operations<'a>, PathError> {
        self.read_operations(entry.bytes(), &mut ())
    }
}

/// The pipeline, from the outermost step to the innermost. Positions in errors are counted from the start of what a function is
/// given; its caller moves them.
impl Rules {
    /// With the shortcut for the usual case.
    fn delivery_of<'t>(
        &self,
        input: &'t [u8],
        text: Option<&'t str>,
        reference: Reference,
    ) -> Result<Delivery<'t>, PathError> {
        let Some(exact) = self.fast_path(input, text, reference) else {
            return self.read_delivery(input, reference, &mut ());
        };
        Ok(if self.groups() { exact.grouped() } else { exact })
    }

    fn read_delivery<'t>(
        &self,
        input: &'t [u8],
        reference: Reference,
        trace: &mut impl Trace,
    ) -> Result<Delivery<'t>, PathError> {
        let input = input_checks::checked(input)?;
        let start = host::path_start(input, reference, self)?;
        trace.note(StepKind::DeliveryHost, input, &input[start..]);
        let (path, query) = split_query(&input[start..]);
        let exact = read_query(path, query, trace)
            .and_then(|query| self.requested(path, query, 0, trace))
            .map_err(|error| error.moved(|at| start + at))?;
        Ok(if self.groups() { trace.group_delivery(exact) } else { exact })
    }

    fn read_invalidation<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<Target<'t>, PathError> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        match query {
            None => self.named(path, false, trace),
            Some(PATH_IS_ENCODED) => self.named(path, true, trace),
            Some(_) => Err(Fault::QueryNotAllowed.at(path.len())),
        }
    }

    fn read_variant_entry<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<VariantTarget<'t>, PathError> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        let query = read_query(path, query, trace)?;
        let target = self.named(path, query.encodes_path, trace)?;
        Ok(VariantTarget { target, variant: VariantKey::new_unchecked(query.key) })
    }

    #[allow(clippy::unused_self, reason = "one day, rules may say what an operation is")]
    fn read_operations<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<Operations<'t>, PathError> {
        let entry = input_checks::checked(entry)?;
        let has_mark = entry.first() == Some(&b'?');
        let query = if has_mark {
            Query::read(Some(entry), trace)
        } else {
            Query::read_bare(entry, trace)
        }?;
        if query.key == "?" {
            return Err(Fault::NoOperation.at(entry.len()));
        }
        Ok(Operations::new(VariantKey::new_unchecked(query.key)))
    }

    /// From path and query of a request, positions counted from the start of the path.
    fn requested<'t>(
        &self,
        path: &'t [u8],
        query: Query<'t>,
        depth: usize,
        trace: &mut impl Trace,
    ) -> Result<Delivery<'t>, PathError> {
        let start = self.origin_start(path, trace)?;
        let path = &path[start..];
        let picture = if query.encodes_path {
            decoded(path, trace, |path, own_query, trace| {
                self.picture(path, own_query, depth, trace).map(Picture::into_owned)
            })
        } else {
            self.picture(path, None, depth, trace)
        };
        let Picture { origin, inner } = picture.map_err(|error| error.moved(|at| start + at))?;
        let key = match inner {
            None => query.key,
            Some(inner) => Cow::Owned(inner + &query.key),
        };
        Ok(Delivery { origin, variant: VariantKey::new_unchecked(key) })
    }

    /// From the origin part of a path.
    fn picture<'t>(
        &self,
        path: &'t [u8],
        own_query: Option<&'t [u8]>,
        depth: usize,
        trace: &mut impl Trace,
    ) -> Result<Picture<'t>, PathError> {
        let origin = Origin::read(path, own_query, self, trace)?;
        if origin.is_delivery_url(self) {
            return self.nested(&origin, path, own_query, depth, trace);
        }
        let name = origin.settle(self, trace)?.into_path(trace)?;
        Ok(Picture { origin: OriginPath::new_unchecked(name), inner: None })
    }

    /// From an origin that is a delivery URL: the picture is that of the inner URL, and its operations come first.
    fn nested(
        &self,
        origin: &Origin<'_>,
        source: &[u8],
        own_query: Option<&[u8]>,
        depth: usize,
        trace: &mut impl Trace,
    ) -> Result<Picture<'static>, PathError> {
        if depth == MAX_NESTING {
            return Err(Fault::NestedTooDeep.at(0));
        }
        let path = origin.path_of_delivery_url()?;
        trace.note(StepKind::NestedDelivery, source, path);
        let inner = read_query(path, own_query, trace)
            .and_then(|query| self.requested(path, query, depth + 1, trace));
        let inner = inner.map_err(|error| {
            error.moved(|at| match at.checked_sub(path.len()) {
                None => origin.position(at),
                Some(in_query) => source.len() + in_query,
            })
        })?;
        let Delivery { origin, variant } = inner.into_owned();
        Ok(Picture { origin, inner: Some(variant.into()) })
    }

    /// From the path of an entry.
    fn named<'t>(
        &self,
        path: &'t [u8],
        encoded: bool,
        trace: &mut impl Trace,
    ) -> Result<Target<'t>, PathError> {
        let start = self.origin_start(path, trace)?;
        let path = &path[start..];
        if self.wildcards {
            wildcards_are_final(path).map_err(|error| error.moved(|at| start + at))?;
        }
        let target = if encoded {
            decoded(path, trace, |path, own_query, trace| {
                self.target(path, own_query, trace).map(Target::into_owned)
            })
        } else {
            self.target(path, None, trace)
        };
        let exact = target.map_err(|error| error.moved(|at| start + at))?;
        Ok(if self.groups() { trace.group_target(exact) } else { exact })
    }

    /// Where the origin starts in a path: behind its leading slashes and its `v7`.
    fn origin_start(&self, path: &[u8], trace: &mut impl Trace) -> Result<usize, PathError> {
        let start = segments::origin_start(path, self.v7)?;
        trace.note(StepKind::PathStart, path, &path[start..]);
        Ok(start)
    }

    /// From the origin part of an entry.
    fn target<'t>(
        &self,
        path: &'t [u8],
        own_query: Option<&'t [u8]>,
        trace: &mut impl Trace,
    ) -> Result<Target<'t>, PathError> {
        let origin = Origin::read(path, own_query, self, trace)?;
        if origin.is_delivery_url(self) {
            return Err(Fault::DeliveryUrl.at(0));
        }
        let mut origin = origin.settle(self, trace)?;
        if self.wildcards && own_query.is_none() {
            origin = match origin.into_prefix() {
                Ok(prefix) => return Ok(Target::Prefix(PathPrefix::new_unchecked(prefix))),
                Err(path) => path,
            };
        }
        origin.into_path(trace).map(|name| Target::Path(OriginPath::new_unchecked(name)))
    }
}

/// A picture, and the variant key of the delivery URL that it was found in, if that was a nested one.
struct Picture<'t> {
    origin: OriginPath<'t>,
    inner: Option<String>,
}

impl Picture<'_> {
    fn into_owned(self) -> Picture<'static> {
        Picture { origin: self.origin.into_owned(), inner: self.inner }
    }
}

/// Lets the path of an entry pass in which a star, if there is one, is the last byte. Anything else
/// is a pattern of some other kind, which would match nothing. Only what is raw counts: encoded,
/// these are letters of a name.
fn wildcards_are_final(path: &[u8]) -> Result<(), PathError> {
    if path.first() == Some(&b'^') {
        return Err(Fault::RegularExpression.at(0));
    }
    match scan::find(path, b'*') {
        Some(at) if at + 1 < path.len() => Err(Fault::InnerWildcard.at(at)),
        _ => Ok(()),
    }
}

/// Cuts a text before its first question mark.
fn split_query(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match scan::find(text, b'?') {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    }
}

/// Reads the query behind `path`; positions are counted from the start of the path.
fn read_query<'t>(
    path: &[u8],
    query: Option<&'t [u8]>,
    trace: &mut impl Trace,
) -> Result<Query<'t>, PathError> {
    Query::read(query, trace).map_err(|error| error.moved(|at| path.len() + at))
}

/// Decodes a path that was encoded as a whole, and reads what comes out: the path of an origin, and the query of its own.
#[inline(never)]
fn decoded<T, U: Trace>(
    path: &[u8],
    trace: &mut U,
    read: impl FnOnce(&[u8], Option<&[u8]>, &mut U) -> Result<T, PathError>,
) -> Result<T, PathError> {
    let mut text = escape::decoded(path)?;
    let text = text.written();
    trace.note(StepKind::PathEncoding, path, text);
    let read_decoded = || {
        input_checks::clean(text)?;
        let start = segments::leading_slashes(text);
        let (path, own_query) = split_query(&text[start..]);
        if path.is_empty() {
            return Err(Fault::Empty.at(start));
        }
        read(path, own_query, trace).map_err(|error| error.moved(|at| start + at))
    };
    read_decoded().map_err(|error| error.moved(|at| escape::position_before_decoding(path, at)))
}

/// Canonical text as a string. Every byte in it was written by a step that writes ASCII only.
fn ascii(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    const ASCII: &str = "canonical text is ASCII";
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(std::str::from_utf8(text).expect(ASCII)),
        Cow::Owned(text) => Cow::Owned(String::from_utf8(text).expect(ASCII)),
    }
}
