//! `Message`: one entry of the fleet's log.
//!
//! Invariant: a message that cannot be read is never ignored. The reader applies the broadest scope
//! that it may have meant, which is everything.
//!
//! ```text
//!   magic "cf", version, the lowest version of a reader, kind, flags
//!   author: session u64, period in ms u32, name
//!   echoes: count u16, then session u64, beat u64, period in ms u32 each
//!   invalidations: incarnation u64, count u16, then number u64, kind and texts each
//!   crc32c u32
//! ```

use crate::bytes::{Reader, put_text, sign, verified};
use cache_index::{Freshness, OverTime, Severity};
use cache_index_persist::{OutboxId, Scope};
use std::time::Duration;

/// A reader of this version understands all messages whose lowest version is at most this.
const VERSION: u8 = 1;
const MAGIC: [u8; 2] = *b"cf";
/// Invalidations of one message.
pub(crate) const MAX_INVALIDATIONS: usize = 1000;
/// Bytes of the invalidations of one message, below the default limit of NATS, which is 1 MiB.
pub(crate) const MAX_BYTES: usize = 400 << 10;
/// Echoes of one message: 20 bytes each.
pub(crate) const MAX_ECHOES: usize = 4096;

const WANTS_ANSWER: u8 = 1;
const SOFT: u8 = 0x80;

const ALL_OVER: u8 = 8;
const TENANT_OVER: u8 = 9;

/// The node that wrote a message or an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// Chosen at random by each process.
    pub(crate) session: u64,
    /// For how long its gate stays open after a proof.
    pub(crate) period: Duration,
    pub(crate) name: String,
}

/// The last beat of another node that the author has heard. It proves to that node that everything
/// before this message had been written after the beat was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) session: u64,
    pub(crate) beat: u64,
    pub(crate) period: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Invalidations.
    Batch,
    /// A proof without invalidations.
    Tick,
    /// The log has lost messages that some nodes had applied: everything must go.
    Loss,
}

/// One invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalidation {
    pub(crate) number: u64,
    pub(crate) severity: Severity,
    pub(crate) scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// Somebody waits until all nodes have applied it.
    pub(crate) wants_answer: bool,
    pub(crate) author: Author,
    pub(crate) echoes: Vec<Echo>,
    /// The incarnation that accepted the invalidations.
    pub(crate) incarnation: u64,
    pub(crate) invalidations: Vec<Invalidation>,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged,
    /// It needs a reader of a later version.
    Version(u8),
}

