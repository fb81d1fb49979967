//! Gzip data of any number of members, with whatever stands behind them.
//!
//! Zero bytes behind a member are padding. Other bytes that do not begin a member end the data,
//! with a note.

use super::format::GZIP;
use flate2::bufread::GzDecoder;
use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// Remarks on a log that was read in spite of them.
pub(crate) type Notes = Rc<RefCell<Vec<String>>>;

/// Decompresses one member after the other.
pub(crate) struct Members<R> {
    /// `None` behind the last member.
    member: Option<GzDecoder<R>>,
    notes: Notes,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(source: R, notes: Notes) -> Self {
        Self { member: Some(GzDecoder::new(source)), notes }
    }

    /// Returns `source` if it goes on with another member.
    fn next(&self, mut source: R) -> io::Result<Option<R>> {
        pass_zeros(&mut source)?;
        let begin = source.fill_buf()?;
        // The second byte can be beyond the end of the buffer; the decoder looks at it.
        if begin.len() < GZIP.len() && begin.first() == GZIP.first() || begin.starts_with(&GZIP) {
            return Ok(Some(source));
        }
        let others = io::copy(&mut source, &mut io::sink())?;
        if others > 0 {
            let note =
                format!("{others} bytes behind the gzip data are not gzip data, and were not read");
            self.notes.borrow_mut().push(note);
        }
        Ok(None)
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let len = member.read(into).map_err(plain)?;
            if len > 0 || into.is_empty() {
                return Ok(len);
            }
            let source = self.member.take().map(GzDecoder::into_inner);
            self.member = match source {
                Some(source) => self.next(source)?.map(GzDecoder::new),
                None => None,
            };
        }
        Ok(0)
    }
}

/// Replaces the messages of the decoder by ones for users of this program.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "gzip data is cut off"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            io::Error::new(error.kind(), format!("gzip data is damaged: {error}"))
        }
        _ => error,
    }
}

/// Passes over zero bytes, and returns how many there were.
pub(crate) fn pass_zeros(source: &mut (impl BufRead + ?Sized)) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let chunk = source.fill_buf()?;
        let zeros = chunk.iter().take_while(|&&byte| byte == 0).count();
        let is_last = zeros < chunk.len() || chunk.is_empty();
        source.consume(zeros);
        count += zeros as u64;
        if is_last {
            return Ok(count);
        }
    }
}
