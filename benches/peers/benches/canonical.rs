//! Canonicalization against what a server would write instead: a URL parser, and the query's pairs
//! sorted.
//!
//! ```sh
//! cargo bench -p peers --bench canonical
//! ```
//!
//! Three mixes of 2,000 different delivery URLs of 40 to 200 bytes. All contestants take turns in
//! one process, on the same texts; printed are the medians per URL and the ratio to the faster
//! peer. Below that: what the longest text costs, in shapes that are meant to be slow, beside an
//! honest one. Each peer runs twice: once it only parses, collects the pairs and sorts them; once
//! it writes them back, so that there is a text that could be a key. None of the rules is applied
//! by either.

use cache_index::canonical::Rules;
use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

const URLS: usize = 2000;
const ROUNDS: usize = 301;

fn main() {
    // `cargo test` runs benches, too; one round shows that they work.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let rules = Rules::builder().token("doc").build().expect("good rules");
    println!(
        "{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}{:>14}{:>8}",
        "mix", "this crate", "url", "ada-url", "ratio", "url, key", "ada-url, key", "ratio"
    );
    for (name, make) in MIXES {
        let mut random = fastrand::Rng::with_seed(7);
        let urls: Vec<String> = (0..URLS).map(|n| make(&mut random, n)).collect();
        check(name, &urls, &rules);
        let mut times = [const { Times([const { Vec::new() }; URLS / CHUNK]) }; 5];
        for _ in 0..rounds {
            times[0].add(&urls, |text| drop(black_box(rules.delivery(text))));
            times[1].add(&urls, url_crate);
            times[2].add(&urls, ada);
            times[3].add(&urls, url_crate_key);
            times[4].add(&urls, ada_key);
        }
        let [ours, url, ada, url_key, ada_key] = times.map(Times::per_url);
        let (ratio, key_ratio) = (url.min(ada) / ours, url_key.min(ada_key) / ours);
        println!(
            "{name:<16}{ours:>9.0} ns{url:>9.0} ns{ada:>9.0} ns{ratio:>7.1}x{url_key:>9.0} ns{ada_key:>11.0} ns{key_ratio:>7.1}x"
        );
    }
    longest(&rules, rounds);
}

type Mix = (&'static str, fn(&mut fastrand::Rng, usize) -> String);
const MIXES: [Mix; 3] =
    [("canonical", canonical), ("needing changes", needing_changes), ("hostile", hostile)];

/// How many URLs are timed in one go: few enough that most times are free of interruptions, even on
/// a machine with other work.
const CHUNK: usize = 50;

/// The times of one contestant, for each chunk of the URLs those of all rounds.
struct Times([Vec<f64>; URLS / CHUNK]);

impl Times {
    /// Runs a round: all URLs in their order.
    fn add(&mut self, urls: &[String], mut read: impl FnMut(&str)) {
        for (times, urls) in self.0.iter_mut().zip(urls.chunks(CHUNK)) {
            times.push(time(urls, &mut read));
        }
    }

    /// Nanoseconds per URL: the mean of the chunks' medians.
    fn per_url(self) -> f64 {
        self.0.map(median).iter().sum::<f64>() / (URLS / CHUNK) as f64
    }
}

/// Nanoseconds per URL.
fn time(urls: &[String], mut read: impl FnMut(&str)) -> f64 {
    let start = Instant::now();
    for text in urls {
        read(black_box(text));
    }
    nanoseconds(start.elapsed()) / urls.len() as f64
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn url_crate(text: &str) {
    if let Ok(url) = url::Url::parse(text) {
        let mut pairs: Vec<_> = url.query_pairs().collect();
        pairs.sort();
        black_box(&pairs);
        black_box(&url);
    }
}

fn ada(text: &str) {
    if let Ok(url) = ada_url::Url::parse(text, None) {
        let search = url.search();
        let search = search.strip_prefix('?').unwrap_or(search);
        let mut pairs: Vec<_> = url::form_urlencoded::parse(search.as_bytes()).collect();
        pairs.sort();
        black_box(&pairs);
        black_box(&url);
    }
}

fn url_crate_key(text: &str) {
    if let Ok(mut url) = url::Url::parse(text) {
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        url.query_pairs_mut().clear().extend_pairs(&pairs);
        black_box(String::from(url));
    }
}

fn ada_key(text: &str) {
    if let Ok(mut url) = ada_url::Url::parse(text, None) {
        let search = url.search();
        let search = search.strip_prefix('?').unwrap_or(search);
        let mut pairs: Vec<_> = url::form_urlencoded::parse(search.as_bytes()).collect();
        pairs.sort();
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        url.set_search(Some(&query));
        black_box(url.href().to_owned());
    }
}

/// Checks that each mix matches its description.
fn check(name: &str, urls: &[String], rules: &Rules) {
    let different: std::collections::HashSet<_> = urls.iter().collect();
    assert_eq!(different.len(), urls.len(), "{name}: all URLs differ");
    for text in urls {
        assert!((40..=200).contains(&text.len()), "{name}: {} bytes: {text}", text.len());
        if name == "hostile" {
            continue;
        }
        let read = rules.delivery(text).expect(text);
        let (origin, key) = (read.origin.into_cow(), read.variant.into_cow());
        let borrowed = matches!((&origin, &key), (Cow::Borrowed(_), Cow::Borrowed(_)));
        assert_eq!(borrowed, name == "canonical", "{text}");
    }
}

const HOSTS: [&str; 6] = [
    "sample.li",
    "img.domain.com",
    "https://images.example.org",
    "http://shop.example.com",
    "_cdn_",
    "media",
];
const FOLDERS: [&str; 8] =
    ["products", "2024", "campaigns", "winter_sale", "avatars", "a", "large", "originals"];
const NAMES: [&str; 8] =
    ["birds", "boat", "IMG_2041", "hero-banner", "p", "front-view", "0001", "Flat"];

fn pick<'t>(random: &mut fastrand::Rng, from: &[&'t str]) -> &'t str {
    from[random.usize(..from.len())]
}

