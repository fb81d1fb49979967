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

/// All parameters that are known. Others are kept in the key, behind these, under the names and in
/// the order that they have.
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
    /// It isn't in the table: it stays, and it stays behind those that were before it.
    Unknown,
    /// It stays.
    Known,
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

/// All names of the table, with their roles.
const NAMES: [(&str, Role); NAMES_LEN] = {
    let mut names = [("", Role::Unknown); NAMES_LEN];
    let (mut len, mut row) = (0, 0);
    while row < PARAMETERS.len() {
        let parameter = PARAMETERS[row];
        // There are fewer than 64 rows.
        #[expect(clippy::cast_possible_truncation)]
        let index = row as u8;
        let role = match (parameter.effect, parameter.also) {
            (Effect::Signature, _) => Role::Dropped,
            (Effect::PathEncoding, _) => Role::PathFlag,
            (_, Some(also)) => {
                names[len] = (also, Role::Other(index));
                len += 1;
                Role::Canonical(index)
            }
            _ if same(parameter.name, SEALED) => Role::Sealed,
            _ => Role::Known,
        };
        names[len] = (parameter.name, role);
        len += 1;
        row += 1;
    }
    assert!(len == NAMES_LEN);
    names
};
/// Each parameter has a name, and seven have two.
const NAMES_LEN: usize = PARAMETERS.len() + 7;
const SEALED: &str = "ci_eqs";

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut i = 0;
    while i < one.len() && i < other.len() && one[i] == other[i] {
        i += 1;
    }
    i == one.len() && i == other.len()
}

/// What unknown names are sorted by: behind all names of the table, whose bytes are ASCII, and in
/// the order of the text. Like the eight bytes of a short name, it ends in a zero, so that nothing
/// is looked for behind them.
pub(super) const UNKNOWN: u64 = 0xFF << 56;

/// A name with its first eight bytes as a number, and its role.
#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    name: &'static str,
    role: Role,
    meaning: Meaning,
    /// What it is sorted by if it stays as it is; zero if it may not.
    settled: u64,
}

/// What a name means for the key, as numbers: which names a query has is hard to foretell, so no
/// branch depends on it.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    /// The first eight bytes of the name that it is sorted by.
    pub(super) rank: u64,
    /// One bit for the row of the table in which it is the other spelling, or the canonical one of two.
    pub(super) others: u64,
    pub(super) canonicals: u64,
    /// The row in which it is the other spelling, plus one.
    pub(super) row: u64,
    /// Whether it has another role.
    pub(super) acts: bool,
}

impl Meaning {
    const UNKNOWN: Self = Self { rank: UNKNOWN, others: 0, canonicals: 0, row: 0, acts: false };

    const fn of(key: u64, role: Role) -> Self {
        let known = Self { rank: key, ..Self::UNKNOWN };
        match role {
            Role::Unknown => Self::UNKNOWN,
            Role::Known => known,
            Role::Canonical(row) => Self { canonicals: 1 << row, ..known },
            Role::Other(row) => Self {
                rank: self::key(PARAMETERS[row as usize].name.as_bytes()),
                others: 1 << row,
                row: row as u64 + 1,
                ..known
            },
            Role::Dropped | Role::PathFlag | Role::Sealed => Self { acts: true, ..known },
        }
    }
}

/// Where each name is, so that a name is compared with one of them only, as a number.
static TABLE: [Entry; 1 << TABLE_BITS] = {
    let unknown = Entry {
        key: 0,
        name: "",
        role: Role::Unknown,
        meaning: Meaning::UNKNOWN,
        settled: UNKNOWN,
    };
    let mut table = [unknown; 1 << TABLE_BITS];
    let mut i = 0;
    while i < NAMES_LEN {
        let (name, role) = NAMES[i];
        let key = key(name.as_bytes());
        let slot = slot(key, name.len());
        assert!(
            table[slot].name.is_empty(),
            "another factor is needed, so that no two share a slot"
        );
        let settled = if matches!(role, Role::Known | Role::Canonical(_)) { key } else { 0 };
        table[slot] = Entry { key, name, role, meaning: Meaning::of(key, role), settled };
        i += 1;
    }
    table
};
const TABLE_BITS: u32 = 7;

/// Found by trying 155 million factors.
const fn slot(key: u64, len: usize) -> usize {
    let product = key.wrapping_add(len as u64).wrapping_mul(0xB51C_ECDA_5528_C4DB);
    (product >> (u64::BITS - TABLE_BITS)) as usize
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

/// The entry of `name`, if it is in the table; `key` are its first eight bytes.
#[inline]
fn entry(key: u64, name: &[u8]) -> (&'static Entry, bool) {
    let entry = &TABLE[slot(key, name.len())];
    let mut is_it = (entry.key == key) & (entry.name.len() == name.len());
    if name.len() > size_of::<u64>() && is_it {
        is_it = entry.name.as_bytes() == name;
    }
    (entry, is_it)
}

/// What a parameter is sorted by that stays as it is, whatever its value: [`UNKNOWN`] if it isn't
/// in the table; zero if it may have to be renamed or acted on. `key` are the first eight bytes of
/// `name`.
#[inline]
pub(super) fn settled_rank(key: u64, name: &[u8]) -> u64 {
    let (entry, is_it) = entry(key, name);
    if is_it { entry.settled } else { UNKNOWN }
}

/// What `name`, whose escapes are settled, means for the key; `key` are its first eight bytes.
#[inline]
pub(super) fn meaning(key: u64, name: &[u8]) -> Meaning {
    let (Entry { meaning, .. }, is_it) = entry(key, name);
    let mask = u64::from(is_it).wrapping_neg();
    Meaning {
        rank: (meaning.rank & mask) | (UNKNOWN & !mask),
        others: meaning.others & mask,
        canonicals: meaning.canonicals & mask,
        row: meaning.row & mask,
        acts: meaning.acts & is_it,
    }
}

/// The same, as one of all roles.
pub(super) fn role(name: &[u8]) -> Role {
    match entry(key(name), name) {
        (entry, true) => entry.role,
        _ => Role::Unknown,
    }
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
        for name in ["func", "vh", "wat", "wat_fontsize", "force_download"] {
            assert_eq!(role(name.as_bytes()), Role::Known, "{name}");
        }
        for name in ["", "W", "quality", "wat_", "wat_fontsizf", "widths", "ci_signature_of_all"] {
            assert_eq!(role(name.as_bytes()), Role::Unknown, "{name}");
        }
        for (name, expected) in NAMES {
            assert_eq!(role(name.as_bytes()), expected, "{name}");
            assert!(expected != Role::Unknown && key(name.as_bytes()) < UNKNOWN, "{name}");
        }
    }

    #[test]
    fn unknown_names_come_last_and_are_never_compared() {
        for name in [&b"a"[..], b"zzzzzzzzzz", b"widths", b"bg_coloring", b""] {
            let key = key(name);
            assert_eq!(meaning(key, name).rank, UNKNOWN);
            assert_eq!(settled_rank(key, name), UNKNOWN);
        }
        assert_eq!(UNKNOWN & 0xFF, 0);
        assert_eq!(settled_rank(key(b"w"), b"w"), key(b"w"));
        assert_eq!(settled_rank(key(b"width"), b"width"), 0);
        assert_eq!(settled_rank(key(b"ci_sign"), b"ci_sign"), 0);
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
