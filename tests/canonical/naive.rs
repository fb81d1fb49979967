//! A second implementation of the rules, as slow and as plain as possible. Every step copies its
//! whole text, no code is shared with the library, and no position is kept. A result on which both
//! agree is hardly wrong by a slip.

pub(crate) struct Naive {
    pub(crate) hosts: Vec<String>,
    pub(crate) v7: &'static str,
    pub(crate) prefix: Option<String>,
    pub(crate) hosts_are_told: bool,
    pub(crate) wildcards: bool,
}

/// Origin and variant key, or the name of an error.
pub(crate) type Outcome = Result<(String, String), &'static str>;

const UNRESERVED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
const SUB_DELIMITERS_AND_MORE: &str = "!$&'()*+,;=:@/";

impl Naive {
    pub(crate) fn delivery(&self, input: &[u8]) -> Outcome {
        check(input)?;
        let lower = input.to_ascii_lowercase();
        let rest = if lower.starts_with(b"https://") {
            Some(&input[8..])
        } else if lower.starts_with(b"http://") {
            Some(&input[7..])
        } else if lower.starts_with(b"//") {
            Some(&input[2..])
        } else {
            None
        };
        let target = match rest {
            Some(rest) => {
                let end = rest.iter().position(|b| *b == b'/' || *b == b'?').unwrap_or(rest.len());
                if !self.is_delivery_host(&text(&rest[..end])) {
                    return Err("ForeignHost");
                }
                &rest[end..]
            }
            None if input.starts_with(b"/") => input,
            None => return Err("ForeignHost"),
        };
        let (path, query) = cut(target);
        self.request(&path, query.as_deref(), 0)
    }

    pub(crate) fn invalidation(&self, input: &[u8]) -> Outcome {
        check(input)?;
        let (path, query) = cut(input);
        let encoded = match query.as_deref() {
            None => false,
            Some(b"ci_url_encoded=1") => true,
            Some(_) => return Err("QueryNotAllowed"),
        };
        self.origin(&path, encoded, None).map(|(origin, _)| (origin, "-".into()))
    }

    pub(crate) fn selection(&self, input: &[u8]) -> Outcome {
        check(input)?;
        let (path, query) = cut(input);
        let (key, encoded) = key(query.as_deref())?;
        self.origin(&path, encoded, None).map(|(origin, _)| (origin, key))
    }

    fn request(&self, path: &[u8], query: Option<&[u8]>, depth: usize) -> Outcome {
        let (key, encoded) = key(query)?;
        let (origin, inner) = self.origin(path, encoded, Some(depth))?;
        Ok((origin, inner + &key))
    }

    fn is_delivery_host(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.hosts.iter().any(|host| {
            [host.clone(), format!("{host}:"), format!("{host}:80"), format!("{host}:443")]
                .contains(&authority)
        })
    }

    /// The origin, and the key of a nested delivery URL; `depth` is given for requests only.
    fn origin(&self, path: &[u8], encoded: bool, depth: Option<usize>) -> Outcome {
        let mut path = without_slashes(path);
        let has_v7 = path == b"v7" || path.starts_with(b"v7/");
        match (self.v7, has_v7) {
            ("required", false) => return Err("MissingV7"),
            ("none", true) => return Err("UnexpectedV7"),
            (_, true) => path = without_slashes(&path[2..]),
            (_, false) => {}
        }
        if path.is_empty() {
            return Err("Empty");
        }
        if self.wildcards && depth.is_none() {
            let before_end = &path[..path.len() - 1];
            if path.starts_with(b"^") || before_end.contains(&b'*') {
                return Err("WildcardNotAllowed");
            }
        }
        let mut own_query = None;
        if encoded {
            path = without_slashes(&decode(&path)?);
            check_bytes(&path)?;
            (path, own_query) = cut(&path);
            if path.is_empty() {
                return Err("Empty");
            }
        }
        let normal = normalize(&path, SUB_DELIMITERS_AND_MORE)?;
        self.settled(&normal, own_query.as_deref(), depth)
    }

    fn settled(&self, path: &str, own_query: Option<&[u8]>, depth: Option<usize>) -> Outcome {
        let (head, rest, host) = self.form(path)?;
        if host.is_some_and(|host| self.is_delivery_host(&host)) {
            let depth = depth.ok_or("DeliveryUrl")?;
            if path.to_ascii_lowercase().starts_with("ftp:") {
                return Err("ForeignHost");
            }
            if depth == 4 {
                return Err("DeliveryUrl");
            }
            return self.request(rest.as_bytes(), own_query, depth + 1);
        }
        let resolved = if head.is_empty() {
            let resolved = dots(&rest)?;
            let resolved = resolved.trim_start_matches('/');
            if resolved != rest {
                // The first segment is another one now.
                if resolved.is_empty() {
                    return Err("Empty");
                }
                return self.settled(resolved, own_query, depth);
            }
            resolved.to_owned()
        } else {
            format!("{head}/{}", dots(rest.strip_prefix('/').unwrap_or(&rest))?)
        };
        if let Some(prefix) = &self.prefix {
            if resolved == *prefix || resolved.starts_with(&format!("{prefix}/")) {
                return Err("PrefixIncluded");
            }
        }
        if own_query.is_none() && resolved.ends_with('*') && !(self.wildcards && depth.is_none()) {
            return Err("WildcardNotAllowed");
        }
        let own_query = match own_query {
            Some(query) => {
                format!("?{}", normalize(query, &format!("{SUB_DELIMITERS_AND_MORE}?"))?)
            }
            None => String::new(),
        };
        Ok((resolved + &own_query, String::new()))
    }

