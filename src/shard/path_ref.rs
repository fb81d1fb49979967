//! A path as a shard looks for it.

use crate::hash::PathHash;
use crate::scopes::Tenant;

/// A path as the shard looks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathRef<'a> {
    pub(crate) hash: PathHash,
    pub(crate) tenant: &'a Tenant,
    /// The bytes of the text. A lease keeps them in place, and reading them as `str` would check
    /// them again.
    pub(crate) path: &'a [u8],
}
