//! The index from a terminal or a pipe: one command a line, fields separated by one TAB, one answer
//! a line.
//!
//! ```text
//! insert TENANT PATH VARIANT VALUE    stored | replaced OLD | refused REASON
//! lookup TENANT PATH VARIANT          miss | live VALUE | stale VALUE
//! lease TENANT PATH NAME              leased
//! commit NAME VARIANT VALUE           stored | replaced OLD | refused REASON
//! drop NAME                           dropped
//! remove TENANT PATH VARIANT VALUE    removed | absent
//! purge TENANT PATH                   purged N
//! purge-soft TENANT PATH              softened N
//! purge-variant TENANT PATH VARIANT   purged N       with all representations of the variant
//! purge-where TENANT PATH OPERATIONS  purged N       variants that include them, as ?w=200
//! purge-prefix TENANT PREFIX          purged         PREFIX is the text before the star
//! purge-prefix-soft TENANT PREFIX     purged
//! flush TENANT                        flushed
//! flush-soft TENANT                   flushed
//! forget TENANT                       forgotten      a later TENANT of that name is another one
//! flush-all                           flushed
//! flush-all-soft                      flushed
//! variants TENANT PATH                KEY [TAB KEY]... | none
//! reclaim N                           reclaimed N
//! stats                               NAME=VALUE [NAME=VALUE]...
//! ```
//!
//! TENANT and NAME are any text, VALUE and N whole numbers. PATH, VARIANT and PREFIX are canonical
//! text, or with `--opaque` any text that isn't empty. A line that is none of these gets
//! `error REASON`, and the shell goes on. Try it:
//!
//! ```sh
//! printf 'lease\tdoc\ta/b.jpg\tL\npurge\tdoc\ta/b.jpg\ncommit\tL\t?w=1\t7\n' | cargo run -p shell
//! printf 'insert\tdoc\ta b.jpg\t300x200\t7\npurge\tdoc\ta b.jpg\n' |
//!   cargo run -p shell -- --opaque
//! ```

use cache_index::canonical::Rules;
use cache_index::{
    CacheIndex, Config, DeadValues, FillLease, Hard, Insertion, Lookup, Mode, OriginPath,
    PathPrefix, Selection, Soft, Tenant, VariantKey,
};
use clap::Parser;
use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

/// The index from a terminal or a pipe: one command a line, fields separated by one TAB, one answer
/// a line
#[derive(Parser)]
#[command(after_help = COMMANDS)]
pub(crate) struct Args {
    /// PATH, VARIANT and PREFIX are any text, not canonical text
    #[arg(long)]
    opaque: bool,
}

const COMMANDS: &str = "\
Commands:
  insert TENANT PATH VARIANT VALUE    stored | replaced OLD | refused REASON
  lookup TENANT PATH VARIANT          miss | live VALUE | stale VALUE
  lease TENANT PATH NAME              leased
  commit NAME VARIANT VALUE           stored | replaced OLD | refused REASON
  drop NAME                           dropped
  remove TENANT PATH VARIANT VALUE    removed | absent
  purge TENANT PATH                   purged N
  purge-soft TENANT PATH              softened N
  purge-variant TENANT PATH VARIANT   purged N
  purge-where TENANT PATH OPERATIONS  purged N
  purge-prefix TENANT PREFIX          purged
  purge-prefix-soft TENANT PREFIX     purged
  flush TENANT                        flushed
  flush-soft TENANT                   flushed
  flush-all                           flushed
  flush-all-soft                      flushed
  forget TENANT                       forgotten
  variants TENANT PATH                KEY [TAB KEY]... | none
  reclaim N                           reclaimed N
  stats                               NAME=VALUE [NAME=VALUE]...";

/// How names are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Canonical,
    Opaque,
}

struct Shell {
    names: Names,
    index: CacheIndex<u64>,
    leases: HashMap<String, FillLease<u64>>,
}

