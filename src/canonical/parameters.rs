//! The parameters of delivery URLs: one row each, with the source that it is known from.
//!
//! Invariant: a parameter that changes the answer in any way is part of the key; only those that change nothing are dropped.
//! Not here: their values, which are opaque. No number, color, case or synonym is folded.

/// What a parameter changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    /// The bytes of the picture.
    Image,
    /// The headers of the answer, or how long it is kept.
    Response,
    /// Nothing, but each value asks for a copy of its own.
    Copy,
    /// Nothing: who may ask.
    Signature,
    /// Nothing: how the path is to be read.
    PathEncoding,
}

/// A parameter of delivery URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// Its canonical name.
    pub(super) name: &'static str,
    /// Another name that means the same.
    pub(super) also: Option<&'static str>,
    /// What it changes.
    pub(super) effect: Effect,
    /// Where it is documented or can be seen.
    pub(super) source: &'static str,
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
    also: Option<&'static str>,
    effect: Effect,
    source: &'static str,
) -> Parameter {
    Parameter { name, also, effect, source }
}

const fn image(name: &'static str, source: &'static str) -> Parameter {
    row(name, None, Effect::Image, source)
}

const fn respelled(name: &'static str, also: &'static str, source: &'static str) -> Parameter {
    row(name, Some(also), Effect::Image, source)
}

/// All parameters that are known. Others are kept in the key, under the name that they have.
pub(super) const PARAMETERS: &[Parameter] = &[
    // Size and crop.
    respelled("w", "width", RUBY),
    respelled("h", "height", RUBY),
    image("org_if_sml", RUBY),
    image("func", RUBY),
    image("gravity", RUBY),
    image("tl_px", RUBY),
    image("br_px", RUBY),
    // Both are seen; that they are one parameter isn't known.
    image("aspect_ratio", DOCS),
    image("ar", DOCS),
    image("face_margin", UNPIC),
    image("dpr", DOCS),
    // Turning and trimming.
    image("flip", UNPIC),
    image("r", RUBY),
    image("trim", RUBY),
    image("radius", RUBY),
    image("sharp", RUBY),
    image("margin", FIT),
    image("fit_enlarge", FIT),
    // Background.
    respelled("bg_color", "bg_colour", FIT),
    respelled("bg_colorize", "bg_colourise", FIT),
    image("bg_img_fit", RUBY),
    image("bg_blur", RUBY),
    image("bg_opacity", RUBY),
    image("bg_gravity", DOCS),
    // Filters.
    image("f", RUBY),
    image("bright", RUBY),
    image("contrast", RUBY),
    image("blur", RUBY),
    image("blur_faces", RUBY),
    respelled("gray", "grey", RUBY),
    respelled("pixelate", "pixellate", WARMUP),
    // Watermark.
    image("wat", RUBY),
    image("wat_url", WATERMARK),
    image("wat_text", WATERMARK),
    image("wat_font", WATERMARK),
    image("wat_fontsize", WATERMARK),
    respelled("wat_color", "wat_colour", RUBY),
    image("wat_gravity", WATERMARK),
    image("wat_scale", WATERMARK),
    image("wat_pad", WATERMARK),
    image("wat_pos", WATERMARK),
    image("wat_opacity", WATERMARK),
    // Format.
    image("force_format", RUBY),
    image("q", RUBY),
    image("optipress", RUBY),
    image("doc_page", RUBY),
    image("process", RUBY),
    image("p", PRESETS),
    // The answer and its copies.
    row("force_download", None, Effect::Response, DOCS),
    row("ci_cache", None, Effect::Response, INTERVAL),
    row("ci_info", None, Effect::Response, RUBY),
    row("vh", None, Effect::Copy, CDN),
    // Security and encoding.
    image("ci_eqs", SECURITY),
    row("ci_sign", None, Effect::Signature, SECURITY),
    row("ci_seal", None, Effect::Signature, SECURITY),
    row("ci_url_encoded", None, Effect::PathEncoding, URL_API),
];

/// What a name means for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It stays.
    Plain,
    /// It is the canonical one of two spellings of the parameter in that row.
    Canonical(u8),
    /// It is the other spelling.
    Other(u8),
    /// It goes.
    Dropped,
    /// It goes if its value is `1`, and says then that the path is encoded as a whole.
    PathFlag,
    /// It stays; inside of it there may be a `PathFlag`.
    Sealed,
}

