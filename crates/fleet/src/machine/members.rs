//! `Members`: which other nodes may serve as fresh, and how far they are.
//!
//! Invariant: a node may serve as fresh only because of a message in the stream that it wrote, or
//! that echoes one of its beats; it takes the proof when it applies that message in sequence. So
//! everybody who follows the stream knows every proof. A node that has not applied message `p` has
//! all of its proofs from messages before `p`, and shuts its gate one period after the append of
//! `p` at the latest.
//!
//! Two conclusions:
//!
//! - One period after `p` was acknowledged, no gate is open without `p`, whatever was lost.
//! - Earlier, it is enough that each node with a proof in the last period has announced `p`. An
//!   announcement names the message that it ends with, so that one of another history is not
//!   counted.
//!
//! The second holds only while one reader has delivered everything for a period. When a reader is
//! lost, the stream may have lost messages with proofs that other nodes had taken, and that this
//! node has never seen.

use super::position::Position;
use crate::bytes::{Reader, put_text, sign, verified};
use crate::message::{Author, Echo, put_author, take_author};
use crate::time::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Own beats that can be recognized in an echo.
const BEATS: usize = 64;
/// Applied messages whose ids are remembered.
const RECENT: usize = 8192;
const VERSION: u8 = 1;

/// Clocks of two machines may differ in speed by 1 %: a margin of 2 %.
pub(crate) fn with_margin(period: Duration) -> Duration {
    period + period / 50
}

/// The news that a node sends to all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) author: Author,
    pub(crate) beat: u64,
    /// The node serves as fresh no more.
    pub(crate) is_leaving: bool,
    pub(crate) created: i128,
    pub(crate) sequence: u64,
    pub(crate) id: String,
}

impl Announcement {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.is_leaving)];
        put_author(&mut out, &self.author);
        out.extend_from_slice(&self.beat.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        put_text(&mut out, &self.id);
        sign(&mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(verified(bytes)?);
        if reader.byte()? != VERSION {
            return None;
        }
        let is_leaving = reader.byte()? != 0;
        let (author, beat) = (take_author(&mut reader)?, reader.number64()?);
        let created = i128::from_le_bytes(reader.take(16)?.try_into().ok()?);
        let (sequence, id) = (reader.number64()?, reader.text()?);
        let announcement = Self { author, beat, is_leaving, created, sequence, id };
        reader.is_empty().then_some(announcement)
    }
}

/// A node that was heard.
#[derive(Clone, Debug)]
struct Heard {
    author: Author,
    beat: u64,
    at: Moment,
    /// When it was heard first.
    since: Moment,
    has_left: bool,
    /// Announced, but not yet compared with the messages applied here.
    pending: Option<(u64, String)>,
    /// It has applied everything up to this message of this history.
    confirmed: u64,
}

/// A node with a proof in the stream.
#[derive(Clone, Copy, Debug)]
struct Proven {
    /// When the message was applied here: later than its beat was sent.
    at: Moment,
    period: Duration,
}

#[derive(Debug)]
pub(crate) struct Members {
    session: u64,
    /// No node has a longer period.
    longest: Duration,
    heard: BTreeMap<u64, Heard>,
    proven: BTreeMap<u64, Proven>,
    /// Since when one reader has delivered every message.
    watching_since: Moment,
    created: i128,
    recent: VecDeque<(u64, String)>,
    beats: VecDeque<(u64, Moment)>,
    next_beat: u64,
}

impl Members {
    pub(crate) fn new(session: u64, longest: Duration) -> Self {
        Self {
            session,
            longest,
            heard: BTreeMap::new(),
            proven: BTreeMap::new(),
            watching_since: Moment::default(),
            created: 0,
            recent: VecDeque::new(),
            beats: VecDeque::new(),
            next_beat: 1,
        }
    }

