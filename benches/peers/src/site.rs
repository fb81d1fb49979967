//! A site: so many pictures, each with a path and some sizes in which it was asked for.
//!
//! Everything follows from the number of a picture, so that no workload needs memory for its
//! requests. Texts are written into a small buffer right before use, like the text of a request in
//! a server.

use cache_index::{OriginPath, VariantKey};
use std::ops::Range;

/// The value of an entry: `()` or `u64`.
pub trait Payload: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Returns the value of the entry with that number.
    fn of(number: u64) -> Self;
}

impl Payload for () {
    fn of(_: u64) -> Self {}
}

impl Payload for u64 {
    fn of(number: u64) -> Self {
        number
    }
}

/// The most variants of a picture. Pictures have 1 to this many, 6 on average.
pub const MOST_VARIANTS: u64 = 32;

/// The sizes that the site's pages ask for. More than a picture has, so that each lacks some.
const USUAL: usize = 48;

/// One key in so many is none of the usual ones.
const ODD: u64 = 50;

const HOSTS: [&str; 4] =
    ["images.example.org", "shop.example.com", "cdn.fashion.test", "media.sample.li"];
const FOLDERS: [&str; 6] = ["products", "campaigns", "lookbook", "avatars", "editorial", "a"];
const NAMES: [&str; 8] =
    ["jacket", "IMG_2041", "hero-banner", "p", "winter-coat", "portrait", "shoe", "0001-original"];
const SUFFIXES: [&str; 4] = ["front.jpg", "back.jpg", "detail-2.png", "x.jpeg"];

/// The keys of a site's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// 48 usual ones, and now and then an odd one: a site whose templates ask for its sizes.
    Usual,
    /// 20,000, few of them popular and most of them rare: a site whose users choose sizes, crops
    /// and qualities.
    Many,
}

/// The number of keys of a site with many. A multiple of [`MOST_VARIANTS`].
const MANY: u64 = 20_000;

/// The pictures of a site, by number, and the keys of their variants.
#[derive(Debug)]
pub struct Site {
    keys: Keys,
    /// Their texts, the most popular ones first.
    texts: Vec<String>,
}

/// A part of the site, the pictures whose numbers go from 0 to a power of ten.
pub const PREFIX_SPANS: [u64; 3] = [1, 1000, 100_000];

impl Default for Site {
    fn default() -> Self {
        Self::new(Keys::Usual)
    }
}

/// The text of a key: a width, and for some a height, a crop, a quality or a format. Distinct for
/// distinct numbers.
fn key_text(number: usize, (width, height): (usize, usize)) -> String {
    match number % 6 {
        0 => format!("?force_format=webp&h={height}&w={width}"),
        1 => format!("?func=crop&h={height}&w={width}"),
        2 => format!("?force_format=webp&w={width}"),
        3 => format!("?h={height}&org_if_sml=1&w={width}"),
        4 => format!("?h={height}&w={width}"),
        _ => format!("?func=fit&gravity=auto&h={height}&q=75&w={width}"),
    }
}

/// A fraction from 0 to 1, without 1.
fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Which of many keys a variant has. The popularity of groups of [`MOST_VARIANTS`] keys follows
/// Zipf's law with exponent 1; the variants of a picture have different places in their groups, so
/// that no two of them have the same key.
fn one_of_many(picture: u64, variant: u64) -> usize {
    const GROUPS: u64 = MANY / MOST_VARIANTS;
    let group = |variant| {
        let group = (GROUPS as f64 + 1.0).powf(fraction(key_bits(picture, variant))) - 1.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 624")]
        let group = group as u64;
        group
    };
    // The first variant that a picture with all of them lacks has the place of another one, in the
    // next group.
    let (group, variant) =
        if variant < MOST_VARIANTS { (group(variant), variant) } else { (group(0) + 1, 0) };
    let place = (mixed(picture ^ 0xf1257) % MOST_VARIANTS + variant) % MOST_VARIANTS;
    usize::try_from(group % GROUPS * MOST_VARIANTS + place).expect("a small number")
}

fn key_bits(picture: u64, variant: u64) -> u64 {
    mixed(picture.wrapping_mul(MOST_VARIANTS + 1) + variant + (1 << 60))
}

/// Mixes the bits of a number (the finalizer of splitmix64).
pub fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn pick<T: AsRef<str>>(bits: u64, from: &[T]) -> &str {
    from[usize::try_from(bits % from.len() as u64).expect("a small number")].as_ref()
}