fn main() -> ExitCode {
    let names = if streams::arguments::<Args>().opaque { Names::Opaque } else { Names::Canonical };
    let ended = run(names, io::stdin().lock(), io::stdout().lock());
    match streams::unless_closed(ended) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            streams::complain("shell", error);
            ExitCode::FAILURE
        }
    }
}

/// Answers every line of `input`.
pub(crate) fn run(names: Names, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let config = Config::builder().dead_values(DeadValues::Queue).build();
    let index = CacheIndex::new(config.map_err(io::Error::other)?);
    let mut shell = Shell { names, index, leases: HashMap::new() };
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match streams::text(text).and_then(|text| shell.answer(text)) {
            Ok(answer) => writeln!(output, "{answer}")?,
            Err(reason) => writeln!(output, "error {}", streams::visible(&reason))?,
        }
        // A client that drives the shell through a pipe waits for the answer.
        output.flush()?;
        line.clear();
    }
    Ok(())
}

impl Shell {
    fn answer(&mut self, line: &str) -> Result<String, String> {
        let mut fields = line.split('\t');
        let command = fields.next().unwrap_or_default();
        let fields: Vec<&str> = fields.collect();
        match command {
            "insert" => self.insert(exactly(&fields, ["TENANT", "PATH", "VARIANT", "VALUE"])?),
            "lookup" => self.lookup(exactly(&fields, ["TENANT", "PATH", "VARIANT"])?),
            "lease" => self.lease(exactly(&fields, ["TENANT", "PATH", "NAME"])?),
            "commit" => self.commit(exactly(&fields, ["NAME", "VARIANT", "VALUE"])?),
            "drop" => self.drop(exactly(&fields, ["NAME"])?),
            "remove" => self.remove(exactly(&fields, ["TENANT", "PATH", "VARIANT", "VALUE"])?),
            "variants" => self.variants(exactly(&fields, ["TENANT", "PATH"])?),
            "reclaim" => self.reclaim(exactly(&fields, ["N"])?),
            "stats" => exactly(&fields, []).map(|[]| self.stats()),
            _ => self.invalidate(command, &fields),
        }
    }

    fn invalidate(&self, command: &str, fields: &[&str]) -> Result<String, String> {
        match command {
            "purge" => self.purge(exactly(fields, ["TENANT", "PATH"])?),
            "purge-soft" => self.purge_soft(exactly(fields, ["TENANT", "PATH"])?),
            "purge-variant" => self.purge_variant(exactly(fields, ["TENANT", "PATH", "VARIANT"])?),
            "purge-where" => self.purge_where(exactly(fields, ["TENANT", "PATH", "OPERATIONS"])?),
            "purge-prefix" => self.purge_prefix(exactly(fields, ["TENANT", "PREFIX"])?, Hard),
            "purge-prefix-soft" => self.purge_prefix(exactly(fields, ["TENANT", "PREFIX"])?, Soft),
            "flush" => Ok(self.flush(exactly(fields, ["TENANT"])?, Hard)),
            "flush-soft" => Ok(self.flush(exactly(fields, ["TENANT"])?, Soft)),
            "forget" => Ok(self.forget(exactly(fields, ["TENANT"])?)),
            "flush-all" => Ok(self.flush_all(exactly(fields, [])?, Hard)),
            "flush-all-soft" => Ok(self.flush_all(exactly(fields, [])?, Soft)),
            _ if command.contains(' ') => {
                Err(format!("unknown command {command:?}: fields are separated by TAB"))
            }
            _ => Err(format!("unknown command {command:?}")),
        }
    }

    fn purge(&self, [tenant, path]: [&str; 2]) -> Result<String, String> {
        let gone = self.index.purge(&self.tenant(tenant), &self.names.path(path)?, Hard);
        Ok(format!("purged {}", gone.len()))
    }

    fn purge_soft(&self, [tenant, path]: [&str; 2]) -> Result<String, String> {
        let softened = self.index.purge(&self.tenant(tenant), &self.names.path(path)?, Soft);
        Ok(format!("softened {}", softened.len()))
    }

