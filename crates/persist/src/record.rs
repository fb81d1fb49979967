//! `Record`: one invalidation as the log keeps it.
//!
//! Invariant: replaying a record invalidates at least what the original call did, never less.
//! Replaying is idempotent, and the order of records does not matter, as each only raises what is
//! invalidated.

use crate::bytes::{Reader, put_text32};
use cache_index::{Freshness, OverTime, Severity};
use std::fmt;
use std::time::Duration;

/// One invalidation as the log keeps it.
///
/// # Examples
///
/// ```
/// use cache_index::Severity;
/// use cache_index_persist::{PersistConfig, Persistent, Record, Scope};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let record = Record {
///     unix_millis: 0,
///     by: Some("alice".to_owned()),
///     outbox: None,
///     severity: Severity::Soft,
///     scope: Scope::Prefix { tenant: "doc".to_owned(), prefix: "a/".to_owned() },
/// };
/// assert!(cache.invalidate(&[record]).is_durable());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it happened, in milliseconds since 1970, by the wall clock. For people only: nothing is
    /// decided by it.
    pub unix_millis: u64,
    /// The person or program that requested the invalidation, if the caller named one.
    pub by: Option<String>,
    /// The number of the invalidation in an outbox, if it still has to be sent elsewhere.
    pub outbox: Option<OutboxId>,
    /// Whether entries became dead or stale. A flush over time is hard.
    pub severity: Severity,
    /// The scope of the invalidation.
    pub scope: Scope,
}

/// Names an invalidation that this index has to send elsewhere, as a fleet of caches does.
///
/// # Examples
///
/// ```
/// use cache_index_persist::OutboxId;
///
/// let first = OutboxId { incarnation: 3, number: 9 };
/// assert!(first < OutboxId { incarnation: 4, number: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId {
    /// The [incarnation](crate::Persistent::incarnation) that accepted the invalidation.
    pub incarnation: u64,
    /// Its number among those of that incarnation.
    pub number: u64,
}

/// The scope of a [`Record`].
///
/// # Examples
///
/// ```
/// use cache_index::{OriginPath, Selection};
/// use cache_index_persist::{PersistConfig, Persistent, Scope};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let birds = OriginPath::from_canonical("a/birds.jpg")?;
/// let scope = Scope::of_path(&cache.tenant("doc"), &birds, Selection::All);
/// let expected = Scope::Path { tenant: "doc".to_owned(), path: "a/birds.jpg".to_owned() };
/// assert_eq!(scope, expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// All variants of a path.
    Path {
        /// Whose path.
        tenant: String,
        /// Which.
        path: String,
    },
    /// Some variants of a path, by their keys.
    Keys {
        /// Whose path.
        tenant: String,
        /// Which.
        path: String,
        /// The variant keys, each with all of its representations.
        keys: Vec<String>,
    },
    /// The variants of a path that include given operations.
    Operations {
        /// Whose path.
        tenant: String,
        /// Which.
        path: String,
        /// The operations; a variant that includes all of one entry is picked.
        operations: Vec<String>,
    },
    /// All paths that start with a prefix.
    Prefix {
        /// Whose paths.
        tenant: String,
        /// The prefix of the paths.
        prefix: String,
    },
    /// Everything that belongs to a tenant.
    Tenant {
        /// Which.
        tenant: String,
    },
    /// Everything.
    All,
    /// Everything that belongs to a tenant, and the tenant itself.
    ForgetTenant {
        /// Which.
        tenant: String,
    },
    /// Everything, spread over a duration.
    AllOver {
        /// The course of the flush when it was logged.
        over: OverTime,
    },
    /// Everything that belongs to a tenant, spread over a duration.
    TenantOver {
        /// Which.
        tenant: String,
        /// The course of the flush when it was logged.
        over: OverTime,
    },
}

const PATH: u8 = 1;
const KEYS: u8 = 2;
const OPERATIONS: u8 = 3;
const PREFIX: u8 = 4;
const TENANT: u8 = 5;
const ALL: u8 = 6;
const FORGET_TENANT: u8 = 7;
const ALL_OVER: u8 = 8;
const TENANT_OVER: u8 = 9;
// 64 is kept free for a journal of fills, whose records need the generations in which the fill
// began.

const SOFT: u8 = 1;
const HAS_AUTHOR: u8 = 2;
const IN_OUTBOX: u8 = 4;

/// Why a payload is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRecord {
    UnknownKind(u8),
    Malformed,
}