impl Message {
    /// Returns the number of an invalidation in the outbox of its author.
    pub(crate) fn id(&self, at: &Invalidation) -> OutboxId {
        OutboxId { incarnation: self.incarnation, number: at.number }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let kind = match self.kind {
            Kind::Batch => 1,
            Kind::Tick => 2,
            Kind::Loss => 3,
        };
        let flags = if self.wants_answer { WANTS_ANSWER } else { 0 };
        out.extend_from_slice(&[VERSION, VERSION, kind, flags]);
        put_author(&mut out, &self.author);
        let echoes = &self.echoes[..self.echoes.len().min(MAX_ECHOES)];
        put_count(&mut out, echoes.len());
        for echo in echoes {
            out.extend_from_slice(&echo.session.to_le_bytes());
            out.extend_from_slice(&echo.beat.to_le_bytes());
            put_period(&mut out, echo.period);
        }
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        put_count(&mut out, self.invalidations.len());
        for invalidation in &self.invalidations {
            out.extend_from_slice(&invalidation.number.to_le_bytes());
            put_scope(&mut out, invalidation.severity, &invalidation.scope);
        }
        sign(&mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let body = verified(bytes).ok_or(Unreadable::Damaged)?;
        let mut reader = Reader::new(body);
        if reader.take(2) != Some(&MAGIC) {
            return Err(Unreadable::Damaged);
        }
        let versions = reader.byte().zip(reader.byte()).ok_or(Unreadable::Damaged)?;
        if versions.1 > VERSION {
            return Err(Unreadable::Version(versions.0));
        }
        let message = Self::read(&mut reader).ok_or(Unreadable::Damaged)?;
        // A later version may have put more behind it, which a reader of this one may ignore.
        let is_whole = versions.0 > VERSION || reader.is_empty();
        let is_possible = (message.kind == Kind::Batch) != message.invalidations.is_empty();
        if is_whole && is_possible { Ok(message) } else { Err(Unreadable::Damaged) }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let kind = match reader.byte()? {
            1 => Kind::Batch,
            2 => Kind::Tick,
            3 => Kind::Loss,
            _ => return None,
        };
        let wants_answer = reader.byte()? & WANTS_ANSWER != 0;
        let author = take_author(reader)?;
        let count = usize::from(reader.number16()?);
        let echoes = (0..count).map(|_| {
            let (session, beat) = (reader.number64()?, reader.number64()?);
            Some(Echo { session, beat, period: take_period(reader)? })
        });
        let echoes = echoes.collect::<Option<_>>()?;
        let incarnation = reader.number64()?;
        let count = usize::from(reader.number16()?);
        let invalidations = (0..count).map(|_| {
            let number = reader.number64()?;
            let (severity, scope) = take_scope(reader)?;
            Some(Invalidation { number, severity, scope })
        });
        let invalidations = invalidations.collect::<Option<_>>()?;
        Some(Self { kind, wants_answer, author, echoes, incarnation, invalidations })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("messages have bounded lists");
    out.extend_from_slice(&count.to_le_bytes());
}

fn put_period(out: &mut Vec<u8>, period: Duration) {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    out.extend_from_slice(&millis.to_le_bytes());
}

fn take_period(reader: &mut Reader<'_>) -> Option<Duration> {
    Some(Duration::from_millis(u64::from(reader.number32()?)))
}

pub(crate) fn put_author(out: &mut Vec<u8>, author: &Author) {
    out.extend_from_slice(&author.session.to_le_bytes());
    put_period(out, author.period);
    put_text(out, &author.name);
}

pub(crate) fn take_author(reader: &mut Reader<'_>) -> Option<Author> {
    let (session, period) = (reader.number64()?, take_period(reader)?);
    Some(Author { session, period, name: reader.text()? })
}

/// Returns about how many bytes a scope takes in a message.
pub(crate) fn scope_len(scope: &Scope) -> usize {
    let mut out = Vec::new();
    put_scope(&mut out, Severity::Hard, scope);
    out.len()
}

fn put_scope(out: &mut Vec<u8>, severity: Severity, scope: &Scope) {
    if let Some((kind, tenant, over)) = over_time(scope) {
        // Always hard.
        out.push(kind);
        if let Some(tenant) = tenant {
            put_text(out, tenant);
        }
        return put_over(out, over);
    }
    let soft = if severity == Severity::Soft { SOFT } else { 0 };
    let mut put = |kind: u8, texts: &[&str], list: Option<&[String]>| {
        out.push(kind | soft);
        for text in texts {
            put_text(out, text);
        }
        if let Some(list) = list {
            let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_le_bytes());
            for text in list {
                put_text(out, text);
            }
        }
    };
    match scope {
        Scope::Path { tenant, path } => put(1, &[tenant, path], None),
        Scope::Keys { tenant, path, keys } => put(2, &[tenant, path], Some(keys)),
        Scope::Operations { tenant, path, operations } => {
            put(3, &[tenant, path], Some(operations));
        }
        Scope::Prefix { tenant, prefix } => put(4, &[tenant, prefix], None),
        Scope::Tenant { tenant } => put(5, &[tenant], None),
        Scope::ForgetTenant { tenant } => put(7, &[tenant], None),
        // Also for scopes that this version does not know.
        _ => put(6, &[], None),
    }
}

fn take_scope(reader: &mut Reader<'_>) -> Option<(Severity, Scope)> {
    let kind = reader.byte()?;
    let severity = if kind & SOFT == 0 { Severity::Hard } else { Severity::Soft };
    let scope = match kind & !SOFT {
        1 => Scope::Path { tenant: reader.text()?, path: reader.text()? },
        2 => Scope::Keys { tenant: reader.text()?, path: reader.text()?, keys: take_list(reader)? },
        3 => Scope::Operations {
            tenant: reader.text()?,
            path: reader.text()?,
            operations: take_list(reader)?,
        },
        4 => Scope::Prefix { tenant: reader.text()?, prefix: reader.text()? },
        5 => Scope::Tenant { tenant: reader.text()? },
        6 => Scope::All,
        7 => Scope::ForgetTenant { tenant: reader.text()? },
        ALL_OVER if severity == Severity::Hard => Scope::AllOver { over: take_over(reader)? },
        TENANT_OVER if severity == Severity::Hard => {
            Scope::TenantOver { tenant: reader.text()?, over: take_over(reader)? }
        }
        _ => return None,
    };
    Some((severity, scope))
}

/// Returns kind, tenant and course of a flush over time.
fn over_time(scope: &Scope) -> Option<(u8, Option<&str>, OverTime)> {
    match scope {
        Scope::AllOver { over } => Some((ALL_OVER, None, *over)),
        Scope::TenantOver { tenant, over } => Some((TENANT_OVER, Some(tenant), *over)),
        _ => None,
    }
}

/// Writes the duration and how much of it has passed, in nanoseconds, and whether entries are stale
/// until their moment.
fn put_over(out: &mut Vec<u8>, over: OverTime) {
    for time in [over.duration(), over.elapsed()] {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        out.extend_from_slice(&nanoseconds.to_le_bytes());
    }
    out.push(u8::from(over.freshness() == Freshness::Stale));
}

fn take_over(reader: &mut Reader<'_>) -> Option<OverTime> {
    let (duration, elapsed) = (reader.number64()?, reader.number64()?);
    let freshness = match reader.byte()? {
        0 => Freshness::Live,
        1 => Freshness::Stale,
        _ => return None,
    };
    let over = OverTime::new(Duration::from_nanos(duration)).serving(freshness);
    Some(over.resumed_at(Duration::from_nanos(elapsed)))
}

fn take_list(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let count = reader.number32()?;
    (0..count).map(|_| reader.text()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let text = |text: &str| text.to_owned();
        let (tenant, path) = (|| text("doc"), || text("sample.li/birds.jpg"));
        let list = || vec![text("?w=200"), text("?")];
        let scopes = [
            Scope::Path { tenant: tenant(), path: path() },
            Scope::Keys { tenant: tenant(), path: path(), keys: list() },
            Scope::Operations { tenant: tenant(), path: path(), operations: list() },
            Scope::Prefix { tenant: tenant(), prefix: text("sample.li/") },
            Scope::Tenant { tenant: tenant() },
            Scope::All,
            Scope::ForgetTenant { tenant: tenant() },
        ];
        let over = OverTime::new(Duration::from_secs(60)).resumed_at(Duration::from_millis(3));
        let over_times = [
            (Scope::AllOver { over }, Severity::Hard),
            (
                Scope::TenantOver { tenant: tenant(), over: over.serving(Freshness::Live) },
                Severity::Hard,
            ),
        ];
        let severities = [Severity::Hard, Severity::Soft].into_iter().cycle();
        let invalidation = |(number, (scope, severity))| Invalidation { number, severity, scope };
        let period = Duration::from_secs(5);
        Message {
            kind: Kind::Batch,
            wants_answer: true,
            author: Author { session: 9, period, name: text("pop-1") },
            echoes: vec![Echo { session: 3, beat: 4, period }],
            incarnation: 2,
            invalidations: (11..)
                .zip(scopes.into_iter().zip(severities).chain(over_times))
                .map(invalidation)
                .collect(),
        }
    }

    fn resigned(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - 4);
        sign(&mut bytes);
        bytes
    }