    fn purge_variant(&self, [tenant, path, variant]: [&str; 3]) -> Result<String, String> {
        let keys = [self.names.variant(variant)?];
        self.purge_selected(tenant, path, Selection::Keys(&keys))
    }

    fn purge_where(&self, [tenant, path, operations]: [&str; 3]) -> Result<String, String> {
        let entry = Rules::default().operations(operations);
        let entries = [entry.map_err(|error| format!("OPERATIONS: {error}"))?];
        self.purge_selected(tenant, path, Selection::Operations(&entries))
    }

    fn purge_selected(
        &self,
        tenant: &str,
        path: &str,
        selection: Selection<'_>,
    ) -> Result<String, String> {
        let (tenant, path) = (self.tenant(tenant), self.names.path(path)?);
        let gone = self.index.purge_selected(&tenant, &path, selection, Hard);
        Ok(format!("purged {}", gone.len()))
    }

    fn purge_prefix<M: Mode>(
        &self,
        [tenant, prefix]: [&str; 2],
        mode: M,
    ) -> Result<String, String> {
        let prefix = self.names.prefix(prefix)?;
        self.index.purge_prefix(&self.tenant(tenant), &prefix, mode);
        Ok("purged".into())
    }

    fn flush<M: Mode>(&self, [tenant]: [&str; 1], mode: M) -> String {
        self.index.flush_tenant(&self.tenant(tenant), mode);
        "flushed".into()
    }

    fn forget(&self, [tenant]: [&str; 1]) -> String {
        self.index.forget_tenant(&self.tenant(tenant));
        "forgotten".into()
    }

    fn flush_all<M: Mode>(&self, []: [&str; 0], mode: M) -> String {
        self.index.flush_all(mode);
        "flushed".into()
    }

    fn tenant(&self, name: &str) -> Tenant {
        self.index.tenant(name)
    }

    fn insert(&self, [tenant, path, variant, value]: [&str; 4]) -> Result<String, String> {
        let (path, variant) = (self.names.path(path)?, self.names.variant(variant)?);
        let insertion = self.index.insert(&self.tenant(tenant), &path, &variant, number(value)?);
        Ok(stored(insertion))
    }

    fn lookup(&self, [tenant, path, variant]: [&str; 3]) -> Result<String, String> {
        let (path, variant) = (self.names.path(path)?, self.names.variant(variant)?);
        Ok(match self.index.lookup(&self.tenant(tenant), &path, &variant) {
            Lookup::Live(value) => format!("live {value}"),
            Lookup::Stale(value) => format!("stale {value}"),
            Lookup::Miss => "miss".into(),
        })
    }

    fn lease(&mut self, [tenant, path, name]: [&str; 3]) -> Result<String, String> {
        let path = self.names.path(path)?;
        if self.leases.contains_key(name) {
            return Err(format!("lease {name:?} is open already"));
        }
        let lease = self.index.lease(&self.tenant(tenant), &path);
        self.leases.insert(name.into(), lease);
        Ok("leased".into())
    }

    fn commit(&mut self, [name, variant, value]: [&str; 3]) -> Result<String, String> {
        let (variant, value) = (self.names.variant(variant)?, number(value)?);
        Ok(stored(self.take(name)?.commit(&variant, value)))
    }

    fn drop(&mut self, [name]: [&str; 1]) -> Result<String, String> {
        self.take(name).map(|_| "dropped".into())
    }

    fn take(&mut self, name: &str) -> Result<FillLease<u64>, String> {
        self.leases.remove(name).ok_or_else(|| format!("no open lease {name:?}"))
    }

    fn remove(&self, [tenant, path, variant, value]: [&str; 4]) -> Result<String, String> {
        let (path, variant) = (self.names.path(path)?, self.names.variant(variant)?);
        let removed = self.index.remove(&self.tenant(tenant), &path, &variant, &number(value)?);
        Ok(removed.map_or("absent", |_| "removed").into())
    }