    /// Returns the head of an origin in its canonical spelling, the text after it, and the
    /// authority if there is one.
    fn form(&self, path: &str) -> Result<(String, String, Option<String>), &'static str> {
        let lower = path.to_ascii_lowercase();
        for scheme in ["http", "https"] {
            if let Some(rest) = lower.strip_prefix(&format!("{scheme}:/")) {
                let slashes = rest.len() - rest.trim_start_matches('/').len();
                return url(scheme, &path[scheme.len() + 2 + slashes..]);
            }
        }
        if let Some((scheme, rest)) = path.split_once("://") {
            let mut letters = scheme.chars();
            let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
            if first && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
                if scheme.eq_ignore_ascii_case("ftp") {
                    return url("ftp", rest);
                }
                return Err("UnsupportedScheme");
            }
        }
        let Some((first, rest)) = path.split_once('/') else {
            return Ok((String::new(), path.into(), None));
        };
        let rest = format!("/{rest}");
        if first.len() >= 3 && first.starts_with('_') && first.ends_with('_') {
            return Ok((first.into(), rest, None));
        }
        let is_host = looks_like_host(first) || self.is_delivery_host(first);
        if self.hosts_are_told && is_host {
            return Ok((first.to_ascii_lowercase(), rest, Some(first.into())));
        }
        Ok((String::new(), path.into(), None))
    }
}

fn url(scheme: &str, rest: &str) -> Result<(String, String, Option<String>), &'static str> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("UserInfo");
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err("InvalidHost");
    }
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return Err("InvalidHost");
    }
    let host = host.to_ascii_lowercase();
    let port = port.trim_start_matches('0');
    let is_zero = authority.contains(":0") && port.is_empty();
    let number: u64 = if port.is_empty() { 0 } else { port.parse().map_err(|_| "InvalidHost")? };
    if number > 65535 {
        return Err("InvalidHost");
    }
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 21,
    };
    let authority = if is_zero || (number != 0 && number != default) {
        format!("{host}:{number}")
    } else {
        host
    };
    Ok((format!("{scheme}://{authority}"), path.into(), Some(authority)))
}

fn looks_like_host(segment: &str) -> bool {
    let (host, port) = match segment.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (segment, None),
    };
    if port.is_some_and(|p| p.is_empty() || p.len() > 5 || !p.chars().all(|c| c.is_ascii_digit())) {
        return false;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels[labels.len() - 1];
    labels.len() >= 2
        && labels.iter().all(|l| {
            !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        })
        && ((last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic()))
            || (last.len() > 4 && last.to_ascii_lowercase().starts_with("xn--")))
}

fn dots(path: &str) -> Result<String, &'static str> {
    let segments: Vec<&str> = path.split('/').collect();
    let mut kept: Vec<&str> = Vec::new();
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => drop(kept.pop().ok_or("Traversal")?),
            other => kept.push(other),
        }
    }
    if matches!(segments.last(), Some(&"." | &"..")) && !kept.is_empty() {
        kept.push("");
    }
    Ok(kept.join("/"))
}

fn check(input: &[u8]) -> Result<(), &'static str> {
    if input.len() > 8192 {
        return Err("TooLong");
    }
    check_bytes(input)?;
    if input.starts_with(b" ") || input.ends_with(b" ") || input.starts_with("\u{feff}".as_bytes())
    {
        return Err("InvalidCharacter");
    }
    Ok(())
}

fn check_bytes(input: &[u8]) -> Result<(), &'static str> {
    if input.iter().any(u8::is_ascii_control) {
        return Err("ControlByte");
    }
    if input.contains(&b'#') { Err("Fragment") } else { Ok(()) }
}

fn without_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().copied().skip_while(|b| *b == b'/').collect()
}

fn cut(input: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut parts = input.splitn(2, |b| *b == b'?');
    let path = parts.next().unwrap_or_default().to_vec();
    (path, parts.next().map(<[u8]>::to_vec))
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The units of a text: each raw byte, and the byte of each escape.
fn units(input: &[u8]) -> Result<Vec<(bool, u8)>, &'static str> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < input.len() {
        if input[at] == b'%' {
            let digits = input.get(at + 1..at + 3).ok_or("InvalidEscape")?;
            let digits = text(digits);
            if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err("InvalidEscape");
            }
            out.push((true, u8::from_str_radix(&digits, 16).map_err(|_| "InvalidEscape")?));
            at += 3;
        } else {
            out.push((false, input[at]));
            at += 1;
        }
    }
    Ok(out)
}

