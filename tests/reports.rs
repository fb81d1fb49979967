//! The cases of `tests/data/reports.tsv` that concern the library: the report about another cache,
//! and the correct answer.
//!
//! The programs that [`OWNERS`] names run the other kinds. A row of an unknown kind fails.

#[path = "canonical/notation.rs"]
mod notation;

use cache_index::canonical::{Grouping, PathError, Rules};
use cache_index::invalidation::InvalidationRequest;
use cache_index::{
    CacheIndex, Hard, Insertion, Lookup, OriginPath, PathPrefix, Refusal, Selection, Tenant,
    VariantKey,
};
use notation::{Kind, Settings, unescape};

const REPORTS: &str = include_str!("data/reports.tsv");

/// Which file runs the rows of which kind, and how many there are, so that none is passed
/// over or gets lost.
const OWNERS: [(&str, &str, usize); 14] = [
    ("delivery", "tests/reports.rs", 11),
    ("invalidate", "tests/reports.rs", 8),
    ("meet", "tests/reports.rs", 14),
    ("meetkey", "tests/reports.rs", 3),
    ("apart", "tests/reports.rs", 14),
    ("suggest", "tests/reports.rs", 2),
    ("index", "tests/reports.rs", 6),
    ("edge", "examples/edge/tests/edge/reports.rs", 1),
    ("edgeinv", "examples/edge/tests/edge/reports.rs", 4),
    ("body", "examples/edge/tests/edge/reports.rs", 4),
    ("log", "examples/replay/tests/reports.rs", 43),
    ("replay", "examples/replay/tests/reports.rs", 7),
    ("canonicalize", "examples/canonicalize/tests/streams.rs", 3),
    ("shell", "examples/shell/tests/streams.rs", 1),
];

struct Report {
    line: usize,
    kind: &'static str,
    settings: &'static str,
    input: &'static str,
    expected: &'static str,
    reason: &'static str,
}

fn reports() -> Vec<Report> {
    let lines = REPORTS.lines().zip(1..).filter(|(text, _)| !text.starts_with('#'));
    let reports = lines.map(|(text, line)| {
        let fields: Vec<_> = text.split('\t').collect();
        let [kind, settings, input, expected, reason] = fields[..] else {
            panic!("line {line} has {} fields", fields.len());
        };
        Report { line, kind, settings, input, expected, reason }
    });
    reports.collect()
}

/// The names of an input: its origin path, its variant key if it has one, and whether it is a
/// request.
type Named = (String, String, bool);

impl Report {
    fn run(&self) -> Result<(), String> {
        let got = match self.kind {
            "delivery" | "invalidate" => self.names()?,
            "suggest" => self.suggestions()?,
            "index" => on_an_index(self.input)?,
            kind => self.relation(kind)?,
        };
        let Self { line, kind, settings, input, expected, reason } = self;
        if got == *expected {
            return Ok(());
        }
        Err(format!(
            "line {line}: {kind} {settings} {input}\n  {reason}\n  expected {expected}\n  got      {got}\n"
        ))
    }

    fn read(&self, kind: &str, input: &str) -> Result<Result<Named, PathError>, String> {
        let settings = Settings::parse(self.settings)?;
        let read = settings.read(Kind::parse(kind)?, &unescape(input)?);
        Ok(read.map(|(origin, variant)| (origin, variant, kind == "delivery")))
    }

    fn names(&self) -> Result<String, String> {
        Ok(match self.read(self.kind, self.input)? {
            Ok((origin, variant, _)) => format!("{origin} | {variant} | -"),
            Err(error) => format!("- | - | {}", error.kind()),
        })
    }

    fn suggestions(&self) -> Result<String, String> {
        let error = self.read("invalidate", self.input)?.err().ok_or("it is read")?;
        let suggestions: Vec<_> = error.suggestions().collect();
        Ok(format!("{}: {}", error.kind(), suggestions.join(" ;; ")))
    }

    /// How the inputs stand to each other, in the word of the kind.
    fn relation(&self, kind: &str) -> Result<String, String> {
        let mut named = Vec::new();
        for input in self.input.split(" ;; ") {
            let (kind, input) = input.split_once(' ').ok_or("an input has no kind")?;
            named.push(self.read(kind, input)?.map_err(|error| format!("{input}: {error}"))?);
        }
        let pairs = || (1..named.len()).flat_map(|n| (0..n).map(move |m| (m, n)));
        let all = |holds: fn(&Named, &Named) -> bool| {
            pairs().all(|(one, other)| holds(&named[one], &named[other]))
        };
        let (meets, is_apart) = match kind {
            "meet" => (all(|one, other| one.0 == other.0), false),
            "meetkey" => (all(|one, other| (&one.0, &one.1) == (&other.0, &other.1)), false),
            "apart" => {
                let differ = |one: &Named, other: &Named| {
                    one.0 != other.0 || (one.1 != other.1 && one.2 && other.2)
                };
                (false, all(differ))
            }
            _ => return Err(format!("line {}: nobody runs the kind {kind:?}", self.line)),
        };
        Ok(match (meets, is_apart) {
            (true, _) => "meet".to_owned(),
            (_, true) => "apart".to_owned(),
            _ => format!("{named:?}"),
        })
    }
}

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

fn variant(text: &str) -> VariantKey<'_> {
    VariantKey::from_canonical(text).unwrap()
}