impl Record {
    /// Writes the record in at most `limit` bytes. A record that does not fit is replaced by the
    /// next broader scope.
    pub(crate) fn encode(&self, limit: usize) -> Vec<u8> {
        let mut out = self.header(true);
        self.scope.put(&mut out);
        if out.len() <= limit {
            return out;
        }
        let mut scope = self.scope.clone();
        loop {
            scope = scope.broader();
            let mut out = self.header(false);
            scope.put(&mut out);
            if out.len() <= limit || scope == Scope::All {
                return out;
            }
        }
    }

    fn header(&self, with_author: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let by = self.by.as_deref().filter(|_| with_author);
        let is_soft = self.severity == Severity::Soft && !self.scope.is_over_time();
        let soft = if is_soft { SOFT } else { 0 };
        let author = if by.is_some() { HAS_AUTHOR } else { 0 };
        let outbox = if self.outbox.is_some() { IN_OUTBOX } else { 0 };
        out.push(soft | author | outbox);
        out.extend_from_slice(&self.unix_millis.to_le_bytes());
        if let Some(id) = self.outbox {
            out.extend_from_slice(&id.incarnation.to_le_bytes());
            out.extend_from_slice(&id.number.to_le_bytes());
        }
        if let Some(by) = by {
            put_text32(&mut out, by);
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(payload);
        let (flags, unix_millis) =
            reader.byte().zip(reader.number64()).ok_or(BadRecord::Malformed)?;
        if flags & !(SOFT | HAS_AUTHOR | IN_OUTBOX) != 0 {
            return Err(BadRecord::Malformed);
        }
        let outbox = match flags & IN_OUTBOX {
            0 => None,
            _ => Some(OutboxId::read(&mut reader).ok_or(BadRecord::Malformed)?),
        };
        let by = match flags & HAS_AUTHOR {
            0 => None,
            _ => Some(reader.text32().ok_or(BadRecord::Malformed)?.to_owned()),
        };
        let severity = if flags & SOFT == 0 { Severity::Hard } else { Severity::Soft };
        let scope = Scope::read(&mut reader)?;
        if severity == Severity::Soft && scope.is_over_time() {
            return Err(BadRecord::Malformed);
        }
        let record = Self { unix_millis, by, outbox, severity, scope };
        if reader.is_empty() { Ok(record) } else { Err(BadRecord::Malformed) }
    }
}

impl Record {
    /// Returns the same record with a flush at once instead of a flush over time, for one whose
    /// elapsed time is not known any more: no entry that had died before comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OverTime, Severity};
    /// use cache_index_persist::{Record, Scope};
    /// use std::time::Duration;
    ///
    /// let over = OverTime::new(Duration::from_secs(60));
    /// let (severity, scope) = (Severity::Hard, Scope::AllOver { over });
    /// let record = Record { unix_millis: 0, by: None, outbox: None, severity, scope };
    /// assert_eq!(record.at_once().scope, Scope::All);
    /// ```
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.scope = match self.scope {
            Scope::AllOver { .. } => Scope::All,
            Scope::TenantOver { tenant, .. } => Scope::Tenant { tenant },
            scope => scope,
        };
        self
    }
}

impl OutboxId {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { incarnation: reader.number64()?, number: reader.number64()? })
    }
}

impl Scope {
    /// Returns the smallest other scope that covers this one.
    fn broader(self) -> Self {
        match self {
            Self::Keys { tenant, path, .. } | Self::Operations { tenant, path, .. } => {
                Self::Path { tenant, path }
            }
            Self::Path { tenant, .. } | Self::Prefix { tenant, .. } => Self::Tenant { tenant },
            Self::TenantOver { over, .. } => Self::AllOver { over },
            Self::Tenant { .. } | Self::All | Self::ForgetTenant { .. } | Self::AllOver { .. } => {
                Self::All
            }
        }
    }

