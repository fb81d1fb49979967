//! The command line.

use super::freshness::{DEFAULT_TARGETS, TargetList};
use clap::{Args as Group, Parser};
use std::path::PathBuf;

/// A small caching image CDN edge: resizes pictures, keeps the renditions in memory or in files,
/// and removes them on request.
#[derive(Debug, Parser)]
#[command(name = "edge")]
pub(crate) struct Args {
    /// Where pictures are delivered.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    /// Where invalidations, metrics and the page for the browser are. Not for everybody: `/metrics`
    /// needs no key.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) control: String,

    #[command(flatten)]
    pub(crate) source: Source,

    #[command(flatten)]
    pub(crate) http: HttpWords,

    #[command(flatten)]
    pub(crate) fleet: FleetWords,

    /// A file of tenants, each with a token, a key, and rules of its own. Without it there is one,
    /// called `doc`.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "client_key")]
    pub(crate) tenants: Option<PathBuf>,

    /// The key that a request to invalidate must carry. Without it, one is made up and printed.
    /// Other users of this machine can see command lines; the environment variable is safer.
    #[arg(long, value_name = "KEY", env = "EDGE_CLIENT_KEY", hide_env_values = true)]
    pub(crate) client_key: Option<String>,

    /// Invalidate each spelling of a picture apart (`http://` and `https://`, `%28` and `(`)
    /// instead of all of them together.
    #[arg(long)]
    pub(crate) exact: bool,

    /// How many megabytes of renditions to keep.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) store: u32,

    /// Keep the renditions and the index in this directory, which is created if it is missing. A
    /// restarted edge then goes on where it ended, and no purge is undone by a crash. `--store`
    /// limits the files.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// With `--data`: how many megabytes of renditions to keep in memory as well.
    #[arg(long, value_name = "MB", requires = "data", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,

    /// With `--data`: how often the index is saved. A crash loses the renditions since then.
    #[arg(long, value_name = "SECONDS", requires = "data", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) snapshot_every: u32,

    /// Log as JSON, one object per line. The environment variable EDGE_LOG sets the level: `info`
    /// (the default), or `debug` to include hits.
    #[arg(long)]
    pub(crate) log_json: bool,

    /// Start on free ports, drive the edge over HTTP, print whether each step held, and end.
    #[arg(long, conflicts_with_all = ["listen", "control", "origin", "origin_dir", "tenants", "data", "fleet"])]
    pub(crate) tour: bool,
}

/// The parts of HTTP that are off by default.
#[derive(Debug, Group)]
pub(crate) struct HttpWords {
    /// With `--origin`: respect how long its answers allow a picture to be kept, and to be served
    /// stale. The first valid one of these fields decides (RFC 9213), else `Cache-Control`.
    #[arg(long, value_name = "FIELD,...", requires = "origin", num_args = 0..=1, default_missing_value = DEFAULT_TARGETS, value_parser = TargetList::parse)]
    pub(crate) freshness: Option<TargetList>,

    /// Deliver resized pictures as WebP or JPEG, as the `Accept` of the request says, unless
    /// `force_format` names a format.
    #[arg(long)]
    pub(crate) negotiate: bool,
}

/// The edge in a fleet. Only in a build with the feature `fleet`.
#[derive(Debug, Group)]
pub(crate) struct FleetWords {
    /// Join the fleet of this NATS server: invalidations of any edge reach all of them. Needs a
    /// build with `--features fleet`.
    #[arg(long, value_name = "nats://HOST:PORT,...", requires = "data")]
    pub(crate) fleet: Option<String>,

    /// With `--fleet`: the name of this edge, which no other one may have. Without it, a name is
    /// made up and kept in the directory of the data.
    #[arg(long, value_name = "NAME", requires = "fleet")]
    pub(crate) node: Option<String>,

    /// With `--fleet`: for how long a picture is served as fresh after the last proof that no
    /// invalidation is missing.
    #[arg(long, value_name = "SECONDS", requires = "fleet", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) fresh_for: u32,

    /// With `--fleet`: without such a proof, fetch every picture again instead of serving it stale.
    #[arg(long, requires = "fleet")]
    pub(crate) refuse: bool,

    /// With `--fleet`: other edges ask this one for pictures. A flush over time is a flush at once
    /// here. Without this option, a running one sends them past the cache of this edge.
    #[arg(long, requires = "fleet")]
    pub(crate) as_shield: bool,

    /// Ask another edge of the fleet for pictures, and the origin only if that edge fails. Both
    /// must have the same origin.
    #[arg(long, value_name = "http://HOST:PORT", requires = "fleet", conflicts_with_all = ["tenants", "freshness"])]
    pub(crate) shield: Option<String>,
}

/// Where the pictures come from.
#[derive(Debug, Group)]
#[group(multiple = false)]
pub(crate) struct Source {
    /// A web server of your own pictures: paths are below this URL. Without it, some sample
    /// pictures are served.
    #[arg(long, value_name = "http://HOST[:PORT]/[PATH/]")]
    pub(crate) origin: Option<String>,

    /// A folder of your own pictures (JPEG, PNG, WebP).
    #[arg(long, value_name = "DIR")]
    pub(crate) origin_dir: Option<PathBuf>,
}
