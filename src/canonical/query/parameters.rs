//! The parameters of delivery URLs: one row each, with the source that documents it.
//!
//! Invariant: a parameter that changes the response in any way is part of the key; only parameters
//! without effect are dropped. Not here: their values, which are opaque. No number, color, case or
//! synonym is normalized.

use super::super::text::scan;

/// The effect of a parameter that does more than select a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) enum Effect {
    /// Its value may hold the flag of [`PathEncoding`](Self::PathEncoding).
    Sealed,
    /// None: the parameter is dropped.
    Signature,
    /// None if its value is `1`: the path is then encoded as a whole, and the flag is dropped.
    PathEncoding,
}

/// A parameter of delivery URLs.
#[derive(Debug)]
pub(in crate::canonical) struct Parameter {
    /// Its canonical name, and another name that means the same, or an empty text.
    names: [&'static str; 2],
    pub(in crate::canonical) effect: Option<Effect>,
}

impl Parameter {
    pub(in crate::canonical) const fn name(&self) -> &'static str {
        self.names[0]
    }
}

const fn plain(name: &'static str) -> Parameter {
    aliased(name, "")
}

const fn aliased(name: &'static str, alias: &'static str) -> Parameter {
    Parameter { names: [name, alias], effect: None }
}

const fn special(name: &'static str, effect: Effect) -> Parameter {
    Parameter { names: [name, ""], effect: Some(effect) }
}

