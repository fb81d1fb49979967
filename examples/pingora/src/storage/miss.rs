//! A miss: writes the body of an object that is in the index already, or that was refused.

use super::body::End;
use super::indexed::Indexed;
use super::object::Kept;
use async_trait::async_trait;
use bytes::Bytes;
use pingora_cache::storage::{HandleMiss, MissFinishType};
use pingora_core::Result;

/// Writes the body of one object. Dropping it before the body is finished reports that the fill has
/// failed: requests that read along get an error, and the object leaves the index.
pub(super) struct Miss {
    pub(super) storage: &'static Indexed,
    pub(super) object: Kept,
    pub(super) size: usize,
    pub(super) finished: bool,
}

#[async_trait]
impl HandleMiss for Miss {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.size += data.len();
        self.object.0.body.push(&data);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        self.finished = true;
        self.object.0.body.end(End::Whole);
        self.storage.admit(&self.object);
        Ok(MissFinishType::Created(self.size))
    }
}

impl Drop for Miss {
    fn drop(&mut self) {
        if !self.finished {
            self.object.0.body.end(End::Failed);
            self.storage.remove(&self.object);
        }
    }
}
