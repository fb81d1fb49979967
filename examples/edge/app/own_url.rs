//! URLs of this server where only the origin part is expected: copied from a browser's address bar, with the port that the server
//! listens on.
//!
//! The rules of a customer know the customer's hosts. Not known to them: the port, and the loopback names under which the one customer
//! of a server on a developer's machine is reached.

use super::accounts::{Account, is_loopback};
use super::edge::Edge;
use super::fault::Fault;
use cache_index::invalidation::{InvalidationRequest, InvalidationScope};

/// What is expected instead, in the words of the rules.
const EXPECTED: &str = "delivery URL at byte 0: expected its origin part alone";

/// Returns what is behind the host of `entry`, if that is a URL of this server: the path, with its slash, and the query.
pub(crate) fn path_of<'t>(edge: &Edge, account: &Account, entry: &'t str) -> Option<&'t str> {
    let start = ["https://", "http://", "//", "/"].into_iter().find(|start| {
        entry.get(..start.len()).is_some_and(|begun| begun.eq_ignore_ascii_case(start))
    });
    let rest = &entry[start.map_or(0, str::len)..];
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = authority.rsplit_once(':')?;
    let sole = edge.accounts.sole().is_some_and(|sole| sole.number == account.number);
    // Canonical text has no brackets.
    let host = host.replace("%5B", "[").replace("%5D", "]");
    let is_own = account.delivers_from(&host) || (sole && is_loopback(&host));
    (is_own && port.parse() == Ok(edge.delivery_port())).then_some(path)
}

/// # Errors
/// 422 for the first entry that is a URL of this server.
pub(crate) fn check(
    edge: &Edge,
    account: &Account,
    request: &InvalidationRequest,
) -> Result<(), Fault> {
    for (position, text) in request.texts().enumerate() {
        let path = std::str::from_utf8(text).ok().and_then(|text| path_of(edge, account, text));
        if let Some(path) = path {
            let singly = request.scope() == InvalidationScope::Urls;
            return Err(fault(account, position, path, singly));
        }
    }
    Ok(())
}

/// The fault of an entry that is a URL of this server: `path` is what is behind the host. `singly` if it names single renditions.
pub(crate) fn fault(account: &Account, position: usize, path: &str, singly: bool) -> Fault {
    let meant = if singly { path } else { path.split('?').next().unwrap_or_default() };
    let is_valid = if singly {
        account.filing.selection(meant).is_ok()
    } else {
        account.filing.invalidation(meant).is_ok()
    };
    Fault {
        position: Some(position),
        suggestion: is_valid.then(|| meant.into()),
        ..Fault::unprocessable(format!("urls[{position}] names no picture: {EXPECTED}"))
    }
}
