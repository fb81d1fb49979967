//! Logs, compressed or not, line by line.
//!
//! Invariant: no line takes more memory than [`LONGEST`], however long it is, and no line is lost:
//! the early end of a log is an error.

use super::format::{self, Format};
use super::gzip::{Members, Notes, pass_zeros};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;

/// The longest line that is read; the longest of a server with usual limits is some 8 KiB.
pub(crate) const LONGEST: usize = 1 << 16;

/// Standard input, as a path.
const STDIN: &str = "-";

const BYTE_ORDER_MARK: [u8; 3] = *b"\xEF\xBB\xBF";

/// Shows on a terminal how far the logs have been read.
pub(crate) fn progress(logs: &[impl AsRef<Path>]) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let sizes: Option<u64> = logs
        .iter()
        .map(|log| std::fs::metadata(log).ok().filter(std::fs::Metadata::is_file))
        .map(|found| found.map(|metadata| metadata.len()))
        .sum();
    let (bar, template) = match sizes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes} of {total_bytes}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {elapsed}"),
    };
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// A log that is being read.
pub(crate) struct Log {
    text: Box<dyn BufRead>,
    /// The format of the first line, or of all, if it is not NCSA.
    format: Option<Format>,
    is_begun: bool,
    zeros: u64,
    notes: Notes,
}

impl Log {
    /// Opens a log, or standard input. Its first bytes show whether it is compressed, and in which
    /// way.
    pub(crate) fn open(log: &Path, bar: &ProgressBar) -> io::Result<Self> {
        let source: Box<dyn Read> = if log == Path::new(STDIN) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(log)?)
        };
        let notes = Notes::default();
        let (head, mut text) = peek(buffered(bar.wrap_read(source)));
        refuse(format::refusal(&head))?;
        if head.starts_with(&format::GZIP) {
            text = buffered(Members::new(text, notes.clone()));
        }
        let (mut head, mut text) = peek(text);
        if head.starts_with(&format::GZIP) {
            refuse(Some(
                "compressed twice: decompress it once, as in gzip -dc FILE | replay -".into(),
            ))?;
        }
        refuse(format::refusal(&head))?;
        let format = Format::of_text(&head);
        let mut zeros = 0;
        if head.starts_with(&[0]) && format.is_none() {
            zeros = pass_zeros(&mut *text)?;
            (head, text) = peek(text);
            refuse(format::refusal_behind_zeros(zeros, &head))?;
        }
        if head.starts_with(&BYTE_ORDER_MARK) {
            text.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { text, format, is_begun: false, zeros, notes })
    }

    /// Reads the next line into `line`, without its end. Returns whether there was one. A line that
    /// is too long is cut to the maximum length and one byte more. Zero bytes at the beginning of a
    /// line are skipped: a crash leaves them, and so does a log that was truncated while its writer
    /// had it open.
    pub(crate) fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let mut some = false;
        loop {
            let chunk = match self.text.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let is_end = chunk.is_empty();
            if !some && chunk.first() == Some(&0) {
                self.zeros += pass_zeros(&mut *self.text)?;
                continue;
            }
            some |= !is_end;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let text = &chunk[..end.unwrap_or(chunk.len())];
            let room = (LONGEST + 1).saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.text.consume(used);
            if end.is_some() || is_end {
                if !self.is_begun && some {
                    self.is_begun = true;
                    self.format = self.format.or_else(|| Format::of_line(line));
                }
                return Ok(some);
            }
        }
    }

    /// Returns the format of the log if it is not NCSA, as far as its beginning shows.
    pub(crate) fn format(&self) -> Option<Format> {
        self.format
    }

    /// Returns remarks about the log.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.borrow().clone();
        // In UTF-16, they are half of the text.
        if self.zeros > 0 && self.format != Some(Format::Utf16) {
            notes.push(format!("{} zero bytes in front of lines were passed over", self.zeros));
        }
        notes
    }
}

fn refuse(reason: Option<String>) -> io::Result<()> {
    reason.map_or(Ok(()), |reason| Err(io::Error::new(io::ErrorKind::InvalidData, reason)))
}

fn buffered(source: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(1 << 17, source))
}

/// The first bytes, and a reader of these and of all that follows. An error among them comes when
/// they have been read.
fn peek(mut source: Box<dyn BufRead>) -> (Vec<u8>, Box<dyn BufRead>) {
    let mut head = Vec::new();
    let error = source.by_ref().take(format::HEAD as u64).read_to_end(&mut head).err();
    let rest = match error {
        Some(error) => buffered(Failed(Some(error))),
        None => source,
    };
    (head.clone(), Box::new(Cursor::new(head).chain(rest)))
}

/// Fails once.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