fn decode(input: &[u8]) -> Result<Vec<u8>, &'static str> {
    Ok(units(input)?.into_iter().map(|(_, byte)| byte).collect())
}

fn normalize(input: &[u8], also_raw: &str) -> Result<String, &'static str> {
    let mut out = String::new();
    for (escaped, byte) in units(input)? {
        let char = char::from(byte);
        if UNRESERVED.contains(char) || (!escaped && also_raw.contains(char)) {
            out.push(char);
        } else if byte.is_ascii_control() {
            return Err("ControlByte");
        } else if !escaped && char == '\\' {
            return Err("InvalidCharacter");
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    Ok(out)
}

const PAIRS: [(&str, &str); 7] = [
    ("width", "w"),
    ("height", "h"),
    ("grey", "gray"),
    ("pixellate", "pixelate"),
    ("bg_colour", "bg_color"),
    ("bg_colourise", "bg_colorize"),
    ("wat_colour", "wat_color"),
];

/// The parameters that have a place in the order, by their canonical names; `ci_sign` and `ci_seal`
/// are dropped.
const KNOWN: &str = "w h org_if_sml func gravity tl_px br_px aspect_ratio ar face_margin dpr flip r trim \
    radius sharp margin fit_enlarge bg_color bg_colorize bg_img_fit bg_blur bg_opacity bg_gravity f \
    bright contrast blur blur_faces gray pixelate wat wat_url wat_text wat_font wat_fontsize wat_color \
    wat_gravity wat_scale wat_pad wat_pos wat_opacity force_format q optipress doc_page process p \
    force_download ci_cache ci_info vh ci_eqs ci_url_encoded";

/// The variant key, and whether the path is encoded.
pub(crate) fn key(query: Option<&[u8]>) -> Result<(String, bool), &'static str> {
    let mut encoded = false;
    let mut parameters: Vec<(String, Option<String>)> = Vec::new();
    let pieces = query.unwrap_or_default().split(|b| *b == b'&').filter(|piece| !piece.is_empty());
    if pieces.clone().count() > 256 {
        return Err("TooManyParameters");
    }
    for piece in pieces {
        let mut halves = piece.splitn(2, |b| *b == b'=');
        let name = canonical_text(halves.next().unwrap_or_default())?;
        let raw_value = halves.next();
        let value = raw_value.map(canonical_text).transpose()?;
        if name == "ci_eqs" {
            encoded |= raw_value.is_some_and(sealed_flag);
        }
        match (&*name, value.as_deref()) {
            ("ci_url_encoded", Some("1")) => encoded = true,
            ("ci_sign" | "ci_seal", _) => {}
            _ => parameters.push((name, value)),
        }
    }
    let names: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
    let mut sorted: Vec<(String, String)> = Vec::new();
    for (name, value) in parameters {
        let pair = PAIRS.iter().find(|(long, _)| *long == name);
        let canonical = pair.map_or(name.clone(), |(_, short)| (*short).to_owned());
        let shown = if names.contains(&canonical) { name } else { canonical.clone() };
        let piece = value.map_or(shown.clone(), |value| format!("{shown}={value}"));
        sorted.push((canonical, piece));
    }
    let is_known = |(name, _): &(String, String)| KNOWN.split(' ').any(|known| known == name);
    let (mut sorted, unknown): (Vec<_>, Vec<_>) = sorted.into_iter().partition(is_known);
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    let pieces: Vec<String> = sorted.into_iter().chain(unknown).map(|(_, piece)| piece).collect();
    Ok((format!("?{}", pieces.join("&")), encoded))
}

fn canonical_text(input: &[u8]) -> Result<String, &'static str> {
    let written = units(input)?.into_iter().map(|(escaped, byte)| {
        let char = char::from(byte);
        let raw = UNRESERVED.contains(char) || ",:/".contains(char) || (!escaped && char == '+');
        if raw { char.to_string() } else { format!("%{byte:02X}") }
    });
    Ok(written.collect())
}

fn sealed_flag(value: &[u8]) -> bool {
    let Ok(value) = decode(value) else { return false };
    let value = text(&value).replace('-', "+").replace('_', "/");
    let digits = value.trim_end_matches('=');
    let padding = value.len() - digits.len();
    if padding > 2 || (padding > 0 && value.len() % 4 != 0) || digits.len() % 4 == 1 {
        return false;
    }
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = String::new();
    for digit in digits.chars() {
        let Some(value) = alphabet.find(digit) else { return false };
        bits += &format!("{value:06b}");
    }
    let bytes: Vec<u8> = (0..bytes_in(&bits))
        .map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap_or_default())
        .collect();
    text(&bytes).split('&').any(|piece| piece == "ci_url_encoded=1")
}

fn bytes_in(bits: &str) -> usize {
    bits.len() / 8
}
