//! Replays a log on an index: GET lines are looked up, and stored where they miss; PURGE lines are
//! invalidations.
//!
//! A cache without rules runs beside the index. Its key is the target as it was sent, and a purge
//! removes only entries with the same spelling. Both keep everything that they are not told to
//! drop. The difference between them is the benefit of the rules.

use super::date::Dates;
use super::format::Format;
use super::host;
use super::line::Line;
use super::merge::Entry;
use super::picture::{self, has_ending_of_picture};
use super::reason::Reason;
use super::report::{
    BackInTime, Counted, Example, Lines, Memory, Pictures, Place, Purges, Rate, Report, Requests,
    ratio,
};
use cache_index::canonical::{PathError, PathErrorKind, Rules};
use cache_index::invalidation::{InvalidationError, InvalidationRequest};
use cache_index::{CacheIndex, Config, ConfigError, Lookup, Stats, Tenant, WhenFull};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The size of the index is recorded after this number of requests, and before each purge, which
/// may reduce it.
const LOOK: u64 = 1000;

/// How many of the pictures with the most variants are named.
const WORST: usize = 10;

/// The lines that count, and their kinds.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The only host whose lines count.
    pub(crate) host: Option<String>,
    /// Where GET lines are purges, with a slash at both ends.
    pub(crate) purge_path: Option<String>,
    /// Whether names without the ending of a picture are passed over.
    pub(crate) only_images: bool,
}

/// Where many servers have their purges. The lines that ask for it are noted if no `purge_path` is
/// given.
const USUAL_PURGE_PATH: &[u8] = b"/purge/";

pub(crate) struct Replay {
    rules: Rules,
    options: Options,
    dates: Dates,
    /// Which request filled an entry.
    index: CacheIndex<u64>,
    tenant: Tenant,
    /// Every variant that was ever requested; it is never purged.
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
    requests_of_other_names: u64,
    /// Requests below [`USUAL_PURGE_PATH`].
    like_purges: u64,
    latest: i64,
    back: Option<BackInTime>,
    most: Stats,
    /// After how many requests the size of the index was looked at.
    looked_at: u64,
    started: Instant,
}

impl Replay {
    pub(crate) fn new(rules: Rules, options: Options) -> Result<Self, ConfigError> {
        // Entries that are to be planned for must not be cut off.
        let config = || Config::builder().max_variants(usize::MAX, WhenFull::Refuse).build();
        let (index, seen) = (CacheIndex::new(config()?), CacheIndex::new(config()?));
        Ok(Self {
            rules,
            options,
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
            // From 1 ns to 1 h, with a precision of 0.1 %; a longer time counts as 1 h.
            purge_times: Histogram::new_with_max(3_600_000_000_000, 3)
                .expect("these bounds are in order"),
            requests_of_other_names: 0,
            like_purges: 0,
            latest: i64::MIN,
            back: None,
            most: Stats::default(),
            looked_at: 0,
            started: Instant::now(),
        })
    }

    /// Takes one line, without its end.
    pub(crate) fn line(&mut self, entry: Entry<'_>) {
        self.lines += 1;
        if let Err((reason, detail)) = self.take(entry) {
            let place = || Place::new(self.lines, entry);
            let example = self.others.entry(reason);
            example.or_insert_with(|| Example::new(reason, place(), entry.text, detail)).count += 1;
        }
    }

    fn take(&mut self, entry: Entry<'_>) -> Result<(), (Reason, Option<String>)> {
        let line = self.read(entry).map_err(|reason| (reason, None))?;
        self.follow_time(line.second, entry);
        let is_get = match &*line.method {
            b"GET" => true,
            b"PURGE" => false,
            _ => return Err((Reason::OtherMethod, None)),
        };
        let path = path(&line.target);
        let below = if is_get { self.below_purge_path(path) } else { Some(path) };
        let served = matches!(line.status, 200 | 206 | 304);
        // Servers answer 404 and 412 if there was nothing to purge.
        let purged = matches!(line.status, 200..=299 | 404 | 412);
        match below {
            Some(_) if !purged => return Err((Reason::RefusedPurge, None)),
            None if !served => return Err((Reason::OtherStatus, None)),
            _ => {}
        }
        if self.options.host.as_ref().is_some_and(|host| host::is_other(host.as_bytes(), &line)) {
            return Err((Reason::OtherHost, None));
        }
        let named = below.unwrap_or(path);
        let is_folder = below.is_some() && named.ends_with(b"*");
        if self.options.only_images && !is_folder && !has_ending_of_picture(named) {
            return Err((Reason::NotImage, None));
        }
        if let Some(path) = below {
            self.purge(path)
        } else {
            self.request(path)?;
            *self.per_second.entry(line.second).or_default() += 1;
            Ok(())
        }
    }

