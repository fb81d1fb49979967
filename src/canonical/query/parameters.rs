//! The parameters of delivery URLs: one row each, with the source that documents it.
//!
//! Invariant: a parameter that changes the response in any way is part of the key; only parameters
//! without effect are dropped. Not here: their values, which are opaque. No number, color, case or
//! synonym is normalized.

use super::super::text::scan;

/// The effect of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::canonical) enum Effect {
    /// The bytes of the picture.
    Image,
    /// The headers of the response, or its lifetime.
    Response,
    /// No effect, but each value requests a separate copy.
    Copy,
    /// The bytes of the picture; its value may hold the flag of
    /// [`PathEncoding`](Self::PathEncoding).
    Sealed,
    /// No effect: the parameter is dropped.
    Signature,
    /// No effect if its value is `1`: the path is then encoded as a whole, and the flag is dropped.
    PathEncoding,
}

/// A parameter of delivery URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) struct Parameter {
    /// Its canonical name.
    pub(in crate::canonical) name: &'static str,
    /// Another name that means the same.
    pub(in crate::canonical) alias: Option<&'static str>,
    /// Its effect.
    pub(in crate::canonical) effect: Effect,
    /// The source that documents it or shows its use.
    pub(in crate::canonical) source: &'static str,
}

/// The list of parameters in the Ruby client.
const RUBY: &str = "github.com/scaleflex/cloudimage-rb, lib/cloudimage/params.rb";
/// The list of parameters in a client for many services.
const UNPIC: &str = "github.com/ascorbic/unpic, src/providers/cloudimage.ts";
const DOCS: &str = "docs.cloudimage.io, image transformations";
const FIT: &str = "docs.cloudimage.io, image resizing, fit";
const WATERMARK: &str = "docs.cloudimage.io, dynamic watermark";
const WARMUP: &str = "docs.cloudimage.io, warmup API";
const PRESETS: &str = "docs.cloudimage.io, shortening URLs, presets";
const CDN: &str = "docs.cloudimage.io, CDN basics";
const INTERVAL: &str = "docs.cloudimage.io, caching interval";
const SECURITY: &str = "docs.cloudimage.io, token security";
const URL_API: &str = "docs.cloudimage.io, implementation, URL API";

const fn row(
    name: &'static str,
    alias: Option<&'static str>,
    effect: Effect,
    source: &'static str,
) -> Parameter {
    Parameter { name, alias, effect, source }
}

const fn image(name: &'static str, source: &'static str) -> Parameter {
    row(name, None, Effect::Image, source)
}

const fn aliased(name: &'static str, alias: &'static str, source: &'static str) -> Parameter {
    row(name, Some(alias), Effect::Image, source)
}

/// All known parameters, in their order in a key: sorted by name. Unknown ones follow in the key,
/// with their names and order unchanged.
pub(in crate::canonical) const PARAMETERS: &[Parameter] = &[
    image("ar", DOCS),
    // `ar` may be short for `aspect_ratio`; this is not documented, so they are two parameters.
    image("aspect_ratio", DOCS),
    image("bg_blur", RUBY),
    aliased("bg_color", "bg_colour", FIT),
    aliased("bg_colorize", "bg_colourise", FIT),
    image("bg_gravity", DOCS),
    image("bg_img_fit", RUBY),
    image("bg_opacity", RUBY),
    image("blur", RUBY),
    image("blur_faces", RUBY),
    image("br_px", RUBY),
    image("bright", RUBY),
    row("ci_cache", None, Effect::Response, INTERVAL),
    row("ci_eqs", None, Effect::Sealed, SECURITY),
    row("ci_info", None, Effect::Response, RUBY),
    row("ci_seal", None, Effect::Signature, SECURITY),
    row("ci_sign", None, Effect::Signature, SECURITY),
    row("ci_url_encoded", None, Effect::PathEncoding, URL_API),
    image("contrast", RUBY),
    image("doc_page", RUBY),
    image("dpr", DOCS),
    image("f", RUBY),
    image("face_margin", UNPIC),
    image("fit_enlarge", FIT),
    image("flip", UNPIC),
    row("force_download", None, Effect::Response, DOCS),
    image("force_format", RUBY),
    image("func", RUBY),
    image("gravity", RUBY),
    aliased("gray", "grey", RUBY),
    aliased("h", "height", RUBY),
    image("margin", FIT),
    image("optipress", RUBY),
    image("org_if_sml", RUBY),
    image("p", PRESETS),
    aliased("pixelate", "pixellate", WARMUP),
    image("process", RUBY),
    image("q", RUBY),
    image("r", RUBY),
    image("radius", RUBY),
    image("sharp", RUBY),
    image("tl_px", RUBY),
    image("trim", RUBY),
    row("vh", None, Effect::Copy, CDN),
    aliased("w", "width", RUBY),
    image("wat", RUBY),
    aliased("wat_color", "wat_colour", RUBY),
    image("wat_font", WATERMARK),
    image("wat_fontsize", WATERMARK),
    image("wat_gravity", WATERMARK),
    image("wat_opacity", WATERMARK),
    image("wat_pad", WATERMARK),
    image("wat_pos", WATERMARK),
    image("wat_scale", WATERMARK),
    image("wat_text", WATERMARK),
    image("wat_url", WATERMARK),
];

