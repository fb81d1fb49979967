//! A hit: reads the body of an object, also while it grows.

use super::body::{End, Progress, Reading};
use super::object::Object;
use async_trait::async_trait;
use bytes::Bytes;
use pingora_cache::storage::HandleHit;
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, Storage};
use pingora_core::{Error, ErrorType, Result};
use std::any::Any;
use std::fmt;
use tokio::sync::watch;

/// Reads the body of one object for one client. It shares the bytes with the storage.
pub struct Hit(Source);

enum Source {
    Whole {
        body: Bytes,
        unread: Option<Bytes>,
    },
    Growing {
        progress: watch::Receiver<Progress>,
        /// How many chunks were read.
        read: usize,
    },
    Failed,
}

impl Hit {
    pub(super) fn new(object: &Object) -> Self {
        Self(match object.body.read() {
            Reading::Whole(body) => Source::Whole { unread: Some(body.clone()), body },
            Reading::Growing(progress) => Source::Growing { progress, read: 0 },
            Reading::Failed => Source::Failed,
        })
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Whole { .. } => "Hit(whole)",
            Source::Growing { .. } => "Hit(growing)",
            Source::Failed => "Hit(failed)",
        })
    }
}

/// Returns the next chunk of a growing body, or waits for it.
async fn next(progress: &mut watch::Receiver<Progress>, read: &mut usize) -> Result<Option<Bytes>> {
    loop {
        {
            let now = progress.borrow_and_update();
            if let Some(chunk) = now.chunks.get(*read) {
                *read += 1;
                return Ok(Some(chunk.clone()));
            }
            match now.end {
                Some(End::Whole) => return Ok(None),
                Some(End::Failed) => return failed(),
                None => {}
            }
        }
        if progress.changed().await.is_err() {
            return failed();
        }
    }
}

fn failed<T>() -> Result<T> {
    Error::e_explain(ErrorType::InternalError, "the fill that wrote this body has failed")
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match &mut self.0 {
            Source::Whole { unread, .. } => Ok(unread.take().filter(|body| !body.is_empty())),
            Source::Growing { progress, read } => next(progress, read).await,
            Source::Failed => failed(),
        }
    }

    async fn finish(
        self: Box<Self>,
        _: &'static (dyn Storage + Sync),
        _: &CacheKey,
        _: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        matches!(self.0, Source::Whole { .. })
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let Source::Whole { body, unread } = &mut self.0 else {
            return Error::e_explain(ErrorType::InternalError, "seek in a body that still grows");
        };
        let end = end.unwrap_or(usize::MAX).min(body.len());
        if start >= end {
            let text = format!("seek to {start}: expected less than {end}");
            return Error::e_explain(ErrorType::InternalError, text);
        }
        *unread = Some(body.slice(start..end));
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}
