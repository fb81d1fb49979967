//! From text to names.