fn path(random: &mut fastrand::Rng, n: usize) -> String {
    let mut path = pick(random, &HOSTS).to_owned();
    for _ in 0..random.usize(0..4) {
        path = path + "/" + pick(random, &FOLDERS);
    }
    format!("{path}/{}-{n}.jpg", pick(random, &NAMES))
}

fn canonical(random: &mut fastrand::Rng, n: usize) -> String {
    let mut operations: Vec<String> = Vec::new();
    let mut add = |chance: usize, random: &mut fastrand::Rng, text: String| {
        if random.usize(..100) < chance {
            operations.push(text);
        }
    };
    add(10, random, "f=bright:15,contrast:30".into());
    add(25, random, "force_format=webp".into());
    add(40, random, "func=crop".into());
    add(25, random, "gravity=center".into());
    let height = format!("h={}", random.usize(100..2000));
    add(50, random, height);
    add(20, random, "org_if_sml=1".into());
    add(30, random, "q=80".into());
    let width = format!("w={}", random.usize(100..2000));
    add(90, random, width);
    let path = path(random, n);
    let query =
        if operations.is_empty() { String::new() } else { format!("?{}", operations.join("&")) };
    format!("https://doc.cloudimg.io/{path}{query}")
}

/// As clients write it: long names, any order, signatures, encoded punctuation, spaces, other
/// scripts, the whole path encoded.
fn needing_changes(random: &mut fastrand::Rng, n: usize) -> String {
    let mut operations = vec![
        format!("width={}", random.usize(100..2000)),
        format!("height={}", random.usize(100..2000)),
    ];
    for text in [
        "func=crop",
        "q=80",
        "f=bright%3A15%2Ccontrast%3A30",
        "gravity=center",
        "ci_sign=84c81ef20852013046",
        "grey=1",
    ] {
        if random.usize(..100) < 25 {
            operations.push(text.into());
        }
    }
    random.shuffle(&mut operations);
    let mut path = path(random, n);
    match random.usize(..8) {
        0 => path = path.replace('-', "%2D"),
        1 => path = path.replace(".jpg", " (1).jpg"),
        2 => path = path.replace(".jpg", "-caf\u{e9}.jpg"),
        3 => path = path.replace("sample.li", "Sample.LI").replace("https:", "HTTPS:"),
        4 => path = path.replace(".jpg", "/../x.jpg"),
        5 => {
            path = path.replace(':', "%3A").replace('/', "%2F");
            operations.push("ci_url_encoded=1".into());
        }
        _ => path = path.replace('-', "%20"),
    }
    format!("https://doc.cloudimg.io/{path}?{}", operations.join("&"))
}

