//! Names: text that identifies a picture, a folder of pictures, or a rendition.
//!
//! Not here: the rules that turn URLs into names; see `canonical`.

mod error;
mod origin_path;
mod text;
mod variant_key;

pub(crate) use error::check_len;
pub use error::{NameError, NameErrorKind};
pub use origin_path::{OriginPath, PathPrefix};
pub(crate) use text::{MAX_LEN, Text};
pub use variant_key::VariantKey;
#[cfg(feature = "cloudimage")]
pub(crate) use variant_key::{Marks, has_grammar, invalid_mark};
