//! From text to names by Cloudimage's URL rules: canonicalization of delivery URLs and of
//! invalidation entries. A server with other URLs uses opaque names instead, see
//! [`OriginPath::opaque`](crate::OriginPath::opaque).
//!
//! Invariant: these functions are pure and total.
//! - Every text has a name, or an error with its kind, its position and the expected content.
//! - All spellings in which a picture can be requested or invalidated map to one
//!   [`OriginPath`](crate::OriginPath).
//! - Renditions that may differ in a byte never share both origin path and
//!   [`VariantKey`](crate::VariantKey).
//!
//! Not here: the entries that are stored under the names, and whether they may be served.
//!
//! # The steps, in order
//!
//! | step | request | invalidation entry |
//! |---|---|---|
//! | checks on the raw text: length, control bytes, spaces at the ends, `#` | yes | yes |
//! | delivery host removed | yes | no |
//! | split at the first `?` | yes | yes |
//! | query to variant key | yes | for single variants; otherwise an error |
//! | leading slashes and `v7` removed | yes | yes |
//! | path decoded, if `ci_url_encoded=1` marks it as encoded as a whole | yes | yes |
//! | escapes normalized: one spelling per byte (RFC 3986, section 6.2.2) | yes | yes |
//! | form determined: URL, alias, host, or relative path | yes | yes |
//! | origin is a delivery URL itself | starts over with it | error |
//! | scheme, host, port and dot segments normalized | yes | yes |
//! | origin prefix repeated | error | error |
//! | star at the end | error | wildcard, if allowed |
//! | spellings of one picture grouped, if the rules demand it | yes | yes |
//!
//! # Cost
//!
//! Time is linear in the input, of which at most [`MAX_INPUT`] bytes are read. Text that is already
//! canonical is borrowed from the input without an allocation. Otherwise there is one allocation
//! for each changed name. These cases need one more buffer each, for the text between the steps:
//! - a delivery URL inside a delivery URL
//! - a path that is encoded as a whole and longer than 256 bytes
//! - a query of that length with an encoded parameter name

#![allow(
    clippy::needless_bitwise_bool,
    reason = "branches would keep bytes out of vector registers"
)]

mod builder;
mod error;
mod explain;
mod fast_path;
mod fast_verify;
mod input;
mod input_checks;
mod names;
mod path;
mod pipeline;
mod query;
mod reading;
mod rules;
mod settings;
mod suggest;
mod text;
mod trace;
mod verify;

pub use builder::{RulesBuilder, RulesError};
pub use error::{PathError, PathErrorKind};
pub use explain::Explanation;
pub use input::Input;
pub use input_checks::MAX_INPUT;
pub use names::{Delivery, Target, VariantTarget};
pub use query::operations::Operations;
pub use query::split::MAX_PARAMETERS;
pub use rules::Rules;
pub use settings::{Grouping, Root, V7};
pub use trace::{Step, StepKind};