/// Writes a number of at least so many digits. `format!` would take longer than the lookup that is
/// measured next.
fn digits(text: &mut String, number: u64, least: usize) {
    let mut buffer = [b'0'; 20];
    let (mut at, mut rest) = (20, number);
    while rest > 0 || 20 - at < least {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
    text.push_str(std::str::from_utf8(&buffer[at..]).expect("digits"));
}

impl Site {
    /// Makes a site with such keys.
    ///
    /// # Panics
    ///
    /// Never: the numbers of keys are small.
    pub fn new(keys: Keys) -> Self {
        let texts: Vec<_> = match keys {
            Keys::Usual => (0..USUAL).map(|n| key_text(n, (80 + 40 * n, 60 + 30 * n))).collect(),
            Keys::Many => {
                let size = |n| (100 + n / 6, 75 + n / 6 * 3 / 4);
                (0..usize::try_from(MANY).expect("a small number"))
                    .map(|n| key_text(n, size(n)))
                    .collect()
            }
        };
        Self { keys, texts }
    }

    /// Which keys it has.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// Writes the path of a picture.
    pub fn path(&self, picture: u64, text: &mut String) {
        let bits = mixed(picture);
        self.folder(picture, PREFIX_SPANS[1], text);
        text.push_str(pick(bits, &NAMES));
        text.push('-');
        digits(text, picture, 8);
        text.push('-');
        text.push_str(pick(bits >> 32, &SUFFIXES));
    }

    /// Writes a prefix that covers so many pictures, this one among them: one of [`PREFIX_SPANS`].
    pub fn folder(&self, picture: u64, span: u64, text: &mut String) {
        let bits = mixed(picture / 100_000);
        text.push_str(pick(bits, &HOSTS));
        text.push('/');
        text.push_str(pick(bits >> 32, &["catalog", "images", "b"]));
        digits(text, picture / 100_000, 3);
        text.push('/');
        if span == PREFIX_SPANS[2] {
            return;
        }
        text.push_str(pick(mixed(picture / 1000), &FOLDERS));
        digits(text, picture / 1000, 5);
        text.push('/');
        if span == PREFIX_SPANS[0] {
            text.push_str(pick(mixed(picture), &NAMES));
            text.push('-');
            digits(text, picture, 8);
        }
    }

    /// How many variants a picture has.
    pub fn variants(&self, picture: u64) -> u64 {
        // Exponentially few pictures have many.
        let more = -(1.0 - fraction(mixed(picture ^ 0x51_7e5))).ln() * 5.43;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 200")]
        let more = more as u64;
        (1 + more).min(MOST_VARIANTS)
    }

    /// Writes the key of a variant of a picture. Those past [`Self::variants`] it doesn't have, but
    /// others do.
    pub fn key(&self, picture: u64, variant: u64, text: &mut String) {
        if self.keys == Keys::Many {
            return text.push_str(&self.texts[one_of_many(picture, variant)]);
        }
        let bits = key_bits(picture, variant);
        if bits.is_multiple_of(ODD) && variant < self.variants(picture) {
            return self.odd_key(bits >> 32, variant, text);
        }
        // The first sizes are the most usual ones.
        let first = mixed(picture ^ 0xf1257) % USUAL as u64;
        let first = first * first / USUAL as u64;
        text.push_str(pick(first + variant, &self.texts));
    }

    /// Writes a key that no page asks for: someone drags a window, or enumerates. Distinct for
    /// distinct variants, and no usual one.
    pub fn odd_key(&self, bits: u64, variant: u64, text: &mut String) {
        if bits.is_multiple_of(2) {
            text.push_str("?h=");
            digits(text, 20 + bits / 2 % 1000, 1);
            text.push_str("&w=");
        } else {
            text.push_str("?force_format=webp&w=");
        }
        digits(text, (bits / 2 % 30 * 16_384 + variant) * 2 + 1, 1);
    }

    /// The sum of the variants of the first pictures.
    pub fn entries(&self, pictures: u64) -> u64 {
        (0..pictures).map(|picture| self.variants(picture)).sum()
    }
}

/// The next request, as text.
#[derive(Debug, Default)]
pub struct Requests {
    text: String,
    spans: Vec<(Range<usize>, Range<usize>, u64)>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Which picture.
    pub path: OriginPath<'a>,
    /// Which rendition of it.
    pub key: VariantKey<'a>,
    /// The number of the entry, different for each.
    pub number: u64,
}

impl Requests {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Adds a variant of a picture.
    pub fn push(&mut self, site: &Site, picture: u64, variant: u64) {
        let start = self.text.len();
        site.path(picture, &mut self.text);
        let middle = self.text.len();
        self.push_key(site, start..middle, picture, variant);
    }

    /// Adds all variants of a picture.
    pub fn push_all(&mut self, site: &Site, picture: u64) {
        let start = self.text.len();
        site.path(picture, &mut self.text);
        let middle = self.text.len();
        for variant in 0..site.variants(picture) {
            self.push_key(site, start..middle, picture, variant);
        }
    }

    fn push_key(&mut self, site: &Site, path: Range<usize>, picture: u64, variant: u64) {
        let start = self.text.len();
        site.key(picture, variant, &mut self.text);
        self.spans.push((path, start..self.text.len(), picture * 64 + variant));
    }

    /// The requests, ready to be made.
    ///
    /// # Panics
    /// If what the site writes isn't canonical.
    pub fn ready(&self) -> Vec<Request<'_>> {
        let ready = self.spans.iter().map(|(path, key, number)| Request {
            path: OriginPath::from_canonical(&self.text[path.clone()]).expect("canonical"),
            key: VariantKey::from_canonical(&self.text[key.clone()]).expect("canonical"),
            number: *number,
        });
        ready.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    const PICTURES: u64 = 100_000;

    #[test]
    fn a_picture_has_one_to_thirty_two_variants_and_six_on_average() {
        let site = Site::default();
        let mean = site.entries(PICTURES) as f64 / PICTURES as f64;
        assert!((5.8..6.1).contains(&mean), "{mean}");
        for variants in [1, 4, 32] {
            assert!((0..PICTURES).any(|picture| site.variants(picture) == variants), "{variants}");
        }
    }

    #[test]
    fn texts_are_as_long_as_those_of_real_sites() {
        for site in [Keys::Usual, Keys::Many].map(Site::new) {
            let (mut paths, mut keys) = (String::new(), String::new());
            for picture in 0..PICTURES * 10 {
                if picture % 10 == 0 {
                    site.path(picture, &mut paths);
                    (0..site.variants(picture))
                        .for_each(|variant| site.key(picture, variant, &mut keys));
                }
            }
            let (paths, keys) = (paths.len() as f64 / PICTURES as f64, keys.len() as f64);
            let keys = keys / (0..PICTURES).map(|n| site.variants(n * 10)).sum::<u64>() as f64;
            assert!((63.0..67.0).contains(&paths), "{paths}");
            assert!((25.0..28.0).contains(&keys), "{keys}");
        }
    }

    #[test]
    fn paths_differ_and_so_do_the_keys_of_one_path() {
        for site in [Keys::Usual, Keys::Many].map(Site::new) {
            let mut paths = HashSet::new();
            for picture in 0..PICTURES {
                let mut path = String::new();
                site.path(picture, &mut path);
                assert!(paths.insert(path));
                let variants = site.variants(picture);
                // One more than it has: a key that it lacks.
                let keys: HashSet<_> =
                    (0..=variants).map(|variant| key(&site, picture, variant)).collect();
                assert_eq!(keys.len() as u64, variants + 1, "{keys:?}");
            }
        }
    }

    #[test]
    fn a_site_has_48_usual_keys_or_20_000() {
        let count = |keys| {
            let site = Site::new(keys);
            let mut counts = HashMap::<_, u64>::new();
            for picture in 0..PICTURES {
                for variant in 0..site.variants(picture) {
                    *counts.entry(key(&site, picture, variant)).or_default() += 1;
                }
            }
            let mut counts: Vec<_> = counts.into_values().collect();
            counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
            counts
        };
        let (usual, many) = (count(Keys::Usual), count(Keys::Many));
        let entries: u64 = usual.iter().sum();
        let share = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / entries as f64;
        assert!((0.975..0.985).contains(&share(&usual[..48])), "{}", share(&usual[..48]));
        // Rare keys are missing from a site as small as this one.
        assert!((19_900..=20_000).contains(&many.len()), "{}", many.len());
        // A tenth of the keys for two thirds of the entries, as by Zipf's law.
        assert!((0.60..0.70).contains(&share(&many[..2000])), "{}", share(&many[..2000]));
    }

    fn key(site: &Site, picture: u64, variant: u64) -> String {
        let mut key = String::new();
        site.key(picture, variant, &mut key);
        key
    }

    #[test]
    fn a_folder_covers_as_many_paths_as_it_is_said_to() {
        let site = Site::default();
        for span in PREFIX_SPANS {
            let mut folder = String::new();
            site.folder(123_456, span, &mut folder);
            let covered = (0..300_000).filter(|picture| {
                let mut path = String::new();
                site.path(*picture, &mut path);
                path.starts_with(&folder)
            });
            assert_eq!(covered.count() as u64, span, "{folder}");
        }
    }
}
