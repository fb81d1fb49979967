//! Logs, compressed or not, line by line.
//!
//! Invariant: no line takes more memory than [`LONGEST`], however long it is, and none is lost: what ends a log early is an error.

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

/// The longest line that is read; the longest of a server with usual limits is some 8 KiB.
pub(crate) const LONGEST: usize = 1 << 16;

/// Standard input, as a path.
const STDIN: &str = "-";

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

/// Opens a log, or standard input. Whether it is compressed is seen from its first two bytes.
pub(crate) fn open(log: &Path, bar: &ProgressBar) -> io::Result<Box<dyn BufRead>> {
    let source: Box<dyn Read> =
        if log == Path::new(STDIN) { Box::new(io::stdin()) } else { Box::new(File::open(log)?) };
    let mut source = BufReader::with_capacity(1 << 17, bar.wrap_read(source));
    let mut head = Vec::new();
    source.by_ref().take(2).read_to_end(&mut head)?;
    let is_gzip = head == [0x1F, 0x8B];
    let source = BufReader::with_capacity(1 << 17, io::Cursor::new(head).chain(source));
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(1 << 17, MultiGzDecoder::new(source)))
    } else {
        Box::new(source)
    })
}

/// Reads the next line into `line`, without its end. Says whether there was one; of one that is too long, what fits is there, and one
/// byte more.
pub(crate) fn next_line(log: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut some = false;
    loop {
        let chunk = match log.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(some);
        }
        some = true;
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let text = &chunk[..end.unwrap_or(chunk.len())];
        let room = (LONGEST + 1).saturating_sub(line.len());
        line.extend_from_slice(&text[..text.len().min(room)]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        log.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
