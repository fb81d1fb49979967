//! Invalidation requests in the form of the hosted API. A request is checked as a whole, applied as
//! a whole, and answered with the outcome of each entry.
//!
//! ```text
//!   lists or JSON ── read by the tenant's rules, within limits ──>  InvalidationRequest
//!                                                                     │ CacheIndex::apply
//!                                                                     │ CacheIndex::dry_run
//!                                                                     v
//!                                         Receipt: the outcome of each entry, with its values
//! ```
//!
//! Invariant: nothing is invalidated before every entry of a request was checked. The outcome of
//! each entry is reported, because a typing error otherwise looks like success.
//!
//! Not here: HTTP, client keys, and which tenant a request is for. These are the server's
//! responsibility.
//!
//! # Scopes
//!
//! | scope | `urls` | invalidated |
//! |---|---|---|
//! | `original` | pictures, or wildcards if allowed | variants: all, or by `transformations` |
//! | `urls` | pictures with operations after them | these variants and the origin copies |
//! | `all` | absent | everything of the tenant |
//!
//! With the scope `original`, `transformations` select the variants that include all operations of
//! one of them. With the scope `urls`, all representations of each variant are invalidated, and the
//! origin copy `?` of each picture.
//!
//! A wildcard names whole pictures and cannot be combined with operations. In-flight fills of an
//! invalidated picture can no longer commit (hard) or are stored stale (soft), whatever variant
//! they are for.
//!
//! # Features
//!
//! With the feature `serde`, `InvalidationRequest::from_json` reads the body of a request. The
//! feature is off by default: a server with its own protocol creates requests from lists.
//!
//! # Examples
//!
//! From a body to a reply:
//!
//! ```
//! use cache_index::canonical::Rules;
//! use cache_index::invalidation::{InvalidationError, InvalidationLimits, InvalidationRequest};
//! use cache_index::{CacheIndex, Tenant};
//!
//! /// Status and text of the reply.
//! # #[cfg(feature = "serde")]
//! fn invalidate(
//!     index: &CacheIndex<u64>,
//!     tenant: &Tenant,
//!     rules: &Rules,
//!     body: &[u8],
//! ) -> (u16, String) {
//!     use cache_index::invalidation::InvalidationErrorKind as Kind;
//!     let limits = InvalidationLimits::default();
//!     let request = match InvalidationRequest::from_json(body, rules, &limits) {
//!         Ok(request) => request,
//!         Err(error) => {
//!             let status = match error.kind() {
//!                 Kind::NotJson => 400,
//!                 Kind::TooLarge => 413,
//!                 _ => 422,
//!             };
//!             let reason = error.path_error().map(|reason| format!(": {reason}"));
//!             return (status, format!("{error}{}", reason.unwrap_or_default()));
//!         }
//!     };
//!     let receipt = index.apply(tenant, &request);
//!     let lines: Vec<_> = receipt
//!         .entries()
//!         .iter()
//!         .map(|entry| {
//!             let target = entry.target().map_or("*", |target| target.as_str());
//!             format!("{target}: {}", entry.outcome())
//!         })
//!         .collect();
//!     for (_variant, _object) in receipt.into_removed() {
//!         // Delete the object.
//!     }
//!     (201, lines.join("\n"))
//! }
//!
//! # #[cfg(feature = "serde")]
//! # {
//! let index = CacheIndex::default();
//! let tenant = index.tenant("doc");
//! let rules = Rules::default();
//! let body = br#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
//! let (status, text) = invalidate(&index, &tenant, &rules, body);
//! assert_eq!((status, text.as_str()), (201, "sample.li/birds.jpg: matched nothing"));
//!
//! let body = br#"{"scope":"original","urls":["/x.jpg?w=1"]}"#;
//! let (status, text) = invalidate(&index, &tenant, &rules, body);
//! assert_eq!(status, 422);
//! assert_eq!(
//!     text,
//!     "urls[0] names no picture: unexpected query at byte 6: this entry invalidates the whole \
//!      picture"
//! );
//! # }
//! ```

mod apply;
mod error;
#[cfg(feature = "serde")]
mod json;
mod limits;
mod receipt;
mod request;

pub use error::{InvalidationError, InvalidationErrorKind};
pub use limits::{InvalidationLimits, InvalidationLimitsBuilder};
pub use receipt::{EntryOutcome, EntryReceipt, Receipt};
pub use request::{
    InvalidationRequest, InvalidationRequestBuilder, InvalidationScope, RequestEntry,
};
