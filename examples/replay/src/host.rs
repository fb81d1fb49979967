//! The site that a line is about, where its log holds several.

use super::line::Line;
use std::net::IpAddr;

/// Whether `line` names a host other than `host`. A line that names none is about the only site of
/// its log.
///
/// A host is looked for in an absolute target, in the first column with or without a port, in the
/// second field, and between date and request.
pub(crate) fn is_other(host: &[u8], line: &Line<'_>) -> bool {
    if let (Some(named), _) = split_target(&line.target) {
        return !is_same(host, named);
    }
    let before: Vec<_> = fields(line.before).take(2).collect();
    let columns = [before.first(), before.get(1)].map(Option::<&&[u8]>::copied);
    let between = || fields(line.between);
    if columns.into_iter().flatten().chain(between()).any(|field| is_same(host, field)) {
        return false;
    }
    let [Some(first), Some(second)] = columns else {
        return between().any(is_name);
    };
    // A client can also have a name, but no port, and no address follows it.
    let with_port = without_port(first).len() < first.len();
    let begins_with_site = (is_name(first) || with_port) && is_address(second);
    begins_with_site || is_name(second) || between().any(is_name)
}

/// Splits `http://host:port/path` into the host with its port, and the path. Most targets are a
/// path alone.
pub(crate) fn split_target(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else { return (None, target) };
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    (Some(&rest[..end]), &rest[end..])
}

fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b' ')
        .map(|field| field.strip_prefix(b"\"").unwrap_or(field))
        .map(|field| field.strip_suffix(b"\"").unwrap_or(field))
        .filter(|field| !field.is_empty())
}

fn is_same(host: &[u8], named: &[u8]) -> bool {
    let name = without_port(named);
    name.strip_suffix(b".").unwrap_or(name).eq_ignore_ascii_case(host)
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon)
            if host[colon + 1..].iter().all(u8::is_ascii_digit) && !is_bare_address(host) =>
        {
            &host[..colon]
        }
        _ => host,
    }
}

/// Whether `field` is a name with a dot whose last part is not a number, as hosts have it and users
/// and clients mostly don't.
fn is_name(field: &[u8]) -> bool {
    let host = without_port(field);
    let mut labels = host.strip_suffix(b".").unwrap_or(host).rsplit(|&byte| byte == b'.');
    let last = labels.next().unwrap_or_default();
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && label.iter().all(|&byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || byte >= 0x80
            })
    };
    let mut count = 0;
    labels.all(|label| {
        count += 1;
        is_label(label)
    }) && count > 0
        && is_label(last)
        && !last.iter().all(u8::is_ascii_digit)
}

fn is_address(field: &[u8]) -> bool {
    is_bare_address(field) || is_bare_address(without_port(field))
}

fn is_bare_address(field: &[u8]) -> bool {
    let text = std::str::from_utf8(field).unwrap_or_default();
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Dates;

    fn is_other_site(begin: &str, between: &str, target: &str) -> bool {
        let line =
            format!("{begin}[24/Nov/2026:20:24:17 +0000] {between}\"GET {target} HTTP/1.1\" 200 1");
        is_other(b"img.example", &Line::read(line.as_bytes(), &mut Dates::default()).unwrap())
    }

    #[test]
    fn the_host_is_found_wherever_logs_put_it() {
        for (begin, between, target) in [
            ("img.example 192.0.2.7 - - ", "", "/a"),
            ("img.example:443 192.0.2.7 - - ", "", "/a"),
            ("IMG.example. 2001:db8::1 - - ", "", "/a"),
            ("\"img.example\" 192.0.2.7 - - ", "", "/a"),
            ("192.0.2.7 img.example someone ", "", "/a"),
            ("192.0.2.7 img.example:443 - - ", "", "/a"),
            ("192.0.2.7 - - ", "img.example ", "/a"),
            ("192.0.2.7 - - ", "\"img.example\" ", "/a"),
            ("192.0.2.7 - - ", "", "http://img.example:6081/a"),
            // No host is named at all.
            ("192.0.2.7 - - ", "", "/a"),
            ("192.0.2.7 - some.one ", "", "/a"),
            ("2001:db8::1 - - ", "[0.003] ", "/a"),
            ("192.0.2.7 198.51.100.9 - - ", "", "/a"),
            ("crawler.client.example - - ", "", "/a"),
            ("", "", "/a"),
        ] {
            assert!(!is_other_site(begin, between, target), "{begin}{between}{target}");
        }
    }

    #[test]
    fn another_host_is_found_there_as_well() {
        for (begin, between, target) in [
            ("blog.example 192.0.2.7 - - ", "", "/a"),
            ("blog.example:443 192.0.2.7 - - ", "", "/a"),
            ("blog.example:443 crawler.client.example - - ", "", "/a"),
            ("localhost:80 192.0.2.7 - - ", "", "/a"),
            ("198.51.100.9:80 192.0.2.7 - - ", "", "/a"),
            ("192.0.2.7 blog.example someone ", "", "/a"),
            ("192.0.2.7 - - ", "blog.example ", "/a"),
            ("img.example 192.0.2.7 - - ", "", "http://blog.example/a"),
            ("my-img.example 192.0.2.7 - - ", "", "/a"),
        ] {
            assert!(is_other_site(begin, between, target), "{begin}{between}{target}");
        }
    }
}
