//! No two pictures share names: over many pairs of requests that name different renditions, none
//! agree in origin and variant key.
//!
//! The pairs are made so that they are as near to each other as can be: a base request, and one
//! with a single meaning changed. 20,000 pairs by default; all of ten million, in about a minute,
//! with
//!
//! ```sh
//! COLLISION_PAIRS=10000000 cargo test --release --test canonical collisions
//! ```

use cache_index::canonical::{Grouping, Rules};
use fastrand::Rng;

/// A request, by its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meaning {
    head: usize,
    segments: Vec<usize>,
    own_query: Option<usize>,
    operations: Vec<(usize, usize)>,
}

/// Spelled otherwise, these are other pictures.
const HEADS: [&str; 9] = [
    "",
    "sample.li/",
    "sample.li:80/",
    "http://sample.li/",
    "https://sample.li/",
    "https://sample.li:8443/",
    "_sample.li_/",
    "ftp://sample.li/",
    "other.li/",
];
const SEGMENTS: [&str; 24] = [
    "a", "A", "b", "ab", "a.b", "%2F", "a%2Fb", "%25", "%2525", "(", "%28", "+", "%2B", "%20",
    "%C3%A9", "e%CC%81", "&", "%26", "a%3Fw=1", "%23", "*a", "%2Aa", "%252F", "..a",
];
const OWN_QUERIES: [&str; 8] = ["", "w=1", "w=2", "a=1&b=2", "b=2&a=1", "%26", "&", "?"];
const NAMES: [&str; 8] = ["w", "h", "f", "wat_text", "wat", "W", "x", "%26"];
/// How many of them are names of operations; the others may be meant for the source.
const KNOWN_NAMES: usize = 5;
const VALUES: [&str; 14] =
    ["", "1", "2", "01", "1.0", "a,b", "b,a", "+", "%20", "%2B", "%26w=1", "%3D", "A", "%3F"];

impl Meaning {
    fn random(random: &mut Rng) -> Self {
        let own_query = (random.usize(..4) == 0).then(|| random.usize(..OWN_QUERIES.len()));
        let segments = (0..=random.usize(..3)).map(|_| random.usize(..SEGMENTS.len())).collect();
        let count = random.usize(..4);
        let operations = (0..count)
            .map(|_| (random.usize(..NAMES.len()), random.usize(..VALUES.len())))
            .collect();
        Self { head: random.usize(..HEADS.len()), segments, own_query, operations }
    }

    /// Something else, nearly the same.
    fn neighbor(&self, random: &mut Rng) -> Self {
        let mut other = self.clone();
        match random.usize(..7) {
            0 => other.head = random.usize(..HEADS.len()),
            1 => {
                other.segments[random.usize(..self.segments.len())] =
                    random.usize(..SEGMENTS.len());
            }
            2 => other.segments.push(random.usize(..SEGMENTS.len())),
            3 => {
                other.own_query =
                    (random.usize(..2) == 0).then(|| random.usize(..OWN_QUERIES.len()));
            }
            4 => other.operations.push((random.usize(..NAMES.len()), random.usize(..VALUES.len()))),
            5 => drop(other.operations.pop()),
            _ => {
                if let Some(operation) = other.operations.last_mut() {
                    operation.1 = random.usize(..VALUES.len());
                }
            }
        }
        other
    }

    /// The order of different known parameters has no meaning.
    fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.operations.sort_by_key(|&(name, _)| name.min(KNOWN_NAMES));
        sorted
    }

    fn request(&self, out: &mut String) {
        out.clear();
        out.push('/');
        let path = |out: &mut String| {
            *out += HEADS[self.head];
            for (n, segment) in self.segments.iter().enumerate() {
                *out += if n == 0 { "" } else { "/" };
                *out += SEGMENTS[*segment];
            }
        };
        let mut mark = "?";
        if let Some(query) = self.own_query {
            let mut plain = String::new();
            path(&mut plain);
            plain = plain + "?" + OWN_QUERIES[query];
            *out += &crate::checks::encoded(&plain);
            *out += "?ci_url_encoded=1";
            mark = "&";
        } else {
            path(out);
        }
        for (name, value) in &self.operations {
            *out += mark;
            *out += NAMES[*name];
            *out += "=";
            *out += VALUES[*value];
            mark = "&";
        }
    }
}

#[test]
fn different_pictures_have_different_names() {
    let pairs = std::env::var("COLLISION_PAIRS").map_or(20_000, |count| count.parse().unwrap());
    let exact = Rules::builder().token("doc").build().unwrap();
    let grouped = Rules::builder().token("doc").grouping(Grouping::Grouped).build().unwrap();
    let mut random = Rng::with_seed(1);
    let (mut one_text, mut other_text) = (String::new(), String::new());
    let mut compared = 0_u64;
    while compared < pairs {
        let one = Meaning::random(&mut random);
        let other = one.neighbor(&mut random);
        if one.sorted() == other.sorted() {
            continue;
        }
        one.request(&mut one_text);
        other.request(&mut other_text);
        for rules in [&exact, &grouped] {
            let (one, other) =
                (rules.delivery(&one_text).unwrap(), rules.delivery(&other_text).unwrap());
            assert_ne!(one, other, "{one_text} {other_text}");
        }
        compared += 1;
    }
    // Equal requests must have equal names. Otherwise, the test would pass for names that are never
    // the same.
    let meaning = Meaning {
        head: 4,
        segments: vec![0, 9],
        own_query: None,
        operations: vec![(0, 1), (1, 2)],
    };
    let mut swapped = meaning.clone();
    swapped.operations.reverse();
    meaning.request(&mut one_text);
    swapped.request(&mut other_text);
    assert_eq!(exact.delivery(&one_text), exact.delivery(&other_text));
}