/// All known parameters, in their order in a key: sorted by name. Unknown ones follow in the key,
/// with their names and order unchanged.
///
/// Beside each is the place that documents it or shows its use: a page of docs.cloudimage.io, the
/// list in the Ruby client (`lib/cloudimage/params.rb` of github.com/scaleflex/cloudimage-rb), or
/// the list in a client for many services (`src/providers/cloudimage.ts` of
/// github.com/ascorbic/unpic). A parameter changes the picture, unless its row names something
/// else.
pub(in crate::canonical) const PARAMETERS: &[Parameter] = &[
    plain("ar"), // image transformations
    // `ar` may be short for `aspect_ratio`; this is not documented, so they are two parameters.
    plain("aspect_ratio"),                           // image transformations
    plain("bg_blur"),                                // Ruby
    aliased("bg_color", "bg_colour"),                // image resizing, fit
    aliased("bg_colorize", "bg_colourise"),          // image resizing, fit
    plain("bg_gravity"),                             // image transformations
    plain("bg_img_fit"),                             // Ruby
    plain("bg_opacity"),                             // Ruby
    plain("blur"),                                   // Ruby
    plain("blur_faces"),                             // Ruby
    plain("br_px"),                                  // Ruby
    plain("bright"),                                 // Ruby
    plain("ci_cache"),                               // the response: caching interval
    special("ci_eqs", Effect::Sealed),               // token security
    plain("ci_info"),                                // the response: Ruby
    special("ci_seal", Effect::Signature),           // token security
    special("ci_sign", Effect::Signature),           // token security
    special("ci_url_encoded", Effect::PathEncoding), // implementation, URL API
    plain("contrast"),                               // Ruby
    plain("doc_page"),                               // Ruby
    plain("dpr"),                                    // image transformations
    plain("f"),                                      // Ruby
    plain("face_margin"),                            // unpic
    plain("fit_enlarge"),                            // image resizing, fit
    plain("flip"),                                   // unpic
    plain("force_download"),                         // the response: image transformations
    plain("force_format"),                           // Ruby
    plain("func"),                                   // Ruby
    plain("gravity"),                                // Ruby
    aliased("gray", "grey"),                         // Ruby
    aliased("h", "height"),                          // Ruby
    plain("margin"),                                 // image resizing, fit
    plain("optipress"),                              // Ruby
    plain("org_if_sml"),                             // Ruby
    plain("p"),                                      // shortening URLs, presets
    aliased("pixelate", "pixellate"),                // warmup API
    plain("process"),                                // Ruby
    plain("q"),                                      // Ruby
    plain("r"),                                      // Ruby
    plain("radius"),                                 // Ruby
    plain("sharp"),                                  // Ruby
    plain("tl_px"),                                  // Ruby
    plain("trim"),                                   // Ruby
    plain("vh"),                                     // a separate copy: CDN basics
    aliased("w", "width"),                           // Ruby
    plain("wat"),                                    // Ruby
    aliased("wat_color", "wat_colour"),              // Ruby
    plain("wat_font"),                               // dynamic watermark
    plain("wat_fontsize"),                           // dynamic watermark
    plain("wat_gravity"),                            // dynamic watermark
    plain("wat_opacity"),                            // dynamic watermark
    plain("wat_pad"),                                // dynamic watermark
    plain("wat_pos"),                                // dynamic watermark
    plain("wat_scale"),                              // dynamic watermark
    plain("wat_text"),                               // dynamic watermark
    plain("wat_url"),                                // dynamic watermark
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

const TABLE_BITS: u32 = 9;
type Table = [Name; 1 << TABLE_BITS];

/// Each name in a slot of its own, so that a text is compared with only one name.
static TABLE: Table = FOUND.1;
const FACTOR: u64 = FOUND.0;

/// The first factor for which no two names share a slot, and its table.
const FOUND: (u64, Table) = {
    let mut factor = 0x9E37_79B9_7F4A_7C15;
    loop {
        if let Some(table) = table(factor) {
            break (factor, table);
        }
        factor = factor.wrapping_mul(0x5851_F42D_4C95_7F2D);
    }
};

/// Returns the names in their slots, or `None` if two names share a slot.
const fn table(factor: u64) -> Option<Table> {
    let mut table = [Name { word: 0, text: "", meaning: Meaning::UNKNOWN }; 1 << TABLE_BITS];
    let mut row = 0;
    while row < PARAMETERS.len() {
        let special = if PARAMETERS[row].effect.is_some() { Meaning::SPECIAL } else { 0 };
        let mut alias = 0;
        while alias < 2 && !PARAMETERS[row].names[alias].is_empty() {
            let text = PARAMETERS[row].names[alias];
            let word = first_word(text.as_bytes());
            let slot = &mut table[slot(factor, word, text.len())];
            if !slot.text.is_empty() {
                return None;
            }
            let flags = special | (alias as u64 * Meaning::ALIAS);
            *slot = Name { word, text, meaning: Meaning((row as u64) << Meaning::ROW | flags) };
            alias += 1;
        }
        row += 1;
    }
    Some(table)
}

const fn first_word(text: &[u8]) -> u64 {
    let (mut word, mut at) = (0, 0);
    while at < text.len() && at < size_of::<u64>() {
        word |= (text[at] as u64) << (8 * at);
        at += 1;
    }
    word
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
    if meaning.is_known() { meaning.parameter().name().as_bytes() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(name: &[u8]) -> Meaning {
        meaning(name, 0, name.len())
    }

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(PARAMETERS.is_sorted_by(|one, next| one.name() < next.name()));
        let slots: Vec<_> = TABLE.iter().filter(|slot| !slot.text.is_empty()).collect();
        let names: std::collections::HashSet<_> = slots.iter().map(|slot| slot.text).collect();
        assert_eq!((names.len(), slots.len()), (PARAMETERS.len() + 7, PARAMETERS.len() + 7));
        assert!(slots.iter().all(|slot| slot.meaning.is_known()));
    }

    #[test]
    fn each_name_has_the_meaning_of_its_row() {
        for (row, parameter) in PARAMETERS.iter().enumerate() {
            let names = parameter.names.into_iter().filter(|name| !name.is_empty());
            for (name, is_alias) in names.zip([false, true]) {
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
        let aliased =
            PARAMETERS.iter().map(|p| (p.names[1], p.names[0])).filter(|p| !p.0.is_empty());
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