fn grouping() -> Rules {
    let rules = Rules::builder().token("doc").custom_host("images.shop.example");
    rules.grouping(Grouping::Grouped).build().unwrap()
}

/// Carries out the steps in `words`, and returns the result.
fn on_an_index(words: &str) -> Result<String, String> {
    let index = CacheIndex::default();
    let cache = Cache { tenant: index.tenant("doc"), index };
    Ok(match words {
        "lease, purge, commit" => cache.commit_behind_a_purge(),
        "insert images/test.jpg; purge-prefix images/test." => {
            cache.insert("images/test.jpg", "?");
            cache.purge_prefix("images/test.");
            cache.lookup("images/test.jpg", "?").to_owned()
        }
        "insert events/termine?page=2 and variant ?page=2; purge-prefix events/" => {
            let stored = [("events/termine?page=2", "?"), ("events/termine", "?page=2")];
            for (origin, key) in stored {
                cache.insert(origin, key);
            }
            cache.purge_prefix("events/");
            let is_miss = |(origin, key): (&str, &str)| cache.lookup(origin, key) == "miss";
            if stored.into_iter().all(is_miss) { "both miss" } else { "a hit" }.to_owned()
        }
        "?w=300, #webp, #WebP; purge-variant ?w=300" => {
            for key in ["?w=300", "?w=300#webp", "?w=300#WebP"] {
                cache.insert("a.jpg", key);
            }
            let keys = [variant("?w=300")];
            let keys = Selection::Keys(&keys);
            cache.index.purge_selected(&cache.tenant, &path("a.jpg"), keys, Hard).len().to_string()
        }
        "edge: 3 spellings, scope urls" => cache.purge_of_three_spellings(),
        "edge with tenants" => cache.hosts_share_entries().to_owned(),
        _ => return Err(format!("nobody takes the steps {words:?}")),
    })
}

struct Cache {
    index: CacheIndex<usize>,
    tenant: Tenant,
}

impl Cache {
    fn insert(&self, origin: &str, key: &str) {
        let insertion = self.index.insert(&self.tenant, &path(origin), &variant(key), 1);
        assert!(insertion.is_stored());
    }

    fn lookup(&self, origin: &str, key: &str) -> &'static str {
        match self.index.lookup(&self.tenant, &path(origin), &variant(key)) {
            Lookup::Miss => "miss",
            _ => "HIT",
        }
    }

    fn purge_prefix(&self, text: &str) {
        let prefix = PathPrefix::from_canonical(text).unwrap();
        let _ = self.index.purge_prefix(&self.tenant, &prefix, Hard);
    }

    fn commit_behind_a_purge(&self) -> String {
        let lease = self.index.lease(&self.tenant, &path("a.jpg"));
        let _ = self.index.purge(&self.tenant, &path("a.jpg"), Hard);
        let insertion = lease.commit(&variant("?"), 1);
        let is_refused =
            matches!(insertion, Insertion::Refused(refused) if refused.reason == Refusal::Purged);
        if is_refused { "refused" } else { "stored" }.to_owned()
    }

    fn purge_of_three_spellings(&self) -> String {
        let rules = grouping();
        for spelling in ["sample.li", "https://Sample.LI:443", "http://sample.li."] {
            let target = format!("/{spelling}/birds.jpg?width=300");
            let request = rules.request_target(&target).unwrap();
            self.insert(request.origin.as_str(), request.variant.as_str());
        }
        let request = InvalidationRequest::builder(&rules).urls(["sample.li/birds.jpg?w=300"]);
        format!("{} removed", self.index.apply(&self.tenant, &request.unwrap()).variants())
    }

    fn hosts_share_entries(&self) -> &'static str {
        let rules = grouping();
        let named = |host: &str| {
            let url = format!("https://{host}/sample.li/birds.jpg?w=300");
            rules.delivery(&url).unwrap().into_owned()
        };
        let (one, other) = (named("doc.cloudimg.io"), named("images.shop.example"));
        self.insert(one.origin.as_str(), one.variant.as_str());
        self.lookup(other.origin.as_str(), other.variant.as_str())
    }
}

#[test]
fn every_report_of_the_library_has_ended_well() {
    let failures: Vec<_> = reports()
        .iter()
        .filter(|report| {
            OWNERS.iter().any(|(kind, owner, _)| (*kind, *owner) == (report.kind, "reports"))
        })
        .filter_map(|report| report.run().err())
        .collect();
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.concat());
}

#[test]
fn every_report_has_a_program_that_runs_it_and_a_reason() {
    let reports = reports();
    for report in &reports {
        let owner = OWNERS.iter().find(|(kind, ..)| *kind == report.kind);
        assert!(owner.is_some(), "line {}: nobody runs the kind {}", report.line, report.kind);
        assert!(report.reason.contains(' '), "line {}: {}", report.line, report.reason);
    }
    for (kind, owner, count) in OWNERS {
        let found = reports.iter().filter(|report| report.kind == kind).count();
        assert_eq!(found, count, "{kind}");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join(owner).is_file(), "{owner}");
    }
}

#[test]
fn the_message_about_a_host_in_another_script_names_its_ascii_form() {
    let international = |report: &Report| report.expected.ends_with("InvalidHost");
    let reports: Vec<_> = reports().into_iter().filter(international).collect();
    assert!(!reports.is_empty());
    for report in reports {
        let error = report.read(report.kind, report.input).unwrap().unwrap_err();
        assert!(error.to_string().contains("\"xn--\""), "{error}");
    }
}
