//! Knows, for every picture, which resized renditions of it a cache holds.
#![forbid(unsafe_code)]

pub mod canonical;
mod origin;
mod text;
mod variant;

pub use origin::{OriginPath, PathPrefix};
pub use variant::VariantKey;
