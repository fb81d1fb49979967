//! The network between nodes and engine.

use super::engine::Tail;
use super::plan::SECOND;
use super::world::{Answer, Ask, Event, Local, World};
use crate::machine::AppendResult;
use crate::message::Message;

impl World {
    /// Sends a request to the engine.
    pub(super) fn request(&mut self, site: usize, ask: Ask) {
        let delay = self.delay();
        let boot = self.sites[site].boot;
        if self.sites[site].cut_out > self.now {
            self.fail(site, boot, &ask, SECOND);
            return;
        }
        if delay > SECOND {
            // Given up by the node, but still on its way.
            self.fail(site, boot, &ask, SECOND);
        }
        self.after(delay, Event::Ask { site, boot, ask });
    }

    fn fail(&mut self, site: usize, boot: u64, ask: &Ask, delay: u64) {
        let answer = match ask {
            Ask::Info { attempt, .. } => Answer::Info { attempt: *attempt, info: None },
            Ask::Open { attempt, .. } => Answer::Opened { attempt: *attempt, is_open: false },
            Ask::Append { ticket, .. } => {
                Answer::Appended { ticket: *ticket, result: AppendResult::Unknown }
            }
        };
        self.after(delay, Event::At { site, boot, what: Local::Answer(answer) });
    }

    /// The engine answers a request.
    pub(super) fn ask(&mut self, site: usize, boot: u64, ask: &Ask) {
        if !self.engine.is_up {
            self.fail(site, boot, ask, SECOND / 2);
            return;
        }
        let answer = match ask {
            Ask::Info { attempt, at } => {
                Answer::Info { attempt: *attempt, info: Some(self.engine.now.stream.info(*at)) }
            }
            Ask::Open { attempt, first } => {
                let (attempt, next) = (*attempt, *first);
                let newest = self.engine.tails.iter().find(|tail| tail.site == site);
                if newest.is_none_or(|tail| (tail.boot, tail.attempt) < (boot, attempt)) {
                    self.engine.tails.retain(|tail| tail.site != site);
                    let not_before = self.now;
                    self.engine.tails.push(Tail { site, boot, attempt, next, not_before });
                }
                Answer::Opened { attempt, is_open: true }
            }
            Ask::Append { ticket, id, body, expected } => {
                let (result, new) = self.engine.append(id, body, *expected);
                if let Some((sequence, message)) = new {
                    self.note_append(sequence, &message);
                }
                let result = match result {
                    Ok(appended) => AppendResult::Appended(appended.sequence),
                    Err(_) => AppendResult::WrongLast,
                };
                Answer::Appended { ticket: *ticket, result }
            }
        };
        if self.sites[site].cut_in > self.now {
            self.fail(site, boot, ask, SECOND);
        } else {
            let delay = self.delay().min(SECOND);
            self.after(delay, Event::At { site, boot, what: Local::Answer(answer) });
        }
        self.pump();
    }

    fn note_append(&mut self, sequence: u64, message: &Message) {
        let name = message.author.name.strip_prefix("node-").and_then(|name| name.parse().ok());
        let Some(site) = name else { return };
        let ids = message.invalidations.iter().map(|at| message.id(at));
        let purges: Vec<usize> = ids.filter_map(|id| self.oracle.find(site, id)).collect();
        for &purge in &purges {
            self.oracle.appended(purge, self.now, &self.plan);
        }
        self.engine.now.purges.insert(sequence, purges);
    }

    /// Delivers new messages to all readers.
    pub(super) fn pump(&mut self) {
        let mut tails = std::mem::take(&mut self.engine.tails);
        for tail in &mut tails {
            let messages = self.engine.now.stream.read(tail.next, 1000);
            let Some(last) = messages.last() else { continue };
            tail.next = last.sequence + 1;
            // Lost or repeated on the way, now and then.
            let fate = if self.is_healed { 9 } else { self.random.u8(..100) };
            if fate == 0 || self.sites[tail.site].cut_in > self.now {
                continue;
            }
            let arrival = (self.now + self.delay()).max(tail.not_before + 1);
            tail.not_before = arrival;
            let (site, boot, attempt) = (tail.site, tail.boot, tail.attempt);
            let copies = if fate == 1 { 2 } else { 1 };
            for _ in 0..copies {
                let answer = Answer::Messages { attempt, messages: messages.clone() };
                let event = Event::At { site, boot, what: Local::Answer(answer) };
                self.after(arrival - self.now, event);
            }
        }
        self.engine.tails = tails;
    }
}
