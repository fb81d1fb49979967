//! Replays a log on an index: GET lines are looked up, and stored where they miss; PURGE lines are invalidations.
//!
//! Beside the index runs what a cache without rules would do: its key is the target as it was sent, and a purge takes what is spelled
//! as the purge is. Both keep everything that they are not told to drop. The difference between them is what the rules are worth.

use super::line::{Dates, Line, Reason};
use super::report::{Example, Lines, Memory, Pictures, Purges, Rate, Report, Requests, ratio};
use cache_index::canonical::{PathError, PathErrorKind, Rules};
use cache_index::invalidation::{InvalidationError, InvalidationRequest};
use cache_index::{CacheIndex, Config, ConfigError, Lookup, Stats, Tenant, WhenFull};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// After so many requests the size of the index is looked at; it is also before each purge, which may make it smaller.
const LOOK: u64 = 1000;

/// How many of the pictures with the most variants are named.
const WORST: usize = 10;

pub(crate) struct Replay {
    rules: Rules,
    /// In lower case.
    host: Option<Vec<u8>>,
    dates: Dates,
    /// Which request filled an entry.
    index: CacheIndex<u64>,
    tenant: Tenant,
    /// Every variant that was ever asked for; nothing of it is purged.
    seen: CacheIndex<()>,
    seen_tenant: Tenant,
    variants: HashMap<Box<str>, u64>,
    /// Targets as they were sent, and which request filled them.
    unruled: HashMap<Box<[u8]>, u64>,
    per_second: BTreeMap<i64, u64>,
    others: BTreeMap<Reason, Example>,
    lines: u64,
    requests: Requests,
    purges: Purges,
    purge_times: Histogram<u64>,
    most: Stats,
    /// After how many requests the size of the index was looked at.
    looked_at: u64,
    started: Instant,
}

impl Replay {
    pub(crate) fn new(rules: Rules, host: Option<&str>) -> Result<Self, ConfigError> {
        // What is to be planned for must not be cut off.
        let config = || Config::builder().max_variants(usize::MAX, WhenFull::Refuse).build();
        let (index, seen) = (CacheIndex::new(config()?), CacheIndex::new(config()?));
        Ok(Self {
            rules,
            host: host.map(|host| host.to_ascii_lowercase().into_bytes()),
            dates: Dates::default(),
            tenant: index.tenant("log"),
            index,
            seen_tenant: seen.tenant("log"),
            seen,
            variants: HashMap::new(),
            unruled: HashMap::new(),
            per_second: BTreeMap::new(),
            others: BTreeMap::new(),
            lines: 0,
            requests: Requests::default(),
            purges: Purges::default(),
            // From a nanosecond to an hour, within a thousandth; what takes longer counts as an hour.
            purge_times: Histogram::new_with_max(3_600_000_000_000, 3)
                .expect("these bounds are in order"),
            most: Stats::default(),
            looked_at: 0,
            started: Instant::now(),
        })
    }

    /// Takes one line, without its end.
    pub(crate) fn line(&mut self, text: &[u8]) {
        self.lines += 1;
        if let Err((reason, detail)) = self.take(text) {
            let number = self.lines;
            let example = self.others.entry(reason);
            example.or_insert_with(|| Example::new(reason, number, text, detail)).count += 1;
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), (Reason, Option<String>)> {
        if text.len() > super::input::LONGEST {
            return Err((Reason::TooLong, None));
        }
        let line = Line::read(text, &mut self.dates).map_err(|reason| (reason, None))?;
        let is_purge = match &*line.method {
            b"GET" => false,
            b"PURGE" => true,
            _ => return Err((Reason::OtherMethod, None)),
        };
        let served = matches!(line.status, 200 | 206 | 304);
        // Servers say 404 and 412 where there was nothing to purge.
        let purged = matches!(line.status, 200..=299 | 404 | 412);
        match is_purge {
            true if !purged => return Err((Reason::RefusedPurge, None)),
            false if !served => return Err((Reason::OtherStatus, None)),
            _ => {}
        }
        let path = self.path(&line.target).ok_or((Reason::OtherHost, None))?;
        if is_purge {
            self.purge(path)
                .map_err(|error| (Reason::BadPurge(kind(&error)), Some(reason_of(&error))))?;
        } else {
            self.request(path)?;
            *self.per_second.entry(line.second).or_default() += 1;
        }
        Ok(())
    }

    /// The target without scheme and host, if it is of the right host. With one slash in front: to a server, two are no host.
    fn path<'t>(&self, target: &'t [u8]) -> Option<&'t [u8]> {
        let absolute = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let mut path = target;
        if let Some(scheme) = absolute {
            let rest = &target[scheme.len()..];
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
            let (authority, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let colon = authority.iter().rposition(|&byte| byte == b':');
            let name = &authority[..colon.unwrap_or(authority.len())];
            if self.host.as_ref().is_some_and(|host| !name.eq_ignore_ascii_case(host)) {
                return None;
            }
            path = behind;
        }
        let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
        Some(&path[slashes.saturating_sub(1)..])
    }