/// Made to be slow, or to be refused late.
fn hostile(random: &mut fastrand::Rng, n: usize) -> String {
    let piece = match n % 8 {
        0 => "a/../",
        1 => "%41",
        2 => "%2e%2E/",
        3 => "\u{e9}",
        4 => "//",
        5 => "./",
        6 => "%25",
        _ => "%",
    };
    let start = format!("https://doc.cloudimg.io/{n}/");
    let room = random.usize(60..150) - start.len();
    let tail =
        ["?b&a&d&c&b&a", "?%77=1&w=2&width=3", "?&&&&=&=&=", "?ci_eqs=dz0xMDA&%63i_sign=1", ""]
            [n / 8 % 5];
    format!("{start}{}{tail}", piece.repeat(room / piece.len()))
}

/// The worst cost of 8 KB, compared with 1 KB of honest text.
fn longest(rules: &Rules, rounds: usize) {
    println!("\n{:<44}{:>12}{:>10}", "length", "this crate", "ratio");
    let honest = "https://doc.cloudimg.io/sample.li/".to_owned()
        + &"folder%20name/B%69rds-".repeat(36)
        + ".jpg?width=300&q=80&height=200&func=crop&f=bright%3A15&gravity=auto&wat_text=a%20b%20c%20d%20e%20f%20g%20h%20i%20j%20k%20l%20m%20n%20o%20p%20q%20r%20s%20t%20u&ci_sign=84c81ef20852013046";
    let text = |start: &str, piece: &str, end: &str| {
        let room = 8192 - start.len() - end.len();
        format!("{start}{}{end}", piece.repeat(room / piece.len()))
    };
    let mut random = fastrand::Rng::with_seed(7);
    let parameters: String = (0..4084).flat_map(|_| [random.lowercase(), '&']).collect();
    let names: String =
        (0..195).map(|_| format!("{}{}&", "n".repeat(37), random.u16(100..1000))).collect();
    let two_letters: String =
        (0..2700).flat_map(|_| [random.lowercase(), random.lowercase(), '&']).collect();
    let mut mixed = String::new();
    while mixed.len() < 8170 {
        mixed += ["a", "%41", "%2f", "\u{e9}", "/", "(", "%20", " "][random.usize(..8)];
    }
    let texts = [
        ("honest, 1 KB", honest),
        ("8 KB of encoded letters", text("/", "%41", "")),
        ("8 KB of raw non-ASCII bytes", text("/", "\u{e9}", "")),
        ("8 KB of segments and dots", text("/x/", "a/../", "")),
        (
            "8 KB of segments, then dots",
            text("/x/", "a/", "").replacen(&"a/".repeat(2000), &"../".repeat(1300), 1),
        ),
        ("8 KB of dots", text("/x/", "./", "")),
        ("8 KB of slashes", text("/x", "/", "")),
        ("8 KB of an encoded path, decoded", text("/a", "%2e%2F", "?ci_url_encoded=1")),
        ("8 KB of nested delivery URLs", text("/", "doc.cloudimg.io/", "a")),
        ("8 KB of a sealed query", text("/a?ci_eqs=", "dz0x", "")),
        ("8 KB of values to encode", text("/a?w=", "!", "")),
        ("4,084 parameters of one letter", format!("/a.jpg?{parameters}")),
        ("2,700 parameters of two letters", format!("/a.jpg?{two_letters}")),
        ("8 KB of bytes to keep, decode and encode", format!("/a{mixed}.jpg")),
        ("the same as a value", format!("/a?w={mixed}a")),
        ("195 parameters with long, similar names", format!("/a.jpg?{names}")),
        ("4,000 empty parameters", text("/a?", "&", "")),
    ];
    let mut base = 0.0;
    for (name, text) in &texts {
        let times: Vec<f64> = (0..rounds.max(1) * 2)
            .map(|_| time(std::slice::from_ref(text), |text| drop(black_box(rules.delivery(text)))))
            .collect();
        let time = median(times);
        if base == 0.0 {
            base = time;
        }
        println!(
            "{:<44}{time:>9.0} ns{:>9.1}x",
            format!("{name} ({} bytes)", text.len()),
            time / base
        );
    }
}