/// The meaning of a name for the key: the row of its parameter in the highest bits, and two flags
/// in the lowest bits. The bits between them are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) struct Meaning(pub(in crate::canonical) u64);

impl Meaning {
    /// Not in the table.
    pub(in crate::canonical) const UNKNOWN: Self = Self(u64::MAX << Self::ROW);
    /// The position of the row.
    pub(in crate::canonical) const ROW: u32 = u64::BITS - 6;
    /// Set if the name is an alias.
    pub(in crate::canonical) const ALIAS: u64 = 1;
    /// Set if the parameter may be dropped, or may mark the path as encoded.
    const SPECIAL: u64 = 2;

    /// Returns the position in the order of a key, counted from one.
    #[inline]
    pub(in crate::canonical) fn rank(self) -> u64 {
        (self.0 >> Self::ROW) + 1
    }

    /// Returns whether the parameter stays the same, whatever its value.
    #[inline]
    pub(in crate::canonical) fn is_settled(self) -> bool {
        self.0 & (Self::ALIAS | Self::SPECIAL) == 0
    }

    #[inline]
    pub(in crate::canonical) fn is_known(self) -> bool {
        self.0 < Self::UNKNOWN.0
    }

    #[inline]
    pub(in crate::canonical) fn is_special(self) -> bool {
        self.0 & Self::SPECIAL != 0
    }

    /// Returns the parameter of a known name.
    pub(in crate::canonical) fn parameter(self) -> &'static Parameter {
        &PARAMETERS[(self.0 >> Self::ROW) as usize]
    }
}

/// A name with its first eight bytes as a number, and its meaning.
#[derive(Clone, Copy)]
struct Name {
    word: u64,
    text: &'static str,
    meaning: Meaning,
}

const NO_NAME: Name = Name { word: 0, text: "", meaning: Meaning::UNKNOWN };

/// All names of the table: each parameter has one, and seven have two.
const NAMES: [Name; PARAMETERS.len() + 7] = {
    let mut names = [NO_NAME; PARAMETERS.len() + 7];
    let (mut len, mut row) = (0, 0);
    while row < PARAMETERS.len() {
        let Parameter { name, alias, effect, .. } = PARAMETERS[row];
        let meaning = (row as u64) << Meaning::ROW;
        let is_special =
            matches!(effect, Effect::Sealed | Effect::Signature | Effect::PathEncoding);
        let flags = if is_special { Meaning::SPECIAL } else { 0 };
        names[len] = named(name, meaning | flags);
        len += 1;
        if let Some(alias) = alias {
            names[len] = named(alias, meaning | flags | Meaning::ALIAS);
            len += 1;
        }
        row += 1;
    }
    assert!(len == names.len(), "another number of aliases");
    names
};

const fn named(text: &'static str, meaning: u64) -> Name {
    let (mut word, mut at) = (0, 0);
    while at < text.len() && at < size_of::<u64>() {
        word |= (text.as_bytes()[at] as u64) << (8 * at);
        at += 1;
    }
    Name { word, text, meaning: Meaning(meaning) }
}

/// Each name in a slot of its own, so that a text is compared with only one name.
static TABLE: [Name; 1 << TABLE_BITS] = {
    let mut table = [NO_NAME; 1 << TABLE_BITS];
    let mut i = 0;
    while i < NAMES.len() {
        table[slot(FACTOR, NAMES[i].word, NAMES[i].text.len())] = NAMES[i];
        i += 1;
    }
    table
};
const TABLE_BITS: u32 = 9;

