//! `Batch`: purges of many callers in one transaction, as somebody would add it to a database.

use crate::Outcome;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// One purge, and where its outcome is sent.
type Waiting = (String, Sender<Result<(), String>>);

/// A thread that writes whatever waits as one transaction. It ends when this is dropped.
pub(crate) struct Batch {
    sender: Option<Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl Batch {
    pub(crate) fn start(write: impl Fn(&[String]) -> Result<(), String> + Send + 'static) -> Self {
        let (sender, receiver): (Sender<Waiting>, Receiver<Waiting>) = mpsc::channel();
        let thread = thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let waiting = std::iter::once(first).chain(receiver.try_iter());
                let (paths, callers): (Vec<_>, Vec<_>) = waiting.unzip();
                let written = write(&paths);
                for caller in callers {
                    // A caller that is gone needs no answer.
                    let _ = caller.send(written.clone());
                }
            }
        });
        Self { sender: Some(sender), thread: Some(thread) }
    }

    /// Adds a purge, and waits until it is durable.
    pub(crate) fn append(&self, path: String) -> Outcome<()> {
        let (answer, answered) = mpsc::channel();
        let sender = self.sender.as_ref().ok_or("the batch has ended")?;
        sender.send((path, answer)).map_err(|_| "the thread has ended")?;
        Ok(answered.recv()??)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread. It would be a failure of a waiting caller.
            let _ = thread.join();
        }
    }
}
