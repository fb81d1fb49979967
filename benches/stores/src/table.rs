//! `Table`: the results as Markdown.

use crate::Options;
use crate::flips::Counts;
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

const STORES: [&str; 3] = ["cache-index-persist", "redb", "SQLite"];

pub(crate) const SINGLE: &str = "1 caller";
pub(crate) const TOGETHER: &str = "64 callers";
pub(crate) const BATCHED: &str = "64 callers, batched by a thread";

#[derive(Default)]
pub(crate) struct Table {
    /// Syncs a second without a store, in each turn.
    bare: Vec<f64>,
    /// The rows with the texts of each store.
    rows: Vec<Row>,
    purges: Vec<(&'static str, &'static str, f64)>,
}

struct Row {
    name: String,
    store: &'static str,
    text: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the rate of one sync without a store.
    pub(crate) fn bare(&mut self, rate: f64) {
        self.bare.push(rate);
    }

    /// Adds the rate of purges in one turn.
    pub(crate) fn purges(&mut self, store: &'static str, what: &'static str, rate: f64) {
        self.purges.push((store, what, rate));
    }

    pub(crate) fn entries(
        &mut self,
        store: &'static str,
        entries: u64,
        bytes: u64,
        saving: Duration,
        opening: Duration,
    ) {
        let tenths = bytes * 10 / entries.max(1);
        self.row("snapshot, bytes an entry", store, format!("{}.{}", tenths / 10, tenths % 10));
        self.row("snapshot, seconds", store, format!("{:.2}", saving.as_secs_f64()));
        self.row("start with it, seconds", store, format!("{:.2}", opening.as_secs_f64()));
    }

    pub(crate) fn flips(&mut self, store: &'static str, counts: Counts) {
        for (name, count) in [
            ("flipped bits: noticed", counts.noticed),
            ("flipped bits: without effect", counts.unharmed),
            ("flipped bits: entries missing, no error", counts.missing),
            ("flipped bits: purge undone or value wrong, no error", counts.wrong),
        ] {
            self.row(name, store, count.to_string());
        }
    }

    fn row(&mut self, name: &str, store: &'static str, text: String) {
        self.rows.push(Row { name: name.to_owned(), store, text });
    }

    /// Returns the whole table, with the command that prints it.
    pub(crate) fn markdown(mut self, options: &Options) -> String {
        let others = std::mem::take(&mut self.rows);
        for what in [SINGLE, TOGETHER, BATCHED] {
            for store in STORES {
                let rates = self.purges.iter().filter(|(s, w, _)| (*s, *w) == (store, what));
                let rate = median(rates.map(|(_, _, rate)| *rate).collect());
                let name = format!("acknowledged purges a second, {what}");
                self.row(&name, store, format!("{rate:.0}"));
            }
        }
        self.rows.extend(others);
        let mut out = String::new();
        self.write(&mut out, options).expect("writing to a string does not fail");
        out
    }

    fn write(&self, out: &mut String, options: &Options) -> std::fmt::Result {
        let Options { purges, purges_of_each, rounds, entries, flips, .. } = options;
        writeln!(out, "```sh\ncargo run --release -p stores -- --purges {purges} \\")?;
        writeln!(out, "  --purges-of-each {purges_of_each} --rounds {rounds} \\")?;
        writeln!(out, "  --entries {entries} --flips {flips}\n```\n")?;
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(out, "{cores} cores, redb 4.6.0, SQLite {}.", rusqlite::version())?;
        let bare = median(self.bare.clone());
        writeln!(out, "A bare `fdatasync` beside the purges: {bare:.0} a second.\n")?;
        writeln!(out, "| | {} |\n|---|---:|---:|---:|", STORES.join(" | "))?;
        let mut names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(*name));
        for name in names {
            let of = |store| {
                let is_of = |row: &&Row| row.name == name && row.store == store;
                self.rows.iter().find(is_of).map_or("", |row| row.text.as_str())
            };
            writeln!(out, "| {name} | {} |", STORES.map(of).join(" | "))?;
        }
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
