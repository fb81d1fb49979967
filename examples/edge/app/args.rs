//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// A small caching image CDN edge: resizes pictures, keeps the renditions in memory, and forgets them when it is told to.
#[derive(Debug, Parser)]
#[command(name = "edge")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    /// A folder of your own pictures (JPEG, PNG, WebP). Without it, some sample pictures are served.
    #[arg(long, value_name = "DIR")]
    pub(crate) origin_dir: Option<PathBuf>,

    /// The key that a request to invalidate must carry. Without it, one is made up and printed. Other users of this machine can
    /// see command lines; the environment variable is safer.
    #[arg(long, value_name = "KEY", env = "EDGE_CLIENT_KEY", hide_env_values = true)]
    pub(crate) client_key: Option<String>,

    /// Invalidate each spelling of a picture apart (`http://` and `https://`, `%28` and `(`) instead of all of them together.
    #[arg(long)]
    pub(crate) exact: bool,

    /// Start on a free port, try everything out over HTTP, say of each step whether it held, and end.
    #[arg(long, conflicts_with_all = ["listen", "origin_dir"])]
    pub(crate) tour: bool,
}