    #[test]
    fn messages_of_every_kind_round_trip() {
        let batch = message();
        assert_eq!(Message::decode(&batch.encode()), Ok(batch));
        for kind in [Kind::Tick, Kind::Loss] {
            let message = Message { kind, invalidations: Vec::new(), ..message() };
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = message().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::decode(&bytes), Err(Unreadable::Damaged));
        }
        for len in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..len]), Err(Unreadable::Damaged));
        }
    }

    #[test]
    fn random_bytes_with_a_right_checksum_do_not_panic_and_are_damaged() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let mut bytes = message().encode();
            bytes.truncate(random.usize(..bytes.len()).max(4));
            for _ in 0..random.usize(..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let bytes = resigned(bytes);
            if let Ok(message) = Message::decode(&bytes) {
                assert_eq!(Message::decode(&message.encode()), Ok(message));
            }
        }
    }

    #[test]
    fn only_a_later_version_that_says_so_is_readable() {
        let mut bytes = message().encode();
        bytes[2] = 2;
        // Version 2 that readers of version 1 may read, with more behind it.
        let len = bytes.len() - 4;
        bytes.splice(len..len, [7, 7]);
        let bytes = resigned(bytes);
        assert_eq!(Message::decode(&bytes), Ok(message()));
        let mut newer = bytes.clone();
        newer[3] = 2;
        assert_eq!(Message::decode(&resigned(newer)), Err(Unreadable::Version(2)));
        let mut same = bytes;
        same[2] = 1;
        assert_eq!(Message::decode(&resigned(same)), Err(Unreadable::Damaged));
    }

    #[test]
    fn unknown_kinds_of_invalidations_are_damage() {
        let all = Invalidation { number: 1, severity: Severity::Hard, scope: Scope::All };
        let mut bytes = Message { invalidations: vec![all], ..message() }.encode();
        let kind = bytes.len() - 5;
        bytes[kind] = 10;
        assert_eq!(Message::decode(&resigned(bytes)), Err(Unreadable::Damaged));
    }
}