    fn variants(&self, [tenant, path]: [&str; 2]) -> Result<String, String> {
        let mut keys = self.index.variants(&self.tenant(tenant), &self.names.path(path)?);
        keys.sort();
        let keys: Vec<_> = keys.iter().map(|key| streams::visible(key.as_str())).collect();
        Ok(if keys.is_empty() { "none".into() } else { keys.join("\t") })
    }

    fn reclaim(&self, [limit]: [&str; 1]) -> Result<String, String> {
        let limit = usize::try_from(number(limit)?).unwrap_or(usize::MAX);
        let mut count = 0;
        // One call examines a bounded number of entries; the command means all entries.
        loop {
            let reclaimed = self.index.reclaim(limit - count);
            count += reclaimed.len();
            if reclaimed.is_done() || count == limit {
                return Ok(format!("reclaimed {count}"));
            }
        }
    }

    fn stats(&self) -> String {
        let stats = self.index.stats();
        let pairs: [(&str, &dyn Display); 20] = [
            ("live", &stats.live),
            ("stale", &stats.stale),
            ("dead", &stats.dead),
            ("paths", &stats.paths),
            ("tenants", &stats.tenants),
            ("forgotten_tenants", &stats.forgotten_tenants),
            ("open_leases", &stats.open_leases),
            ("refused_purged", &stats.refused_purged),
            ("refused_flushed", &stats.refused_flushed),
            ("refused_forgotten", &stats.refused_forgotten),
            ("refused_variants", &stats.refused_variants),
            ("refused_paths", &stats.refused_paths),
            ("refused_entries", &stats.refused_entries),
            ("refused_length", &stats.refused_length),
            ("prefix_rules", &stats.prefix_rules),
            ("purges", &stats.purges),
            ("prefix_purges", &stats.prefix_purges),
            ("tenant_flushes", &stats.tenant_flushes),
            ("flushes", &stats.flushes),
            ("bytes", &stats.bytes),
        ];
        pairs.map(|(name, value)| format!("{name}={value}")).join(" ")
    }
}

fn stored(insertion: Insertion<u64>) -> String {
    match insertion {
        Insertion::Stored(stored) => {
            stored.replaced.map_or("stored".into(), |old| format!("replaced {old}"))
        }
        Insertion::Refused(refused) => format!("refused {}", refused.reason),
    }
}

fn exactly<'a, const N: usize>(
    fields: &[&'a str],
    names: [&str; N],
) -> Result<[&'a str; N], String> {
    <[&str; N]>::try_from(fields).map_err(|_| {
        let expected = if N == 0 { "none".into() } else { names.join(" ") };
        let is_spaced = fields.len() < N && fields.iter().any(|field| field.contains(' '));
        let hint = if is_spaced { "; fields are separated by TAB" } else { "" };
        format!("expected {N} fields ({expected}), got {}{hint}", fields.len())
    })
}

impl Names {
    fn path(self, text: &str) -> Result<OriginPath<'_>, String> {
        match self {
            Self::Canonical => OriginPath::from_canonical(text).map_err(|error| error.to_string()),
            Self::Opaque => OriginPath::opaque(text).map_err(|error| error.to_string()),
        }
        .map_err(|error| format!("PATH: {error}"))
    }

    fn variant(self, text: &str) -> Result<VariantKey<'_>, String> {
        match self {
            Self::Canonical => VariantKey::from_canonical(text).map_err(|error| error.to_string()),
            Self::Opaque => VariantKey::opaque(text).map_err(|error| error.to_string()),
        }
        .map_err(|error| format!("VARIANT: {error}"))
    }

    fn prefix(self, text: &str) -> Result<PathPrefix<'_>, String> {
        match self {
            Self::Canonical => PathPrefix::from_canonical(text).map_err(|error| error.to_string()),
            Self::Opaque => PathPrefix::opaque(text).map_err(|error| error.to_string()),
        }
        .map_err(|error| format!("PREFIX: {error}"))
    }
}

fn number(text: &str) -> Result<u64, String> {
    // `parse` alone would take a leading plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| format!("expected a whole number from 0 to {}, got {text:?}", u64::MAX))
}