/// The rows with a role other than `Plain`.
const SPECIAL: [(&str, Role); SPECIAL_LEN] = {
    let mut special = [("", Role::Plain); SPECIAL_LEN];
    let (mut len, mut row) = (0, 0);
    while row < PARAMETERS.len() {
        let parameter = PARAMETERS[row];
        // There are fewer than 256 rows.
        #[expect(clippy::cast_possible_truncation)]
        let index = row as u8;
        let role = match (parameter.effect, parameter.also) {
            (Effect::Signature, _) => Role::Dropped,
            (Effect::PathEncoding, _) => Role::PathFlag,
            (_, Some(also)) => {
                special[len] = (also, Role::Other(index));
                len += 1;
                Role::Canonical(index)
            }
            _ if same(parameter.name, SEALED) => Role::Sealed,
            _ => Role::Plain,
        };
        if !matches!(role, Role::Plain) {
            special[len] = (parameter.name, role);
            len += 1;
        }
        row += 1;
    }
    special
};
/// Seven parameters with two spellings, and four whose names start with `ci_`.
const SPECIAL_LEN: usize = 18;
const SEALED: &str = "ci_eqs";

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut i = 0;
    while i < one.len() && i < other.len() && one[i] == other[i] {
        i += 1;
    }
    i == one.len() && i == other.len()
}

/// For each first byte, one bit for each length that a special name starting with it has: tells nearly all names apart from the
/// special ones without comparing them.
static LENGTHS: [u16; 256] = lengths(true);
/// The same for names that have to be acted on.
static ACTING: [u16; 256] = lengths(false);

const fn lengths(with_canonical: bool) -> [u16; 256] {
    let mut lengths = [0; 256];
    let mut i = 0;
    while i < SPECIAL_LEN {
        let (name, role) = SPECIAL[i];
        if with_canonical || !matches!(role, Role::Canonical(_)) {
            lengths[name.as_bytes()[0] as usize] |= 1 << name.len();
        }
        i += 1;
    }
    lengths
}

/// A special name with its first eight bytes as a number, and its role.
#[derive(Clone, Copy)]
struct Special {
    key: u64,
    name: &'static str,
    role: Role,
    meaning: Meaning,
}

/// What a name means for the key, as numbers: which of a query's names are special is hard to foretell, so no branch depends on it.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    /// One bit for the row of the table in which it is the other spelling, or the canonical one of two.
    pub(super) others: u64,
    pub(super) canonicals: u64,
    /// The row in which it is the other spelling, plus one.
    pub(super) row: u64,
    /// The bits in which its first eight bytes differ from those of the name that it is sorted by.
    pub(super) turned: u64,
    /// Whether it has another role.
    pub(super) acts: bool,
}

impl Meaning {
    const NONE: Self = Self { others: 0, canonicals: 0, row: 0, turned: 0, acts: false };

    const fn of(key: u64, role: Role) -> Self {
        match role {
            Role::Plain => Self::NONE,
            Role::Canonical(row) => Self { canonicals: 1 << row, ..Self::NONE },
            Role::Other(row) => Self {
                others: 1 << row,
                row: row as u64 + 1,
                turned: key ^ self::key(PARAMETERS[row as usize].name.as_bytes()),
                ..Self::NONE
            },
            Role::Dropped | Role::PathFlag | Role::Sealed => Self { acts: true, ..Self::NONE },
        }
    }
}

/// Where each special name is, so that a name is compared with one of them only, as a number.
static PLACES: [Special; 32] = {
    let nothing = Special { key: 0, name: "", role: Role::Plain, meaning: Meaning::NONE };
    let mut places = [nothing; 32];
    let mut i = 0;
    while i < SPECIAL_LEN {
        let (name, role) = SPECIAL[i];
        let key = key(name.as_bytes());
        let place = place(key, name.len());
        assert!(
            places[place].name.is_empty(),
            "another factor is needed, so that no two share a place"
        );
        places[place] = Special { key, name, role, meaning: Meaning::of(key, role) };
        i += 1;
    }
    places
};

/// Found by trying.
const fn place(key: u64, len: usize) -> usize {
    (key.wrapping_add(len as u64).wrapping_mul(0x7C6A_47A7_3BC8_996B) >> 59) as usize
}

