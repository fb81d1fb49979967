//! From text to names: canonicalization of delivery URLs and of invalidation entries.
//!
//! Invariant: these are pure and total functions. Every text gives a name or an error that says
//! what is wrong, where, and what was expected. Every spelling in which a picture can be requested
//! and every spelling in which it can be invalidated give one [`OriginPath`]; renditions that may
//! differ in a byte never share origin path and [`VariantKey`]. Not here: what is stored under the
//! names, and what may be served.
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
//! Time is linear in the input, at most [`MAX_INPUT`] bytes of which are read. Text that is
//! canonical already is borrowed from the input, and nothing is allocated; otherwise there is one
//! allocation for each name that had to change. A delivery URL inside of a delivery URL takes more;
//! so do a path that is encoded as a whole and is longer than 256 bytes, and a query of that length
//! in which the name of a parameter is encoded: one buffer each, for the text between the steps.

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
