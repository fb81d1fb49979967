//! The body of an object, which may still be growing.
//!
//! Invariant: a body ends once, as whole or as failed. A failed body is never read to its end, so
//! that no client takes it for a whole one.

use super::object::{Charge, Memory};
use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::watch;

/// A body. One fill writes it, any number of requests read it.
pub(super) struct Body {
    state: RwLock<State>,
    charge: Charge,
}

enum State {
    Growing(watch::Sender<Progress>),
    Whole(Bytes),
    Failed,
}

/// How far a growing body has come.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) chunks: Vec<Bytes>,
    pub(super) end: Option<End>,
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Whole,
    Failed,
}

/// The body as a reader gets it.
pub(super) enum Reading {
    Whole(Bytes),
    Growing(watch::Receiver<Progress>),
    Failed,
}

impl Body {
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        let state = RwLock::new(State::Growing(watch::Sender::default()));
        Self { state, charge: memory.charge(size_of::<Self>()) }
    }

    /// Appends a copy of `data`, as it may be a small part of a large buffer.
    pub(super) fn push(&self, data: &[u8]) {
        if let State::Growing(progress) = &*self.state.read() {
            if !data.is_empty() {
                self.charge.add(data.len());
                let chunk = Bytes::copy_from_slice(data);
                progress.send_modify(|progress| progress.chunks.push(chunk));
            }
        }
    }

    pub(super) fn end(&self, end: End) {
        let chunks = match &*self.state.read() {
            State::Growing(progress) => progress.borrow().chunks.clone(),
            State::Whole(_) | State::Failed => return,
        };
        // Joined without the lock: only one fill writes.
        let state = match end {
            End::Whole => State::Whole(join(chunks)),
            End::Failed => State::Failed,
        };
        let before = std::mem::replace(&mut *self.state.write(), state);
        if let State::Growing(progress) = before {
            progress.send_modify(|progress| progress.end = Some(end));
        }
    }

    pub(super) fn read(&self) -> Reading {
        match &*self.state.read() {
            State::Whole(body) => Reading::Whole(body.clone()),
            State::Growing(progress) => Reading::Growing(progress.subscribe()),
            State::Failed => Reading::Failed,
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(&*self.state.read(), State::Failed)
    }
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.remove(0);
    }
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in &chunks {
        whole.extend_from_slice(chunk);
    }
    whole.freeze()
}