    fn is_over_time(&self) -> bool {
        matches!(self, Self::AllOver { .. } | Self::TenantOver { .. })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, texts: &[&str], list: Option<&[String]>| {
            out.push(kind);
            for text in texts {
                put_text32(out, text);
            }
            if let Some(list) = list {
                let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&count.to_le_bytes());
                for text in list {
                    put_text32(out, text);
                }
            }
        };
        match self {
            Self::Path { tenant, path } => put(PATH, &[tenant, path], None),
            Self::Keys { tenant, path, keys } => put(KEYS, &[tenant, path], Some(keys)),
            Self::Operations { tenant, path, operations } => {
                put(OPERATIONS, &[tenant, path], Some(operations));
            }
            Self::Prefix { tenant, prefix } => put(PREFIX, &[tenant, prefix], None),
            Self::Tenant { tenant } => put(TENANT, &[tenant], None),
            Self::All => put(ALL, &[], None),
            Self::ForgetTenant { tenant } => put(FORGET_TENANT, &[tenant], None),
            Self::AllOver { over } => {
                put(ALL_OVER, &[], None);
                put_over(out, *over);
            }
            Self::TenantOver { tenant, over } => {
                put(TENANT_OVER, &[tenant], None);
                put_over(out, *over);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadRecord> {
        let kind = reader.byte().ok_or(BadRecord::Malformed)?;
        let mut text = || reader.text32().map(str::to_owned).ok_or(BadRecord::Malformed);
        Ok(match kind {
            PATH => Self::Path { tenant: text()?, path: text()? },
            KEYS => Self::Keys { tenant: text()?, path: text()?, keys: Self::read_list(reader)? },
            OPERATIONS => Self::Operations {
                tenant: text()?,
                path: text()?,
                operations: Self::read_list(reader)?,
            },
            PREFIX => Self::Prefix { tenant: text()?, prefix: text()? },
            TENANT => Self::Tenant { tenant: text()? },
            ALL => Self::All,
            FORGET_TENANT => Self::ForgetTenant { tenant: text()? },
            ALL_OVER => Self::AllOver { over: read_over(reader)? },
            TENANT_OVER => Self::TenantOver { tenant: text()?, over: read_over(reader)? },
            kind => return Err(BadRecord::UnknownKind(kind)),
        })
    }

    fn read_list(reader: &mut Reader<'_>) -> Result<Vec<String>, BadRecord> {
        let count = reader.number32().ok_or(BadRecord::Malformed)?;
        // No capacity by the count: it is not known to be true.
        (0..count).map(|_| reader.text32().map(str::to_owned).ok_or(BadRecord::Malformed)).collect()
    }
}

fn put_over(out: &mut Vec<u8>, over: OverTime) {
    for time in [over.duration(), over.elapsed()] {
        // A duration of more than 584 years is cut.
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        out.extend_from_slice(&nanoseconds.to_le_bytes());
    }
    out.push(u8::from(over.freshness() == Freshness::Stale));
}

fn read_over(reader: &mut Reader<'_>) -> Result<OverTime, BadRecord> {
    let times = reader.number64().zip(reader.number64());
    let ((duration, elapsed), stale) = times.zip(reader.byte()).ok_or(BadRecord::Malformed)?;
    let freshness = match stale {
        0 => Freshness::Live,
        1 => Freshness::Stale,
        _ => return Err(BadRecord::Malformed),
    };
    let over = OverTime::new(Duration::from_nanos(duration)).serving(freshness);
    Ok(over.resumed_at(Duration::from_nanos(elapsed)))
}

/// Writes the duration, and whether entries are stale or live until their moment.
fn write_over(f: &mut fmt::Formatter<'_>, over: OverTime) -> fmt::Result {
    let freshness = if over.freshness() == Freshness::Stale { "stale" } else { "live" };
    write!(f, " over {:?}, {freshness} until then", over.duration())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { tenant, path } => write!(f, "path {tenant} {path}"),
            Self::Keys { tenant, path, keys } => {
                write!(f, "variants {tenant} {path} {}", keys.join(" "))
            }
            Self::Operations { tenant, path, operations } => {
                write!(f, "operations {tenant} {path} {}", operations.join(" "))
            }
            Self::Prefix { tenant, prefix } => write!(f, "prefix {tenant} {prefix}*"),
            Self::Tenant { tenant } => write!(f, "tenant {tenant}"),
            Self::All => f.write_str("all"),
            Self::ForgetTenant { tenant } => write!(f, "forget {tenant}"),
            Self::AllOver { over } => {
                f.write_str("all")?;
                write_over(f, *over)
            }
            Self::TenantOver { tenant, over } => {
                write!(f, "tenant {tenant}")?;
                write_over(f, *over)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Vec<Scope> {
        let (tenant, path) = (|| "doc".to_owned(), || "sample.li/birds.jpg".to_owned());
        let list = || vec!["?w=200".to_owned(), "?".to_owned()];
        vec![
            Scope::Path { tenant: tenant(), path: path() },
            Scope::Keys { tenant: tenant(), path: path(), keys: list() },
            Scope::Operations { tenant: tenant(), path: path(), operations: list() },
            Scope::Prefix { tenant: tenant(), prefix: "sample.li/".to_owned() },
            Scope::Tenant { tenant: tenant() },
            Scope::All,
            Scope::ForgetTenant { tenant: tenant() },
            Scope::AllOver { over: over(Freshness::Live) },
            Scope::TenantOver { tenant: tenant(), over: over(Freshness::Stale) },
        ]
    }

    fn over(freshness: Freshness) -> OverTime {
        let over = OverTime::new(Duration::from_secs(60)).serving(freshness);
        over.resumed_at(Duration::from_millis(1500))
    }

    fn records() -> impl Iterator<Item = Record> {
        scopes().into_iter().flat_map(|scope| {
            let id = OutboxId { incarnation: 2, number: 5 };
            let alice = || Some("alice".to_owned());
            [
                (Severity::Hard, None, None),
                (Severity::Soft, alice(), None),
                (Severity::Hard, alice(), Some(id)),
                (Severity::Soft, None, Some(id)),
            ]
            .map(|(severity, by, outbox)| Record {
                unix_millis: 9,
                by,
                outbox,
                severity: if scope.is_over_time() { Severity::Hard } else { severity },
                scope: scope.clone(),
            })
        })
    }

    #[test]
    fn records_of_every_kind_round_trip() {
        for record in records() {
            assert_eq!(Record::decode(&record.encode(usize::MAX)), Ok(record));
        }
    }

    #[test]
    fn truncated_and_lengthened_records_are_refused() {
        for record in records() {
            let mut bytes = record.encode(usize::MAX);
            for len in 0..bytes.len() {
                assert_eq!(Record::decode(&bytes[..len]), Err(BadRecord::Malformed));
            }
            bytes.push(0);
            assert_eq!(Record::decode(&bytes), Err(BadRecord::Malformed));
        }
    }

    #[test]
    fn what_does_not_fit_is_broadened_until_it_does() {
        let long = "x".repeat(1000);
        let outbox = Some(OutboxId { incarnation: 1, number: 2 });
        let severity = Severity::Hard;
        let of = |scope| Record { unix_millis: 9, by: None, outbox, severity, scope };
        let fitted = |scope, limit| Record::decode(&of(scope).encode(limit)).unwrap().scope;
        let (tenant, path) = ("t".to_owned(), "p".to_owned());
        let keys = vec![long.clone()];
        let path_scope = Scope::Path { tenant: tenant.clone(), path: path.clone() };
        assert_eq!(fitted(Scope::Keys { tenant: tenant.clone(), path, keys }, 100), path_scope);
        let prefix = Scope::Prefix { tenant: tenant.clone(), prefix: long.clone() };
        assert_eq!(fitted(prefix, 100), Scope::Tenant { tenant });
        let over = over(Freshness::Live);
        let tenant_over = Scope::TenantOver { tenant: long.clone(), over };
        assert_eq!(fitted(tenant_over.clone(), 100), Scope::AllOver { over });
        assert_eq!(fitted(tenant_over, 20), Scope::All);
        assert_eq!(fitted(Scope::Path { tenant: long.clone(), path: long }, 100), Scope::All);
    }

    #[test]
    fn soft_flushes_over_time_and_unknown_freshness_are_refused() {
        let scope = Scope::AllOver { over: over(Freshness::Live) };
        let (by, outbox, severity) = (None, None, Severity::Hard);
        let record = Record { unix_millis: 9, by, outbox, severity, scope };
        let bytes = record.encode(usize::MAX);
        // The severity of a flush over time is not written.
        let soft = Record { severity: Severity::Soft, ..record }.encode(usize::MAX);
        assert_eq!(soft, bytes);
        let soft = [&[SOFT], &bytes[1..]].concat();
        assert_eq!(Record::decode(&soft), Err(BadRecord::Malformed));
        let unknown = [&bytes[..bytes.len() - 1], &[2]].concat();
        assert_eq!(Record::decode(&unknown), Err(BadRecord::Malformed));
    }

    #[test]
    fn kinds_of_later_versions_are_told_from_damage() {
        let mut bytes = vec![0; 9];
        bytes.push(64);
        assert_eq!(Record::decode(&bytes), Err(BadRecord::UnknownKind(64)));
    }
}