    /// Begins anew, as messages may have been skipped or may be of another history.
    pub(crate) fn on_reset(&mut self, now: Moment, created: i128) {
        self.watching_since = now;
        self.created = created;
        self.recent.clear();
        for heard in self.heard.values_mut() {
            (heard.confirmed, heard.pending) = (0, None);
        }
    }

    /// Begins to watch with another reader.
    pub(crate) fn on_reader(&mut self, now: Moment) {
        self.watching_since = now;
    }

    /// Notes a proof in the stream. Returns the time of the beat if it is this node's own.
    pub(crate) fn on_echo(&mut self, now: Moment, echo: &Echo) -> Option<Moment> {
        self.on_proof(now, echo.session, echo.period);
        if echo.session != self.session {
            return None;
        }
        self.beats.iter().find(|(beat, _)| *beat == echo.beat).map(|&(_, at)| at)
    }

    /// Notes that a node has a proof in the stream.
    pub(crate) fn on_proof(&mut self, now: Moment, session: u64, period: Duration) {
        self.longest = self.longest.max(period);
        self.proven.insert(session, Proven { at: now, period });
    }

    /// Notes a message that was applied here.
    pub(crate) fn on_applied(&mut self, sequence: u64, id: &str) {
        self.recent.push_back((sequence, id.to_owned()));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        for heard in self.heard.values_mut() {
            match heard.pending.take_if(|(at, _)| *at == sequence) {
                Some((_, announced)) if announced == id => heard.confirmed = sequence,
                _ => {}
            }
        }
    }

    /// Returns the id of a message that was applied here, if it is one of the last.
    pub(crate) fn id_of(&self, sequence: u64) -> Option<&str> {
        let at = self.recent.binary_search_by_key(&sequence, |recent| recent.0).ok()?;
        Some(&self.recent[at].1)
    }

    /// Notes an announcement of another node.
    pub(crate) fn on_announcement(&mut self, now: Moment, announcement: Announcement) {
        let author = announcement.author;
        if author.session == self.session {
            return;
        }
        let heard = self.heard.entry(author.session).or_insert_with(|| Heard {
            author: author.clone(),
            beat: 0,
            at: now,
            since: now,
            has_left: false,
            pending: None,
            confirmed: 0,
        });
        if announcement.beat <= heard.beat {
            return;
        }
        (heard.beat, heard.at, heard.author) = (announcement.beat, now, author);
        heard.has_left |= announcement.is_leaving;
        if announcement.created != self.created {
            return;
        }
        let (sequence, id) = (announcement.sequence, announcement.id);
        match self.recent.binary_search_by_key(&sequence, |recent| recent.0) {
            Ok(at) if self.recent[at].1 == id => heard.confirmed = heard.confirmed.max(sequence),
            Err(at) if at == self.recent.len() => heard.pending = Some((sequence, id)),
            Ok(_) | Err(_) => {}
        }
    }

    /// Makes an announcement, which is a beat of this node.
    pub(crate) fn announce(
        &mut self,
        now: Moment,
        author: Author,
        position: &Position,
        is_leaving: bool,
    ) -> Announcement {
        let beat = self.next_beat;
        self.next_beat += 1;
        self.beats.push_back((beat, now));
        if self.beats.len() > BEATS {
            self.beats.pop_front();
        }
        let (sequence, id) = (position.last.sequence, position.last.id.clone());
        Announcement { author, beat, is_leaving, created: position.created, sequence, id }
    }

    /// Returns the beats to be echoed.
    pub(crate) fn echoes(&self, now: Moment) -> Vec<Echo> {
        let is_alive =
            |heard: &&Heard| !heard.has_left && now.since(heard.at) < heard.author.period;
        let alive = self.heard.values().filter(is_alive);
        alive
            .map(|heard| Echo {
                session: heard.author.session,
                beat: heard.beat,
                period: heard.author.period,
            })
            .collect()
    }

    /// Returns the nodes that may serve as fresh, with this one.
    pub(crate) fn count(&self, now: Moment) -> usize {
        self.fresh(now).count() + 1
    }

