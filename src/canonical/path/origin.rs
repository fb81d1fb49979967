//! Third step: from the path of a request or an entry to the name of its origin.
//!
//! Invariant: the result is canonical. Read again, it has the same form and stays the same. Not
//! here: nested delivery URLs, which start over from the path; the pipeline does that.

use super::super::error::{Fault, Moved, Result};
use super::super::rules::Rules;
use super::super::text::bytes::ascii;
use super::super::text::scan;
use super::super::text::spelling::{IN_ORIGIN_QUERY, IN_PATH};
use super::super::text::writer::Writer;
use super::super::trace::{StepKind, Trace};
use super::escape::{normalize, position_before_normalizing, room_for, with_room};
use super::form::{Form, Shape};
use super::segments::{has_dot_segments, position_before_resolving, resolve_relative};
use std::borrow::Cow;

/// An origin whose form is known, not yet in its canonical spelling.
#[derive(Debug)]
pub(in crate::canonical) struct Origin<'t> {
    source: &'t [u8],
    own_query: Option<&'t [u8]>,
    text: Cow<'t, [u8]>,
    shape: Shape,
    /// Whether it is known that there are no dot segments.
    has_no_dots: bool,
}

impl<'t> Origin<'t> {
    /// Normalizes the escapes of `source` and determines the form of the result.
    pub(in crate::canonical) fn read(
        source: &'t [u8],
        own_query: Option<&'t [u8]>,
        rules: &Rules,
        trace: &mut impl Trace,
    ) -> Result<Self> {
        let back = |at| position_before_normalizing(source, &IN_PATH, at);
        let room = room_for(own_query);
        let text = normalize(source, &IN_PATH, room)?;
        trace.note(StepKind::Escapes, source, &text);
        let shape = shape_of(&text, rules).moved(back)?;
        let has_no_dots = shape.form == Form::Relative && !has_dot_segments(&text);
        if has_no_dots || shape.form != Form::Relative {
            return Ok(Self { source, own_query, text, shape, has_no_dots });
        }
        // Only now the first segment is known. The result has no dot segments, so a third pass is
        // not needed.
        let before = trace.keep(&text);
        let text = resolve_relative(with_room(text, room)).moved(back)?;
        trace.note(StepKind::DotSegments, &before, &text);
        let shape = shape_of(&text, rules).moved(|at| position_in(source, Form::Relative, at))?;
        Ok(Self { source, own_query, text: Cow::Owned(text), shape, has_no_dots: true })
    }

    /// Returns whether the origin starts with a scheme.
    pub(in crate::canonical) fn is_url(&self) -> bool {
        matches!(self.shape.form, Form::Url(_))
    }

    /// Returns whether the origin is a delivery URL of this tenant.
    pub(in crate::canonical) fn is_delivery_url(&self, rules: &Rules) -> bool {
        self.shape.host(&self.text).is_some_and(|(host, port)| rules.delivers_from(host, port))
    }

    /// Returns the path after the host, for an origin that is a delivery URL. Delivery URLs are
    /// never `ftp`.
    pub(in crate::canonical) fn path_of_delivery_url(&self) -> Result<&[u8]> {
        if self.shape.is_ftp() {
            Err(Fault::ForeignHost.at(0))
        } else {
            Ok(&self.text[self.shape.end()..])
        }
    }

    /// Returns the position in the source of byte `at` of that path.
    pub(in crate::canonical) fn position(&self, at: usize) -> usize {
        let at = at + self.shape.end();
        if matches!(self.text, Cow::Borrowed(_)) {
            return at;
        }
        let normal = normalize(self.source, &IN_PATH, 0);
        let resolved = normal.is_ok_and(|normal| normal != self.text);
        position_in(self.source, if resolved { Form::Relative } else { self.shape.form }, at)
    }

    /// Returns the origin in its canonical spelling, with its own query if it has one, and whether
    /// it is a prefix: if `allows_star`, a star at the end is removed and makes it one.
    pub(in crate::canonical) fn settle(
        self,
        allows_star: bool,
        rules: &Rules,
        trace: &mut impl Trace,
    ) -> Result<(Cow<'t, str>, bool)> {
        let Self { source, own_query, text, shape, has_no_dots } = self;
        let room = room_for(own_query);
        let mut text = shape
            .settle(text, has_no_dots, room, trace)
            .moved(|at| position_before_normalizing(source, &IN_PATH, at))?;
        if rules.has_prefix(&text) {
            return Err(Fault::PrefixIncluded.at(0));
        }
        if let Some(own_query) = own_query {
            let start = text.len();
            let mut out = Writer::behind(with_room(text, room));
            out.spell(&IN_ORIGIN_QUERY, own_query, 0, own_query.len())
                .moved(|at| source.len() + at)?;
            let out = out.finish();
            trace.note(StepKind::OwnQuery, own_query, &out[start..]);
            return Ok((ascii(Cow::Owned(out)), false));
        }
        let has_star = text.ends_with(b"*");
        match &mut text {
            // A raw star is also the last byte of the source: it is not written, and no text after
            // it is dropped.
            _ if has_star && !allows_star => {
                return Err(Fault::WildcardNotAllowed.at(source.len() - 1));
            }
            Cow::Borrowed(text) => *text = &text[..text.len() - usize::from(has_star)],
            Cow::Owned(text) => text.truncate(text.len() - usize::from(has_star)),
        }
        Ok((ascii(text), has_star))
    }
}

/// Returns the form of `text`. A delivery host of the rules is a host, whatever its shape.
fn shape_of(text: &[u8], rules: &Rules) -> Result<Shape> {
    let shape = Shape::of(text, rules.root)?;
    if shape.form == Form::Relative {
        let len = scan::find(text, b'/').unwrap_or(0);
        if rules.delivers_from_segment(&text[..len]) {
            return Ok(Shape::of_host(&text[..len]));
        }
    }
    Ok(shape)
}

/// Returns the position in `source` of byte `at` of the text that was read.
fn position_in(source: &[u8], form: Form, at: usize) -> usize {
    let before = match normalize(source, &IN_PATH, 0) {
        Ok(normal) if form == Form::Relative => position_before_resolving(&normal, at),
        _ => at,
    };
    position_before_normalizing(source, &IN_PATH, before)
}