    fn request(&mut self, path: &[u8]) -> Result<(), (Reason, Option<String>)> {
        let asked = self
            .rules
            .request_target(path)
            .map_err(|error| (Reason::BadTarget(error.kind()), Some(error.to_string())))?;
        let number = self.requests.count;
        self.requests.count += 1;
        let filled = match self.index.lookup(&self.tenant, &asked.origin, &asked.variant) {
            Lookup::Live(filled) | Lookup::Stale(filled) => {
                self.requests.hits += 1;
                filled
            }
            Lookup::Miss => {
                let lease = self.index.lease(&self.tenant, &asked.origin);
                let stored = lease.commit(&asked.variant, number).is_stored();
                debug_assert!(stored, "nothing runs beside this thread, and there are no limits");
                number
            }
        };
        if let Some(of_unruled) = self.unruled.get(path) {
            self.requests.hits_without_rules += 1;
            // What was filled before the index had to fill it anew is older than a purge of it.
            self.requests.old_without_rules += u64::from(*of_unruled < filled);
        } else {
            self.unruled.insert(path.into(), number);
        }
        let seen = self.seen.insert(&self.seen_tenant, &asked.origin, &asked.variant, ());
        if matches!(seen, cache_index::Insertion::Stored(stored) if stored.replaced.is_none()) {
            match self.variants.get_mut(asked.origin.as_str()) {
                Some(count) => *count += 1,
                None => drop(self.variants.insert(asked.origin.as_str().into(), 1)),
            }
        }
        if self.requests.count - self.looked_at == LOOK {
            self.look();
        }
        Ok(())
    }

    fn purge(&mut self, path: &[u8]) -> Result<(), InvalidationError> {
        let builder = || InvalidationRequest::builder(&self.rules);
        // A purge with operations behind the picture is one of that variant.
        let request = match builder().original([path]) {
            Err(error) if kind(&error) == PathErrorKind::QueryNotAllowed => {
                builder().urls([path])?
            }
            read => read?,
        };
        self.look();
        let began = Instant::now();
        let receipt = self.index.apply(&self.tenant, &request);
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.purge_times.saturating_record(nanoseconds);
        self.purges.count += 1;
        self.purges.matched_nothing += receipt.matched_nothing() as u64;
        self.purges.removed += receipt.variants() as u64;
        drop(receipt);
        self.unruled.remove(path);
        Ok(())
    }

    /// Remembers the index at its largest.
    fn look(&mut self) {
        if self.looked_at == self.requests.count {
            return;
        }
        self.looked_at = self.requests.count;
        let stats = self.index.stats();
        if stats.live >= self.most.live {
            self.most = stats;
        }
    }

    pub(crate) fn finish(mut self, ended_early: Option<String>) -> Report {
        self.look();
        let replayed = self.started.elapsed();
        let (passed_over, unreadable): (Vec<_>, Vec<_>) =
            self.others.into_iter().partition(|(reason, _)| reason.is_passed_over());
        let listed = |others: Vec<(Reason, Example)>| {
            let mut others: Vec<_> = others.into_iter().map(|(_, example)| example).collect();
            others.sort_by_key(|example| std::cmp::Reverse(example.count));
            others
        };
        let quantile = |q| self.purge_times.value_at_quantile(q);
        Report {
            lines: Lines {
                count: self.lines,
                passed_over: listed(passed_over),
                unreadable: listed(unreadable),
                ended_early,
            },
            rate: rate(&self.per_second, self.lines, replayed),
            requests: self.requests,
            pictures: pictures(self.variants),
            memory: Memory { most_entries: self.most.live as u64, bytes: self.most.bytes as u64 },
            purges: (self.purges.count > 0).then(|| Purges {
                p50_ns: quantile(0.5),
                p99_ns: quantile(0.99),
                max_ns: self.purge_times.max(),
                ..self.purges
            }),
        }
    }
}

fn kind(error: &InvalidationError) -> PathErrorKind {
    // A list of one can only be wrong in its entry; and without operations of its own, a wildcard is one that the rules allow.
    error.path_error().map_or(PathErrorKind::WildcardNotAllowed, PathError::kind)
}

fn reason_of(error: &InvalidationError) -> String {
    error.path_error().map_or_else(|| error.to_string(), ToString::to_string)
}

fn rate(per_second: &BTreeMap<i64, u64>, lines: u64, replayed: Duration) -> Option<Rate> {
    let (first, last) = (*per_second.first_key_value()?.0, *per_second.last_key_value()?.0);
    let (busiest, most) = per_second.iter().max_by_key(|(_, count)| **count)?;
    let seconds = last.abs_diff(first) + 1;
    let microseconds = u64::try_from(replayed.as_micros()).unwrap_or(u64::MAX).max(1);
    Some(Rate {
        first: second(first),
        last: second(last),
        mean_per_second: ratio(per_second.values().sum(), seconds),
        busiest_second: second(*busiest),
        most_per_second: *most,
        replayed_lines_per_second: ratio(lines, microseconds) * 1e6,
    })
}

fn second(second: i64) -> String {
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |time| time.to_string())
}

fn pictures(variants: HashMap<Box<str>, u64>) -> Pictures {
    let mut by_count: Vec<_> = variants.into_iter().collect();
    // The path decides between equals, so that a log always gives the same report.
    by_count.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    // Nearest rank: the smallest count that so many of a hundred pictures do not exceed.
    let percentile = |percent: usize| {
        let beyond = by_count.len() - (by_count.len() * percent).div_ceil(100).max(1);
        by_count[beyond].1
    };
    let any = !by_count.is_empty();
    Pictures {
        count: by_count.len() as u64,
        variants: by_count.iter().map(|(_, count)| count).sum(),
        median: if any { percentile(50) } else { 0 },
        p99: if any { percentile(99) } else { 0 },
        max: by_count.first().map_or(0, |(_, count)| *count),
        worst: by_count
            .iter()
            .take(WORST)
            .map(|(path, count)| (path.to_string(), *count))
            .collect(),
    }
}