    /// Returns how many other nodes run with the name of this one. An announcement that an earlier
    /// process has sent before its end may arrive late, but not for a whole period.
    pub(crate) fn namesakes(&self, own: &Author) -> usize {
        let is_one = |heard: &&Heard| {
            heard.author.name == own.name && heard.at.since(heard.since) >= own.period
        };
        self.heard.values().filter(is_one).count()
    }

    fn fresh(&self, now: Moment) -> impl Iterator<Item = (u64, Proven)> + '_ {
        self.proven.iter().filter_map(move |(&session, &proven)| {
            let has_left = self.heard.get(&session).is_some_and(|heard| heard.has_left);
            let is_over = now >= proven.at.plus(with_margin(proven.period));
            (session != self.session && !has_left && !is_over).then_some((session, proven))
        })
    }

    /// Whether no gate can be open now behind which message `sequence` was not applied.
    ///
    /// `acknowledged` is a moment after it was appended, and `proof` the time of this node's own
    /// last proof.
    pub(crate) fn everywhere(
        &self,
        now: Moment,
        sequence: u64,
        acknowledged: Moment,
        proof: Moment,
    ) -> bool {
        let knows_all = now >= self.watching_since.plus(with_margin(self.longest));
        let periods = self.proven.values().map(|proven| proven.period);
        let longest = if knows_all { periods.max().unwrap_or_default() } else { self.longest };
        if proof >= acknowledged.plus(with_margin(longest)) {
            return true;
        }
        let has_it =
            |session| self.heard.get(&session).is_some_and(|heard| heard.confirmed >= sequence);
        knows_all && self.fresh(now).all(|(session, _)| has_it(session))
    }

    /// Forgets nodes that have been silent for long.
    pub(crate) fn forget(&mut self, now: Moment) {
        let limit = with_margin(self.longest) * 4;
        self.heard.retain(|_, heard| now.since(heard.at) < limit);
        self.proven.retain(|_, proven| now.since(proven.at) < limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StreamMessage;

    const PERIOD: Duration = Duration::from_secs(5);

    fn author(session: u64) -> Author {
        Author { session, period: PERIOD, name: format!("pop-{session}") }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    /// Session 1, which has watched the stream for long and has applied messages 1 to 9.
    fn members() -> Members {
        let mut members = Members::new(1, PERIOD);
        members.on_reset(at(0), 7);
        for sequence in 1..=9 {
            members.on_applied(sequence, &format!("m{sequence}"));
        }
        members
    }

    fn announcement(session: u64, beat: u64, sequence: u64, id: &str) -> Announcement {
        let (author, id) = (author(session), id.to_owned());
        Announcement { author, beat, is_leaving: false, created: 7, sequence, id }
    }

    fn everywhere(members: &Members, now: Moment) -> bool {
        members.everywhere(now, 9, at(20_000), now)
    }

    #[test]
    fn announcements_round_trip_and_damage_is_noticed() {
        let announcement = announcement(2, 3, 9, "m9");
        let bytes = announcement.encode();
        assert_eq!(Announcement::decode(&bytes), Some(announcement));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Announcement::decode(&bytes), None);
        }
    }

    #[test]
    fn a_node_with_a_proof_is_waited_for_until_it_announces_or_its_gate_is_shut() {
        let mut members = members();
        assert!(everywhere(&members, at(20_001)));
        members.on_proof(at(19_999), 2, PERIOD);
        assert!(!everywhere(&members, at(20_001)));
        members.on_announcement(at(20_002), announcement(2, 1, 8, "m8"));
        assert!(!everywhere(&members, at(20_002)));
        members.on_announcement(at(20_003), announcement(2, 2, 9, "m9"));
        assert!(everywhere(&members, at(20_003)));
        // A second node stays silent.
        members.on_proof(at(20_004), 3, PERIOD);
        assert!(!everywhere(&members, at(25_099)));
        assert!(everywhere(&members, at(25_101)));
    }

    #[test]
    fn an_announcement_of_another_history_does_not_count() {
        let mut members = members();
        members.on_proof(at(19_999), 2, PERIOD);
        members.on_announcement(at(20_002), announcement(2, 1, 9, "other"));
        assert!(!everywhere(&members, at(20_002)));
        let later = Announcement { created: 6, ..announcement(2, 2, 9, "m9") };
        members.on_announcement(at(20_002), later);
        assert!(!everywhere(&members, at(20_002)));
        // Further than this node: it counts when this node gets there and sees the same message.
        members.on_announcement(at(20_003), announcement(2, 3, 10, "other"));
        members.on_applied(10, "m10");
        assert!(!everywhere(&members, at(20_004)));
        members.on_announcement(at(20_005), announcement(2, 4, 11, "m11"));
        assert!(!everywhere(&members, at(20_005)));
        members.on_applied(11, "m11");
        assert!(everywhere(&members, at(20_005)));
    }

    #[test]
    fn a_node_that_has_just_begun_to_watch_waits_for_the_longest_period() {
        let mut members = members();
        members.on_reset(at(20_000), 7);
        assert!(!everywhere(&members, at(25_099)));
        assert!(everywhere(&members, at(25_100)));
    }

    #[test]
    fn a_node_that_reads_anew_waits_for_proofs_that_may_be_lost() {
        let mut members = members();
        members.on_reader(at(20_000));
        assert!(!everywhere(&members, at(20_001)));
        assert!(everywhere(&members, at(25_100)));
    }

    #[test]
    fn a_node_that_leaves_is_not_waited_for() {
        let mut members = members();
        members.on_proof(at(19_999), 2, PERIOD);
        let leaving = Announcement { is_leaving: true, ..announcement(2, 1, 3, "m3") };
        members.on_announcement(at(20_000), leaving);
        assert!(everywhere(&members, at(20_001)));
    }

    #[test]
    fn an_echo_of_an_own_beat_is_a_proof_of_when_it_was_sent() {
        let mut members = members();
        let last = StreamMessage { sequence: 9, id: "m9".to_owned() };
        let position = Position { created: 7, last, owes_loss: false };
        let sent = members.announce(at(100), author(1), &position, false);
        let echo = Echo { session: 1, beat: sent.beat, period: PERIOD };
        assert_eq!(members.on_echo(at(9_000), &echo), Some(at(100)));
        assert_eq!(members.on_echo(at(9_000), &Echo { beat: 99, ..echo }), None);
        assert_eq!(members.on_echo(at(9_000), &Echo { session: 2, ..echo }), None);
    }

    #[test]
    fn a_node_that_is_heard_for_a_period_under_the_own_name_is_a_namesake() {
        let mut members = members();
        let named = |beat, name: &str| {
            let author = Author { name: name.to_owned(), ..author(2) };
            Announcement { author, ..announcement(2, beat, 9, "m9") }
        };
        for (beat, millis, name, expected) in [
            (1, 100, "pop-1", 0),
            // The end of an earlier process.
            (2, 4_900, "pop-1", 0),
            (3, 5_100, "pop-1", 1),
            (4, 5_200, "pop-2", 0),
        ] {
            members.on_announcement(at(millis), named(beat, name));
            assert_eq!(members.namesakes(&author(1)), expected, "{millis} ms");
        }
    }

    #[test]
    fn beats_are_echoed_while_a_node_is_heard() {
        let mut members = members();
        members.on_announcement(at(100), announcement(2, 1, 9, "m9"));
        members.on_announcement(at(200), announcement(2, 2, 9, "m9"));
        members.on_announcement(at(300), announcement(2, 1, 9, "m9"));
        let beats = |now| members.echoes(now).iter().map(|echo| echo.beat).collect::<Vec<_>>();
        assert_eq!(beats(at(300)), [2]);
        assert_eq!(beats(at(5_200)), [0; 0]);
    }
}
