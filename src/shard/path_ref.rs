//! A path as a shard looks for it.

use crate::hash::PathHash;
use crate::scopes::Tenant;

/// A path as the shard looks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathRef<'a> {
    pub(crate) hash: PathHash,
    pub(crate) tenant: &'a Tenant,
    /// The bytes of the text: a lease keeps them in place, where reading them as text would cost a
    /// check.
    pub(crate) path: &'a [u8],
}
