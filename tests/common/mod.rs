//! What the test binaries share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test binaries, none of which uses all of it"
)]

pub mod model;
pub mod pair;

use cache_index::{OriginPath, VariantKey};

#[track_caller]
pub fn path(text: &str) -> OriginPath<'static> {
    OriginPath::from_canonical(text).expect("canonical path").into_owned()
}

#[track_caller]
pub fn variant(text: &str) -> VariantKey<'static> {
    VariantKey::from_canonical(text).expect("canonical variant key").into_owned()
}
