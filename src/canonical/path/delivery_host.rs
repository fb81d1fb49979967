//! First part of a request: whether it belongs to this tenant, and where its path starts.
//!
//! Invariant: neither the scheme nor the host of a delivery URL is part of any key. Not here:
//! delivery hosts in the place of an origin, which the form of the origin detects.

use super::super::error::{Fault, Result};
use super::super::rules::Rules;
use super::host::split_port;
use super::segments::leading_slashes;

/// The texts that are accepted as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) enum Reference {
    /// A URL, with or without its scheme, or its path alone.
    Url,
    /// The target of a request line. It does not name a host, however many slashes it starts with.
    Target,
}

/// Returns the position where the path of a delivery URL or of a request target starts.
#[inline]
pub(in crate::canonical) fn path_start(
    input: &[u8],
    reference: Reference,
    rules: &Rules,
) -> Result<usize> {
    if reference == Reference::Target && input.first() == Some(&b'/') {
        return Ok(leading_slashes(input) - 1);
    }
    let Some(start) = authority_start(input) else {
        let fault = match reference {
            Reference::Url => Fault::NotADeliveryUrl,
            Reference::Target => Fault::NotARequestTarget,
        };
        return if input.first() == Some(&b'/') { Ok(0) } else { Err(fault.at(0)) };
    };
    let rest = &input[start..];
    if let Some(host) = rules.hosts().find(|host| rest.starts_with(host)) {
        // Nearly always, the host is written as in the rules.
        if matches!(rest.get(host.len()), None | Some(b'/' | b'?')) {
            return Ok(start + host.len());
        }
    }
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (host, port) = split_port(&rest[..len]);
    if rules.delivers_from(host, port) {
        Ok(start + len)
    } else {
        Err(Fault::ForeignHost.at(start))
    }
}

fn authority_start(input: &[u8]) -> Option<usize> {
    let starts =
        |start: &[u8]| input.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
    match input.first()? {
        _ if input.starts_with(b"https://") => Some("https://".len()),
        b'/' if input.get(1) == Some(&b'/') => Some("//".len()),
        b'h' | b'H' => {
            [&b"https://"[..], b"http://"].into_iter().find(|start| starts(start)).map(<[u8]>::len)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::PathErrorKind::ForeignHost;
    use super::*;

    #[test]
    fn delivery_hosts_are_told_from_others() {
        let rules = Rules::builder().token("doc").custom_host("Img.Example.com").build().unwrap();
        let start = |input: &str| {
            path_start(input.as_bytes(), Reference::Url, &rules)
                .map_err(|e| (e.kind(), e.byte_offset()))
        };
        for (input, expected) in [
            ("/a.jpg", Ok(0)),
            ("https://doc.cloudimg.io/a.jpg", Ok(23)),
            ("HTTP://DOC.cloudimg.io:80/a.jpg", Ok(25)),
            ("//img.example.com:443/a.jpg", Ok(21)),
            ("//img.example.com:?w=1", Ok(18)),
            ("//img.example.com", Ok(17)),
            ("//img.example.com:8080/a.jpg", Err((ForeignHost, 2))),
            ("https://xdoc.cloudimg.io/", Err((ForeignHost, 8))),
            ("https://doc.cloudimg.io./", Err((ForeignHost, 8))),
            ("https://doc.cloudimg.io@evil.example/", Err((ForeignHost, 8))),
            ("https:/doc.cloudimg.io/a.jpg", Err((ForeignHost, 0))),
            ("ftp://doc.cloudimg.io/a.jpg", Err((ForeignHost, 0))),
            ("///doc.cloudimg.io/a.jpg", Err((ForeignHost, 2))),
            ("sample.li/a.jpg", Err((ForeignHost, 0))),
            ("", Err((ForeignHost, 0))),
        ] {
            assert_eq!(start(input), expected, "{input}");
        }
    }
}