/// The first factor for which no two names share a slot.
const FACTOR: u64 = {
    let mut factor = 0x9E37_79B9_7F4A_7C15;
    while has_collisions(factor) {
        factor = factor.wrapping_mul(0x5851_F42D_4C95_7F2D);
    }
    factor
};

const fn has_collisions(factor: u64) -> bool {
    let mut taken = [false; 1 << TABLE_BITS];
    let mut i = 0;
    while i < NAMES.len() {
        let slot = slot(factor, NAMES[i].word, NAMES[i].text.len());
        if taken[slot] {
            return true;
        }
        taken[slot] = true;
        i += 1;
    }
    false
}

#[inline]
const fn slot(factor: u64, word: u64, len: usize) -> usize {
    (word.wrapping_add(len as u64).wrapping_mul(factor) >> (u64::BITS - TABLE_BITS)) as usize
}

/// Returns the meaning of the name `text[start..end]`, whose escapes are normalized.
#[inline]
pub(in crate::canonical) fn meaning(text: &[u8], start: usize, end: usize) -> Meaning {
    let name = &text[start..end];
    let word = first_bytes(scan::word(text, start), name.len());
    let known = &TABLE[slot(FACTOR, word, name.len())];
    let is_alike = (known.word == word) & (known.text.len() == name.len());
    let is_known = is_alike && (name.len() <= 8 || known.text.as_bytes() == name);
    // The names in a query cannot be predicted, so this must not branch.
    if is_known { known.meaning } else { Meaning::UNKNOWN }
}

/// Returns the first `len` bytes of a word, followed by zeros.
#[inline]
fn first_bytes(word: u64, len: usize) -> u64 {
    if len < 8 { word & !(u64::MAX << (8 * len)) } else { word }
}

/// Returns whether a parameter of that name is in the table.
pub(in crate::canonical) fn is_known(name: &[u8]) -> bool {
    meaning(name, 0, name.len()).is_known()
}

/// Returns the name by which a parameter is sorted and found.
pub(in crate::canonical) fn canonical_name(name: &[u8]) -> &[u8] {
    let meaning = meaning(name, 0, name.len());
    if meaning.is_known() { meaning.parameter().name.as_bytes() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(name: &[u8]) -> Meaning {
        meaning(name, 0, name.len())
    }

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(PARAMETERS.is_sorted_by(|one, next| one.name < next.name));
        let names: std::collections::HashSet<_> = NAMES.iter().map(|name| name.text).collect();
        assert_eq!(names.len(), NAMES.len());
        assert!(NAMES.iter().all(|name| name.meaning.is_known()));
    }

    #[test]
    fn each_name_has_the_meaning_of_its_row() {
        for (row, parameter) in PARAMETERS.iter().enumerate() {
            for (name, is_alias) in [(Some(parameter.name), false), (parameter.alias, true)] {
                let Some(name) = name else { continue };
                let meaning = meaning_of(name.as_bytes());
                assert_eq!((meaning.0 >> Meaning::ROW) as usize, row);
                assert_eq!(meaning.0 & Meaning::ALIAS != 0, is_alias);
                let is_special = name.starts_with("ci_") && !matches!(name, "ci_cache" | "ci_info");
                assert_eq!(meaning.is_special(), is_special, "{name}");
            }
        }
        for name in ["", "W", "quality", "wat_", "wat_fontsizf", "widths", "ci_signature_of_all"] {
            assert_eq!(meaning_of(name.as_bytes()), Meaning::UNKNOWN, "{name}");
            assert_eq!(canonical_name(name.as_bytes()), name.as_bytes());
        }
    }

    #[test]
    fn seven_parameters_have_two_names() {
        let aliased = PARAMETERS.iter().filter_map(|p| Some((p.alias?, p.name)));
        let expected = [
            ("bg_colour", "bg_color"),
            ("bg_colourise", "bg_colorize"),
            ("grey", "gray"),
            ("height", "h"),
            ("pixellate", "pixelate"),
            ("width", "w"),
            ("wat_colour", "wat_color"),
        ];
        assert!(aliased.eq(expected));
        assert!(
            expected
                .iter()
                .all(|(alias, name)| canonical_name(alias.as_bytes()) == name.as_bytes())
        );
    }
}
