//! The functions of the rules that read a text.
//!
//! Invariant: each is the pipeline, with the fast path for usual requests, and with suggestions for
//! entries. Not here: the steps.

use super::error::PathError;
use super::input::Input;
use super::names::{Delivery, Target, VariantTarget};
use super::path::delivery_host::Reference;
use super::query::operations::Operations;
use super::rules::Rules;

impl Rules {
    /// Reads a delivery URL from a page or from an address bar. There are three forms:
    /// - a whole URL: `https://doc.cloudimg.io/sample.li/a.jpg?w=600`
    /// - without its scheme: `//doc.cloudimg.io/sample.li/a.jpg?w=600`
    /// - its path alone: `/sample.li/a.jpg?w=600`
    ///
    /// For the target in the first line of a request, use [`request_target`](Self::request_target):
    /// there, two slashes do not introduce a host.
    ///
    /// Signatures are dropped. Verify them before the lookup.
    ///
    /// # Errors
    ///
    /// If the text does not name a picture. The error has a kind and a position. No input causes a
    /// panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let one = rules
    ///     .delivery("https://doc.cloudimg.io/sample.li/./b%69rds.jpg?width=600&height=400")?;
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

    /// Reads the target of a request, as in the first line of an HTTP request and in logs:
    /// `/sample.li/a.jpg?w=600`.
    ///
    /// It does not name a host, however many slashes it starts with: they come from a base that
    /// ends in a slash, and are dropped. Proxies send and log whole URLs
    /// (`http://doc.cloudimg.io/sample.li/a.jpg?w=600`), which are read as by
    /// [`delivery`](Self::delivery). RFC 9112, section 3.2.2, requires servers to accept those.
    ///
    /// # Errors
    ///
    /// If the text does not name a picture. The error has a kind and a position. No input causes a
    /// panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let request = rules.request_target("//sample.li/birds.jpg?w=300")?;
    /// assert_eq!(request.origin.as_str(), "sample.li/birds.jpg");
    /// assert_eq!(
    ///     request,
    ///     rules.request_target("http://doc.cloudimg.io/sample.li/birds.jpg?w=300")?
    /// );
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

    /// Reads an entry of an invalidation request that names a whole picture, with all of its
    /// variants.
    ///
    /// # Errors
    ///
    /// If the text does not name a picture. The error has a kind and a position.
    ///
    /// A query is an error, so that no client believes that a single variant was invalidated. The
    /// only exception is `?ci_url_encoded=1` after an encoded path.
    ///
    /// If wildcards are allowed, a raw star anywhere but at the end is an error, and so is a `^` at
    /// the start: such patterns would match nothing.
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
    /// assert_eq!(
    ///     error.to_string(),
    ///     "unexpected query at byte 20: this entry invalidates the whole picture"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invalidation<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Result<Target<'a>, PathError> {
        self.suggesting(entry.bytes(), |entry| self.reader().invalidation(entry))
    }

    /// Reads an entry of an invalidation request that names single variants: an origin followed by
    /// operations.
    ///
    /// The key has no marks, so that it [covers](crate::VariantKey::covers) all representations of
    /// the variant. If spellings of the origin are grouped, it also covers the variants of each
    /// spelling.
    ///
    /// # Errors
    ///
    /// If the text does not name a variant. The error has a kind and a position.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Rules, Target};
    ///
    /// let entry = Rules::default().variant_entry("/sample.li/paris.jpg?width=400")?;
    /// let Target::Path(path) = entry.target else { panic!("a wildcard") };
    /// assert_eq!(path.as_str(), "sample.li/paris.jpg");
    /// assert_eq!(entry.variant.as_str(), "?w=400");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn variant_entry<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Result<VariantTarget<'a>, PathError> {
        self.suggesting(entry.bytes(), |entry| self.reader().variant_entry(entry))
    }

    /// Reads an entry of a transformations list: operations that select variants. The leading
    /// question mark may be missing.
    ///
    /// # Errors
    ///
    /// If the text is not a list of operations. The error has a kind and a position. An empty list
    /// is an error, as it would select every variant.
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
        self.reader().operations(entry.bytes())
    }

    /// Uses the fast path for the usual case.
    fn delivery_of<'t>(
        &self,
        input: &'t [u8],
        text: Option<&'t str>,
        reference: Reference,
    ) -> Result<Delivery<'t>, PathError> {
        let Some(exact) = self.fast_path(input, text, reference) else {
            return self.reader().delivery(input, reference);
        };
        Ok(if self.groups() { exact.grouped() } else { exact })
    }
}
