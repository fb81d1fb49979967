//! `Follower`: reads the stream in order, and knows when it cannot.
//!
//! Invariants: the position is behind every message that was applied, and every message up to it
//! was applied or is covered by a flush of everything that began after the position was read. A
//! message is applied only if a reader delivers it that was opened after four checks and confirmed
//! by the same checks after it was opened.
//!
//! The second round of checks closes a gap: a store that is restored between the first round and
//! the opening would be read from the old position on.

use super::position::Position;
use crate::engine::{Delivered, StreamInfo};
use crate::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a follower waits after an error, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// An answer that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many gaps at one place are a hole.
const HOLE: u32 = 5;

/// Why a node had to flush everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FlushReason {
    /// It had no position in any stream.
    NoPosition,
    /// The stream was created anew.
    CreatedAnew,
    /// The stream ends before the position: an older copy was restored.
    EndsBefore,
    /// Another message has the number of the position: an older copy was restored and has grown.
    OtherMessage,
    /// Messages behind the position are no longer kept.
    Missed,
    /// The message at the position is no longer kept, so the stream cannot be recognized.
    Unrecognized,
    /// A message is missing in the middle.
    Hole,
}

impl FlushReason {
    /// Whether messages are gone that this node had applied and others may not.
    ///
    /// A stream with another creation may be an earlier one, restored after this node had followed
    /// a later one. A node that was away all that time finds its position in it, and notices
    /// nothing.
    pub(crate) fn is_loss(self) -> bool {
        matches!(self, Self::CreatedAnew | Self::EndsBefore | Self::OtherMessage)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(Moment),
    Checking,
    Opening,
    Confirming,
    Following,
}

/// A request of the follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Info {
        attempt: u64,
        at: u64,
    },
    Open {
        attempt: u64,
        first: u64,
    },
    Close,
    /// Everything must go. The position is already the new one.
    Flush(FlushReason),
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FollowCounts {
    pub(crate) checks: u64,
    pub(crate) gaps: u64,
    pub(crate) old: u64,
}

#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) position: Option<Position>,
    phase: Phase,
    attempt: u64,
    pause: Duration,
    since: Moment,
    /// The end of the stream when the reader was confirmed.
    target: u64,
    /// The position at the last gap, and how often there was one.
    gap: Option<(u64, u32)>,
    must_flush: bool,
    /// Messages that arrived before the reader was confirmed.
    early: VecDeque<Delivered>,
    pub(crate) counts: FollowCounts,
}

impl Follower {
    pub(crate) fn new(position: Option<Position>) -> Self {
        Self {
            position,
            phase: Phase::Waiting(Moment::default()),
            attempt: 0,
            pause: FIRST_PAUSE,
            since: Moment::default(),
            target: 0,
            gap: None,
            must_flush: false,
            early: VecDeque::new(),
            counts: FollowCounts::default(),
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.position.as_ref().map_or(0, |position| position.last.sequence)
    }

    pub(crate) fn is_following(&self) -> bool {
        self.phase == Phase::Following
    }

    /// Whether everything was applied that was in the stream when the reader was confirmed.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.is_following() && self.sequence() >= self.target
    }

    /// The end of the stream when the reader was confirmed.
    pub(crate) fn target(&self) -> u64 {
        self.target
    }

