//! The load of an origin after a flush: at once, and spread over time.
//!
//! `cargo run --release -p load --bin flush-load` fills an index, flushes it after ten seconds, and
//! counts the fetches from the origin in each second. The time is simulated and the requests have a
//! fixed seed, so each run prints the same figures.

use cache_index::{
    CacheIndex, Config, Freshness, Hard, Lookup, ManualClock, OriginPath, OverTime, Tenant,
    VariantKey,
};
use clap::Parser;
use plotters::prelude::*;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Shows the load of an origin after a flush at once and after a flush over time.
#[derive(Debug, Parser)]
#[command(name = "flush-load")]
struct Args {
    /// How many pictures are cached, each in five sizes.
    #[arg(long, default_value_t = 20_000)]
    pictures: usize,

    /// How many requests there are a second.
    #[arg(long, default_value_t = 20_000)]
    requests: u32,

    /// The duration of the flush over time.
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// Writes a chart as well.
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
}

/// The seconds before the flush.
const BEFORE: u64 = 10;
const SIZES: [&str; 5] = ["100w", "200w", "400w", "800w", "1600w"];

/// A way to flush.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    over_time: Option<Freshness>,
    color: RGBColor,
}

const WAYS: [Way; 3] = [
    Way { name: "at once", over_time: None, color: RGBColor(0xb0, 0x3a, 0x2e) },
    Way {
        name: "over time, stale until then",
        over_time: Some(Freshness::Stale),
        color: RGBColor(0x8d, 0xa0, 0xb8),
    },
    Way {
        name: "over time, live until then",
        over_time: Some(Freshness::Live),
        color: RGBColor(0x0b, 0x6e, 0x4f),
    },
];

/// The counts of one second.
#[derive(Clone, Copy, Default)]
struct Second {
    /// Requests that wait for the origin.
    misses: u32,
    /// Fetches of stale pictures, for which nobody waits.
    refreshes: u32,
}

impl Second {
    fn fetches(self) -> u32 {
        self.misses + self.refreshes
    }
}

