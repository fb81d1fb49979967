//! Names from text that claims to be canonical.
//!
//! Invariant: a name is made only if canonicalization would write the same text.

use super::{PathError, check_origin, check_prefix, check_variant};
use crate::names::{OriginPath, PathPrefix, VariantKey};

macro_rules! from_canonical {
    ($name:ident, $check:path) => {
        impl<'a> $name<'a> {
            /// Takes text that is canonical already, under some rules.
            ///
            /// Cost: O(length). The text is borrowed.
            ///
            /// # Errors
            ///
            /// Names the byte at which the text differs from what canonicalization writes, or what is wrong with the text.
            #[inline]
            pub fn from_canonical(text: &'a str) -> Result<Self, PathError> {
                $check(text).map(|()| Self::new_unchecked(text))
            }
        }

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = PathError;

            fn try_from(text: &'a str) -> Result<Self, PathError> {
                Self::from_canonical(text)
            }
        }

        impl std::str::FromStr for $name<'static> {
            type Err = PathError;

            fn from_str(text: &str) -> Result<Self, PathError> {
                $name::from_canonical(text).map($name::into_owned)
            }
        }
    };
}

from_canonical!(OriginPath, check_origin);
from_canonical!(PathPrefix, check_prefix);
from_canonical!(VariantKey, check_variant);