    fn read<'e>(&mut self, entry: Entry<'e>) -> Result<Line<'e>, Reason> {
        if entry.format == Some(Format::Utf16) {
            return Err(Reason::Foreign(Format::Utf16));
        }
        if entry.text.len() > super::input::LONGEST {
            return Err(Reason::TooLong);
        }
        // A line without a date is one of the format with which its log begins.
        Line::read(entry.text, &mut self.dates).map_err(|reason| match entry.format {
            Some(format) if reason == Reason::NoDate => Reason::Foreign(format),
            _ => reason,
        })
    }

    /// Notes how far a line is behind the latest one.
    fn follow_time(&mut self, second: i64, entry: Entry<'_>) {
        if second < self.latest {
            let first = || Place::new(self.lines, entry);
            let back = self.back.get_or_insert_with(|| BackInTime {
                seconds: 0,
                lines: 0,
                first: first(),
            });
            back.seconds = back.seconds.max(self.latest.abs_diff(second));
            back.lines += 1;
        }
        self.latest = self.latest.max(second);
    }

    /// Returns the target that a GET line purges, if it does.
    fn below_purge_path<'t>(&mut self, path: &'t [u8]) -> Option<&'t [u8]> {
        if let Some(purge_path) = &self.options.purge_path {
            let below = path.strip_prefix(purge_path.as_bytes())?;
            // With the slash in front.
            return Some(&path[path.len() - below.len() - 1..]);
        }
        self.like_purges += u64::from(path.starts_with(USUAL_PURGE_PATH));
        None
    }

    fn request(&mut self, path: &[u8]) -> Result<(), (Reason, Option<String>)> {
        let asked = self
            .rules
            .request_target(path)
            .map_err(|error| (Reason::BadTarget(error.kind()), Some(error.to_string())))?;
        self.requests_of_other_names +=
            u64::from(!has_ending_of_picture(asked.origin.as_str().as_bytes()));
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
            // An entry that was filled before the index had to fill it again is older than a purge
            // of it.
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

    fn purge(&mut self, path: &[u8]) -> Result<(), (Reason, Option<String>)> {
        let request = self
            .purge_request(path)
            .map_err(|error| (Reason::BadPurge(kind(&error)), Some(reason_of(&error))))?;
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

    fn purge_request(&self, path: &[u8]) -> Result<InvalidationRequest, InvalidationError> {
        let builder = || InvalidationRequest::builder(&self.rules);
        // A purge with operations behind the picture is one of that variant.
        match builder().original([path]) {
            Err(error) if kind(&error) == PathErrorKind::QueryNotAllowed => builder().urls([path]),
            read => read,
        }
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

    /// Returns the report. `failures` are of logs that were not read to their ends.
    pub(crate) fn finish(mut self, failures: Vec<String>, mut notes: Vec<String>) -> Report {
        self.look();
        notes.extend(self.note_on_purges());
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
                ended_early: failures.first().cloned(),
                failures,
                time_goes_back: self.back,
            },
            counted: Counted {
                as_pictures: picture::counted(self.options.only_images),
                requests_of_other_names: self.requests_of_other_names,
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
            notes,
        }
    }

    fn note_on_purges(&self) -> Option<String> {
        (self.like_purges > 0).then(|| {
            let count = self.like_purges;
            format!("GET lines are requests, also those below /purge/ ({count} here); --purge-path /purge/ makes purges of them")
        })
    }
}

/// The target without scheme and host, with one slash in front.
fn path(target: &[u8]) -> &[u8] {
    let (_, path) = host::split_target(target);
    // `--purge-path` is compared with the path behind all leading slashes but one.
    let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
    &path[slashes.saturating_sub(1)..]
}

fn kind(error: &InvalidationError) -> PathErrorKind {
    // A list of one can only be wrong in its entry; and without operations of its own, a wildcard
    // is one that the rules allow.
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
    // The path decides between equal counts, so that a log always has the same report.
    by_count.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    // Nearest rank: the smallest count that this percentage of pictures does not exceed.
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