    pub(crate) fn wakes_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Waiting(until) => Some(until),
            Phase::Checking | Phase::Opening | Phase::Confirming => Some(self.since.plus(PATIENCE)),
            Phase::Following => None,
        }
    }

    /// Starts again when it is time.
    pub(crate) fn on_time(&mut self, now: Moment) -> Vec<Request> {
        match self.wakes_at() {
            Some(at) if at <= now => self.restart(now),
            _ => Vec::new(),
        }
    }

    /// Checks the stream anew, and opens another reader.
    pub(crate) fn restart(&mut self, now: Moment) -> Vec<Request> {
        self.enter(now, Phase::Checking);
        self.attempt += 1;
        self.early.clear();
        vec![Request::Close, self.ask()]
    }

    fn enter(&mut self, now: Moment, phase: Phase) {
        (self.phase, self.since) = (phase, now);
    }

    fn ask(&mut self) -> Request {
        self.counts.checks += 1;
        Request::Info { attempt: self.attempt, at: self.sequence() }
    }

    fn wait(&mut self, now: Moment) -> Vec<Request> {
        self.enter(now, Phase::Waiting(now.plus(self.pause)));
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        vec![Request::Close]
    }

    /// The four checks.
    fn check(&self, info: &StreamInfo) -> Result<(), FlushReason> {
        let position = self.position.as_ref().ok_or(FlushReason::NoPosition)?;
        let last = &position.last;
        if info.created != position.created {
            return Err(FlushReason::CreatedAnew);
        }
        if info.last.sequence < last.sequence {
            return Err(FlushReason::EndsBefore);
        }
        if info.first > last.sequence + 1 {
            return Err(FlushReason::Missed);
        }
        match &info.id_at {
            // The position was the end of an empty stream.
            None if last.id.is_empty() => {}
            Some(id) if *id == last.id => {}
            Some(_) => return Err(FlushReason::OtherMessage),
            None => return Err(FlushReason::Unrecognized),
        }
        if self.must_flush { Err(FlushReason::Hole) } else { Ok(()) }
    }

    pub(crate) fn on_info(
        &mut self,
        now: Moment,
        attempt: u64,
        info: Option<&StreamInfo>,
    ) -> Vec<Request> {
        let is_confirming = self.phase == Phase::Confirming;
        if attempt != self.attempt || !(is_confirming || self.phase == Phase::Checking) {
            return Vec::new();
        }
        let Some(info) = info else { return self.wait(now) };
        match self.check(info) {
            Ok(()) if is_confirming => {
                self.enter(now, Phase::Following);
                self.pause = FIRST_PAUSE;
                self.target = info.last.sequence;
                Vec::new()
            }
            Ok(()) => self.open(now),
            Err(reason) => {
                // The end of the stream was read before the flush begins: what is appended during
                // the flush comes behind it.
                let owes_loss = self.position.as_ref().is_some_and(|position| position.owes_loss);
                let mut position = Position::end_of(info);
                position.owes_loss = reason.is_loss() || owes_loss;
                self.position = Some(position);
                (self.must_flush, self.gap) = (false, None);
                self.attempt += 1;
                self.early.clear();
                let mut requests = vec![Request::Close, Request::Flush(reason)];
                requests.extend(self.open(now));
                requests
            }
        }
    }

    fn open(&mut self, now: Moment) -> Vec<Request> {
        self.enter(now, Phase::Opening);
        vec![Request::Open { attempt: self.attempt, first: self.sequence() + 1 }]
    }

    pub(crate) fn on_opened(&mut self, now: Moment, attempt: u64, is_open: bool) -> Vec<Request> {
        if attempt != self.attempt || self.phase != Phase::Opening {
            return Vec::new();
        }
        if !is_open {
            return self.wait(now);
        }
        self.enter(now, Phase::Confirming);
        vec![self.ask()]
    }

    pub(crate) fn on_reader_failed(&mut self, now: Moment, attempt: u64) -> Vec<Request> {
        if attempt == self.attempt { self.restart(now) } else { Vec::new() }
    }

    /// Takes messages of a reader. [`next`](Self::next) returns them.
    pub(crate) fn on_messages(&mut self, attempt: u64, messages: Vec<Delivered>) {
        if attempt == self.attempt {
            self.early.extend(messages);
        }
    }

    /// Returns the next message in sequence, if the reader is confirmed. The caller applies it and
    /// then calls [`advance`](Self::advance). An error is a gap, and the requests to close it.
    pub(crate) fn next(&mut self, now: Moment) -> Option<Result<Delivered, Vec<Request>>> {
        let next = self.sequence() + 1;
        while self.is_following() {
            let message = self.early.pop_front()?;
            if message.sequence == next {
                return Some(Ok(message));
            }
            if message.sequence > next {
                self.counts.gaps += 1;
                return Some(Err(self.on_gap(now)));
            }
            // Applying an old invalidation again would kill what is newer.
            self.counts.old += 1;
        }
        None
    }

    /// Gaps that repeat at one place are a hole in the stream, and not in its delivery.
    fn on_gap(&mut self, now: Moment) -> Vec<Request> {
        let at = self.sequence();
        let repeated = self.gap.filter(|gap| gap.0 == at).map_or(1, |gap| gap.1 + 1);
        self.gap = Some((at, repeated));
        self.must_flush = repeated == HOLE;
        self.restart(now)
    }

    /// Moves the position behind a message that was applied.
    pub(crate) fn advance(&mut self, message: &Delivered) {
        if let Some(position) = &mut self.position {
            position.last.sequence = message.sequence;
            position.last.id.clone_from(&message.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StreamMessage;

    const NOW: Moment = Moment::from_nanos(1);

    fn message(sequence: u64) -> StreamMessage {
        StreamMessage { sequence, id: format!("m{sequence}") }
    }

    fn info(created: i128, last: u64, at: u64) -> StreamInfo {
        StreamInfo { created, first: 1, last: message(last), id_at: Some(message(at).id) }
    }

    /// At message 9 of stream 1, after the first request.
    fn follower() -> Follower {
        let position = Position { created: 1, last: message(9), owes_loss: false };
        let mut follower = Follower::new(Some(position));
        assert_eq!(follower.restart(NOW), [Request::Close, Request::Info { attempt: 1, at: 9 }]);
        follower
    }

    #[test]
    fn the_stream_is_checked_before_and_after_a_reader_is_opened() {
        let mut follower = follower();
        let open = Request::Open { attempt: 1, first: 10 };
        assert_eq!(follower.on_info(NOW, 1, Some(&info(1, 12, 9))), [open]);
        let again = Request::Info { attempt: 1, at: 9 };
        assert_eq!(follower.on_opened(NOW, 1, true), [again]);
        assert!(!follower.is_following());
        // An older copy was restored between the two rounds.
        let requests = follower.on_info(NOW, 1, Some(&info(1, 7, 9)));
        assert_eq!(requests[1], Request::Flush(FlushReason::EndsBefore));
    }

    #[test]
    fn the_position_is_read_before_the_flush() {
        let mut follower = follower();
        let requests = follower.on_info(NOW, 1, Some(&info(2, 4, 9)));
        // No further question lies between the flush and the opening behind message 4.
        let flush = Request::Flush(FlushReason::CreatedAnew);
        assert_eq!(requests, [Request::Close, flush, Request::Open { attempt: 2, first: 5 }]);
        let position = follower.position.expect("a position");
        assert_eq!(position, Position { created: 2, last: message(4), owes_loss: true });
    }

    #[test]
    fn each_check_has_its_reason_and_a_loss_is_owed_to_the_others() {
        let gone = StreamInfo { id_at: None, ..info(1, 12, 9) };
        let cases = [
            (info(2, 12, 9), FlushReason::CreatedAnew, true),
            (info(1, 8, 9), FlushReason::EndsBefore, true),
            (info(1, 12, 8), FlushReason::OtherMessage, true),
            (StreamInfo { first: 11, ..gone.clone() }, FlushReason::Missed, false),
            (StreamInfo { first: 10, ..gone }, FlushReason::Unrecognized, false),
        ];
        for (info, reason, owes_loss) in cases {
            let mut follower = follower();
            let requests = follower.on_info(NOW, 1, Some(&info));
            assert_eq!(requests[1], Request::Flush(reason));
            let position = follower.position.expect("a position");
            assert_eq!(position.owes_loss, owes_loss, "{reason:?}");
        }
    }

    #[test]
    fn a_late_answer_to_an_earlier_attempt_is_ignored() {
        let mut follower = follower();
        let _ = follower.restart(NOW);
        assert_eq!(follower.on_info(NOW, 1, Some(&info(2, 12, 9))), []);
        assert_eq!(follower.on_opened(NOW, 1, true), []);
        assert_eq!(follower.on_reader_failed(NOW, 1), []);
    }
}
