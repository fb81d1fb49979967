//! Several logs as one, in the order of time.
//!
//! The shell sorts `access.log access.log.1 access.log.2.gz` newest first, and the logs of several
//! servers overlap. Each log waits with its next line until no other has an older one. A log is
//! opened when its first date has come, so that hundreds of logs which follow each other take the
//! memory of one. A log that cannot be read ends there; the rest is read.

use super::date::Dates;
use super::format::Format;
use super::input::{LONGEST, Log};
use super::line;
use indicatif::ProgressBar;
use std::io;
use std::path::{Path, PathBuf};
use streams::visible;

/// How many bytes of a log are searched for its first date.
const SEARCHED: usize = 1 << 20;

/// Logs that are being merged.
pub(crate) struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// Which source the last line was of.
    last: Option<usize>,
    bar: &'a ProgressBar,
    dates: Dates,
    /// Why a log was not read to its end, for each that was not.
    pub(crate) failures: Vec<String>,
    /// Remarks about the logs that were read.
    pub(crate) notes: Vec<String>,
}

struct Source<'a> {
    path: &'a Path,
    /// The latest date of the lines so far. Lines without one go with the line in front of them.
    second: i64,
    state: State,
    lines: u64,
}

enum State {
    Waiting,
    Open(Log, Vec<u8>),
    Ended,
}

/// A line, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'m> {
    pub(crate) text: &'m [u8],
    /// The path of the log, if it is one of several.
    pub(crate) log: Option<&'m Path>,
    /// The number of the line in its log, from 1 on.
    pub(crate) number: u64,
    /// The format of the log, if it is not NCSA.
    pub(crate) format: Option<Format>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(paths: &'a [PathBuf], bar: &'a ProgressBar) -> Self {
        let is_one = paths.len() == 1;
        let sources = paths.iter().map(|path| Source {
            path,
            second: if is_one { i64::MIN } else { first_second(path).unwrap_or(i64::MIN) },
            state: State::Waiting,
            lines: 0,
        });
        Self {
            sources: sources.collect(),
            last: None,
            bar,
            dates: Dates::default(),
            failures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Returns the next line, in the order of time.
    pub(crate) fn next(&mut self) -> Option<Entry<'_>> {
        if let Some(last) = self.last {
            self.advance(last);
        }
        let at = loop {
            let waiting = self.sources.iter().enumerate();
            let waiting = waiting.filter(|(_, source)| !matches!(source.state, State::Ended));
            // Among equal times, the first log.
            let (at, source) = waiting.min_by_key(|(_, source)| source.second)?;
            if matches!(source.state, State::Open(..)) {
                break at;
            }
            self.open(at);
        };
        self.last = Some(at);
        let is_one = self.sources.len() == 1;
        let source = &self.sources[at];
        let State::Open(log, text) = &source.state else { return None };
        let (log, format) = ((!is_one).then_some(source.path), log.format());
        Some(Entry { text, log, number: source.lines, format })
    }

    fn open(&mut self, at: usize) {
        match Log::open(self.sources[at].path, self.bar) {
            Ok(log) => {
                self.sources[at].state = State::Open(log, Vec::new());
                self.advance(at);
            }
            Err(error) => self.fail(at, &error),
        }
    }

    /// Reads the next line of a log that is open.
    fn advance(&mut self, at: usize) {
        let is_one = self.sources.len() == 1;
        let source = &mut self.sources[at];
        let State::Open(log, text) = &mut source.state else { return };
        match log.next_line(text) {
            Ok(true) => {
                source.lines += 1;
                let second = if is_one { None } else { line::second(text, &mut self.dates) };
                source.second = second.map_or(source.second, |second| second.max(source.second));
            }
            Ok(false) => self.end(at),
            Err(error) => self.fail(at, &error),
        }
    }

    fn end(&mut self, at: usize) {
        let source = &mut self.sources[at];
        if let State::Open(log, _) = &source.state {
            let path = visible(&source.path.display().to_string());
            self.notes.extend(log.notes().iter().map(|note| format!("{path}: {note}")));
        }
        source.state = State::Ended;
    }

    fn fail(&mut self, at: usize, error: &io::Error) {
        self.end(at);
        let path = visible(&self.sources[at].path.display().to_string());
        self.failures.push(format!("{path}: {error}"));
    }
}

/// The first date of a log that can be read twice. One that cannot be, such as a pipe, is opened at
/// once, and shows it then.
fn first_second(path: &Path) -> Option<i64> {
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut log = is_file.then(|| Log::open(path, &ProgressBar::hidden()).ok()).flatten()?;
    let (mut line, mut dates, mut searched) = (Vec::new(), Dates::default(), 0);
    while searched < SEARCHED && log.next_line(&mut line).ok()? {
        if let Some(second) = line::second(&line, &mut dates) {
            return Some(second);
        }
        searched += line.len().min(LONGEST) + 1;
    }
    None
}
