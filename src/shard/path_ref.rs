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

impl PathRef<'_> {
    /// A copy that a function can have in memory, while the original stays in registers.
    #[inline]
    pub(crate) fn copy(&self) -> Self {
        Self { hash: self.hash, tenant: self.tenant, path: self.path }
    }
}