fn main() -> ExitCode {
    match run(&streams::arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            streams::complain("flush-load", reason);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    if args.pictures == 0 || args.requests == 0 || args.seconds == 0 {
        return Err("pictures, requests and seconds must be more than none".to_owned());
    }
    let runs: Vec<_> = WAYS.iter().map(|way| (way, Site::new(args).run(args, way))).collect();
    let mut text = format!(
        "{} pictures in {} sizes, {} requests a second, flushed after {BEFORE} s, over {} s\n\n",
        args.pictures,
        SIZES.len(),
        args.requests,
        args.seconds
    );
    let heading = ["flush", "fetches in the worst second", "misses in the worst second", "fetches"];
    let _ = writeln!(text, "| {} |\n|---|---:|---:|---:|", heading.join(" | "));
    for (way, seconds) in &runs {
        let most = |of: fn(Second) -> u32| seconds.iter().copied().map(of).max().unwrap_or(0);
        let (fetches, misses) = (most(Second::fetches), most(|second| second.misses));
        let all: u32 = seconds.iter().copied().map(Second::fetches).sum();
        let _ = writeln!(text, "| {} | {fetches} | {misses} | {all} |", way.name);
    }
    streams::print(&text).map_err(|error| error.to_string())?;
    if let Some(file) = &args.chart {
        draw(&runs, file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// A cached site, and its visitors.
struct Site {
    index: CacheIndex<()>,
    clock: ManualClock,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    sizes: [VariantKey<'static>; 5],
    random: fastrand::Rng,
}

impl Site {
    fn new(args: &Args) -> Self {
        let clock = ManualClock::default();
        let config = Config::builder().manual_clock(&clock).build().expect("it is in range");
        let index = CacheIndex::new(config);
        let name = |n| OriginPath::opaque(format!("shop.example/{n}.jpg")).expect("a name");
        let site = Self {
            tenant: index.tenant("shop"),
            index,
            clock,
            paths: (0..args.pictures).map(name).collect(),
            sizes: SIZES.map(|size| VariantKey::opaque(size).expect("a name")),
            random: fastrand::Rng::with_seed(7),
        };
        for path in &site.paths {
            for size in &site.sizes {
                assert!(site.index.insert(&site.tenant, path, size, ()).is_stored());
            }
        }
        site
    }

    fn run(mut self, args: &Args, way: &Way) -> Vec<Second> {
        let step = Duration::from_secs(1) / args.requests;
        let seconds = 0..BEFORE + args.seconds + 20;
        let counted = seconds.map(|second| {
            if second == BEFORE {
                self.flush(args, way);
            }
            let mut count = Second::default();
            for _ in 0..args.requests {
                self.request(&mut count);
                self.clock.advance(step);
            }
            count
        });
        counted.collect()
    }

    fn flush(&self, args: &Args, way: &Way) {
        match way.over_time {
            None => self.index.flush_tenant(&self.tenant, Hard),
            Some(freshness) => {
                let over = OverTime::new(Duration::from_secs(args.seconds)).serving(freshness);
                self.index.flush_tenant_over(&self.tenant, over)
            }
        };
    }

    /// One request. The answer of the origin is stored before the next one.
    fn request(&mut self, count: &mut Second) {
        // Some pictures are requested far more often than others.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the number of pictures"
        )]
        let number = (self.random.f64().powi(3) * self.paths.len() as f64) as usize;
        let (path, size) = (&self.paths[number], &self.sizes[self.random.usize(0..SIZES.len())]);
        match self.index.lookup(&self.tenant, path, size) {
            Lookup::Live(()) => return,
            Lookup::Stale(()) => count.refreshes += 1,
            Lookup::Miss => count.misses += 1,
        }
        assert!(self.index.lease(&self.tenant, path).commit(size, ()).is_stored());
    }
}

fn draw(
    runs: &[(&Way, Vec<Second>)],
    file: &Path,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    const LEFT: i32 = 70;
    const BOTTOM: i32 = 300;
    const WIDTH: i32 = 760;
    let most = runs.iter().flat_map(|(_, seconds)| seconds).map(|second| second.fetches());
    let most = f64::from(most.max().unwrap_or(1).max(1));
    let count = i32::try_from(runs[0].1.len()).unwrap_or(1);
    let root = SVGBackend::new(file, (860, 350)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = ("sans-serif", 16).into_font().style(FontStyle::Bold);
    root.draw(&Text::new("fetches from the origin in each second", (14, 12), title))?;
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let y = |fetches: f64| BOTTOM - (fetches / most * 240.0).round() as i32;
    for part in [0.0, 0.5, 1.0] {
        let line = vec![(LEFT, y(most * part)), (LEFT + WIDTH, y(most * part))];
        root.draw(&PathElement::new(line, RGBColor(0xd9, 0xd3, 0xc2)))?;
        let label = format!("{:.0}", most * part);
        root.draw(&Text::new(label, (14, y(most * part) - 8), ("sans-serif", 15)))?;
    }
    for second in (0..count).step_by(10) {
        let x = LEFT + second * WIDTH / count;
        root.draw(&Text::new(format!("{second} s"), (x, BOTTOM + 8), ("sans-serif", 15)))?;
    }
    for (row, (way, seconds)) in (0..).zip(runs) {
        let points = (0..).zip(seconds).map(|(second, counts)| {
            (LEFT + second * WIDTH / count, y(f64::from(counts.fetches())))
        });
        root.draw(&PathElement::new(points.collect::<Vec<_>>(), way.color.stroke_width(2)))?;
        let top = 50 + row * 22;
        root.draw(&Rectangle::new([(520, top), (540, top + 12)], way.color.filled()))?;
        root.draw(&Text::new(way.name, (548, top), ("sans-serif", 15)))?;
    }
    root.present()
}