/// The canonical names, so that each can be copied in one go.
pub(super) static PADDED: [[u8; 16]; PARAMETERS.len()] = {
    let mut padded = [[0; 16]; PARAMETERS.len()];
    let mut row = 0;
    while row < PARAMETERS.len() {
        let name = PARAMETERS[row].name.as_bytes();
        let mut i = 0;
        while i < name.len() {
            padded[row][i] = name[i];
            i += 1;
        }
        row += 1;
    }
    padded
};

/// The first eight bytes of a name, as `cut::key` gives them.
const fn key(name: &[u8]) -> u64 {
    let (mut key, mut at) = (0, 0);
    while at < size_of::<u64>() {
        key = key << 8 | if at < name.len() { name[at] as u64 } else { 0 };
        at += 1;
    }
    key
}

/// Whether a name of `len` bytes may have to be acted on: if not, its role is `Plain` or `Canonical`; `key` are its first eight bytes.
#[inline]
pub(super) fn may_act(key: u64, len: usize) -> bool {
    len < 16 && ACTING[(key >> 56) as usize] >> len & 1 == 1
}

/// Whether a name of `len` bytes may be special; `key` are its first eight bytes.
#[inline]
pub(super) fn may_be_special(key: u64, len: usize) -> bool {
    len < 16 && LENGTHS[(key >> 56) as usize] >> len & 1 == 1
}

/// What `name`, whose escapes are settled, means for the key; `key` are its first eight bytes.
#[inline]
pub(super) fn meaning(key: u64, name: &[u8]) -> Meaning {
    let special = &PLACES[place(key, name.len())];
    let mut is_it = (special.key == key) & (special.name.len() == name.len());
    if name.len() > size_of::<u64>() && is_it {
        is_it = special.name.as_bytes() == name;
    }
    let mask = u64::from(is_it).wrapping_neg();
    let meaning = special.meaning;
    Meaning {
        others: meaning.others & mask,
        canonicals: meaning.canonicals & mask,
        row: meaning.row & mask,
        turned: meaning.turned & mask,
        acts: meaning.acts & is_it,
    }
}

/// The same, as one of all roles.
pub(super) fn role(name: &[u8]) -> Role {
    let special = &PLACES[place(key(name), name.len())];
    if special.name.as_bytes() == name { special.role } else { Role::Plain }
}

/// The name under which a parameter is sorted and found.
pub(super) fn canonical_name(name: &[u8]) -> &[u8] {
    match role(name) {
        Role::Other(row) => PARAMETERS[usize::from(row)].name.as_bytes(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_stands_once() {
        let mut names = HashSet::new();
        for parameter in PARAMETERS {
            assert!(names.insert(parameter.name), "{}", parameter.name);
            assert!(parameter.also.is_none_or(|also| names.insert(also)), "{}", parameter.name);
        }
    }

    #[test]
    fn the_roles_are_those_of_the_table() {
        assert_eq!(role(b"width"), Role::Other(0));
        assert_eq!(role(b"w"), Role::Canonical(0));
        assert_eq!(role(b"ci_sign"), Role::Dropped);
        assert_eq!(role(b"ci_seal"), Role::Dropped);
        assert_eq!(role(b"ci_url_encoded"), Role::PathFlag);
        assert_eq!(role(b"ci_eqs"), Role::Sealed);
        for name in ["", "W", "func", "vh", "quality", "wat", "widths", "ci_signature_of_all"] {
            assert_eq!(role(name.as_bytes()), Role::Plain, "{name}");
        }
        assert!(SPECIAL.iter().all(|(name, role)| !name.is_empty() && *role != Role::Plain));
    }

    #[test]
    fn seven_parameters_have_two_spellings() {
        let respelled = PARAMETERS.iter().filter_map(|p| Some((p.also?, p.name)));
        let expected = [
            ("width", "w"),
            ("height", "h"),
            ("bg_colour", "bg_color"),
            ("bg_colourise", "bg_colorize"),
            ("grey", "gray"),
            ("pixellate", "pixelate"),
            ("wat_colour", "wat_color"),
        ];
        assert!(respelled.eq(expected));
        assert!(
            expected.iter().all(|(also, name)| canonical_name(also.as_bytes()) == name.as_bytes())
        );
    }
}
