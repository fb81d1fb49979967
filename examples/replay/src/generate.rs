//! Writes a log of a small shop's image host:
//! - few pictures that are requested often, in a dozen sizes
//! - clients with different spellings
//! - editors who invalidate
//! - a bot that enumerates sizes
//! - lines of scanners and log rotations, as in every log
//!
//! The same seed produces the same log.

use fastrand::Rng;
use jiff::Timestamp;
use std::io::{self, Write};

/// When the log begins: 23 November 2026, midnight.
const BEGIN: i64 = 1_795_392_000;
/// Requests in a second, in the afternoon.
const PER_SECOND: f64 = 60.0;

/// Width and height of the shop's pictures, the most frequent first.
const SIZES: [(u32, u32); 12] = [
    (300, 300),
    (600, 600),
    (150, 150),
    (1200, 800),
    (80, 80),
    (400, 300),
    (800, 600),
    (1600, 1066),
    (240, 180),
    (480, 360),
    (64, 64),
    (2000, 1333),
];
const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "shop-app/4.2 (Android 16)",
    "bot \\x22quoted\\x22 (+https://bot.example/)",
];

struct Writer<W> {
    out: W,
    rng: Rng,
    /// The text before each target.
    root: &'static str,
    pictures: usize,
    /// Seconds since 1970.
    now: f64,
    /// The second of `date`.
    second: i64,
    date: String,
}

/// Writes `lines` lines.
pub(crate) fn generate(out: impl Write, lines: u64, seed: u64, with_v7: bool) -> io::Result<()> {
    let pictures = usize::try_from(lines / 30).unwrap_or(usize::MAX).clamp(20, 200_000);
    let mut writer = Writer {
        out,
        rng: Rng::with_seed(seed),
        root: if with_v7 { "/v7/" } else { "/" },
        pictures,
        now: 0.0,
        second: -1,
        date: String::new(),
    };
    for _ in 0..lines {
        writer.tick();
        writer.line()?;
    }
    writer.out.flush()
}

impl<W: Write> Writer<W> {
    /// Lets time pass: at three in the morning, a fifth of the requests come that come at three in
    /// the afternoon.
    fn tick(&mut self) {
        let hour = self.now / 3600.0;
        let load = 0.6 - 0.4 * (std::f64::consts::TAU * (hour - 3.0) / 24.0).cos();
        self.now += -self.rng.f64().max(1e-12).ln() / (PER_SECOND * load);
        #[expect(clippy::cast_possible_truncation, reason = "a log of years, in seconds")]
        let second = self.now as i64;
        if second != self.second {
            self.second = second;
            self.date = Timestamp::from_second(BEGIN + second)
                .map(|time| time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string())
                .unwrap_or_default();
        }
    }

    fn line(&mut self) -> io::Result<()> {
        match self.rng.u32(0..10_000) {
            0..25 => self.purge(),
            25..28 => self.noise(),
            28..80 => self.bot(),
            _ => self.request(),
        }
    }

    /// One of the pictures: the n-th is asked for half as often as the one at half of n.
    fn picture(&mut self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a number of a picture, from 0 on"
        )]
        let rank = (self.pictures as f64).powf(self.rng.f64()) as usize;
        rank.min(self.pictures) - 1
    }

    fn request(&mut self) -> io::Result<()> {
        let picture = self.picture();
        let name = self.spelled(picture);
        let operations = self.operations();
        let target = format!("{}{name}{operations}", self.root);
        let (method, status) = match self.rng.u32(0..1000) {
            0..3 => ("HEAD", 200),
            3..18 => ("GET", 404),
            18..21 => ("GET", 502),
            21..80 => ("GET", 304),
            _ => ("GET", 200),
        };
        let size = if status == 200 { self.rng.u32(2_000..200_000) } else { 0 };
        self.write(method, &target, status, size)
    }

    /// A name as one of many clients writes it.
    fn spelled(&mut self, picture: usize) -> String {
        let name = name(picture);
        match self.rng.u32(0..100) {
            0..4 => format!("https://{name}"),
            4..7 => name.replace("sample.li", "Sample.LI"),
            7..9 => name.replacen('/', "/./", 1),
            9..11 => name.replace('-', "%2D"),
            _ => name,
        }
    }

    fn operations(&mut self) -> String {
        let popular = self.rng.usize(0..SIZES.len()).min(self.rng.usize(0..SIZES.len()));
        let (w, h) = SIZES[popular];
        match self.rng.u32(0..100) {
            0..55 => format!("?w={w}&h={h}"),
            55..70 => format!("?h={h}&w={w}"),
            70..80 => format!("?width={w}&height={h}"),
            80..88 => format!("?w={w}&h={h}&force_format=webp"),
            88..92 => format!("?w={w}&org_if_sml=1"),
            92..95 => format!("?w={w}&h={h}&v={}", self.rng.u32(1..4)),
            95..97 => format!("?&w={w}&h={h}"),
            _ => String::new(),
        }
    }

    /// Somebody tries all widths of one picture.
    fn bot(&mut self) -> io::Result<()> {
        let (width, size) = (self.rng.u32(1..4000), self.rng.u32(2_000..200_000));
        let target = format!("{}{}?w={width}", self.root, name(7));
        self.write("GET", &target, 200, size)
    }

    fn purge(&mut self) -> io::Result<()> {
        let picture = self.picture();
        let (name, status) = match self.rng.u32(0..100) {
            0..80 => (name(picture), 200),
            80..90 => (self.spelled(picture), 200),
            90..94 => (format!("{}?w=300&h=300", name(picture)), 200),
            94..96 => (format!("sample.li/avatars/{}/*", picture % 10), 200),
            96..98 => (name(picture).replace("sample", "smaple"), 404),
            _ => (name(picture), 403),
        };
        let target = format!("{}{name}", self.root);
        self.write("PURGE", &target, status, 0)
    }

    /// Writes lines that occur in every log.
    fn noise(&mut self) -> io::Result<()> {
        match self.rng.u32(0..4) {
            0 => self.raw("\"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xFC\" 400 157 \"-\" \"-\""),
            1 => self.raw("\"-\" 408 0 \"-\" \"-\""),
            2 => self.raw("\"GET /sample.li/pro"),
            _ => self.write("GET", "/sample.li/products/100%-wool.jpg?w=300", 200, 4000),
        }
    }

    fn write(&mut self, method: &str, target: &str, status: u16, size: u32) -> io::Result<()> {
        let version = if self.rng.bool() { "HTTP/2.0" } else { "HTTP/1.1" };
        let agent = AGENTS[self.rng.usize(0..AGENTS.len())];
        let line = format!(
            "\"{method} {target} {version}\" {status} {size} \"https://shop.example/\" \"{agent}\""
        );
        self.raw(&line)
    }

    fn raw(&mut self, rest: &str) -> io::Result<()> {
        let n = self.rng.u32(..);
        let client = if n % 3 == 0 {
            format!("2001:db8:{:x}::{:x}", n >> 20, n & 0xFFFF)
        } else {
            let [a, b, ..] = n.to_be_bytes();
            format!("198.51.{a}.{b}")
        };
        writeln!(self.out, "{client} - - [{}] {rest}", self.date)
    }
}

fn name(picture: usize) -> String {
    match picture % 10 {
        0..2 => format!("sample.li/avatars/{}/user-{picture}.png", picture / 10 % 10),
        2 => format!("sample.li/blog/caf%C3%A9%20no-{picture}.jpg"),
        _ => format!("sample.li/products/{}/item-{picture}.jpg", picture % 97),
    }
}
