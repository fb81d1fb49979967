//! Operations: from a canonical variant key to the changes of the picture.
//!
//! Invariant: [`Operations`] are within the limits of this server, and every parameter of the key
//! was understood. No parameter is guessed or silently ignored, so a typing error cannot fill the
//! cache with copies of one rendition.

use cache_index::VariantKey;
pub(crate) use pictures::Format;

/// The longest side that can be asked for, in pixels.
pub(crate) const LONGEST_SIDE: u32 = 4096;

/// The changes of a picture. By default there are none: the picture is served as the origin
/// returned it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operations {
    /// In pixels.
    pub(crate) width: Option<u32>,
    /// In pixels.
    pub(crate) height: Option<u32>,
    pub(crate) func: Func,
    pub(crate) enlarge: Enlarge,
    /// As the source, if absent.
    pub(crate) format: Option<Format>,
    /// From 1 to 100; for JPEG alone.
    pub(crate) quality: Option<u8>,
}

/// How a picture meets a box of `w` by `h`. With one of the two alone, all of them scale in
/// proportion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Func {
    /// Fills the box; the excess is cut off equally on both sides.
    #[default]
    Crop,
    /// Lies inside the box, whole; the rest of the box is white.
    Fit,
    /// Becomes as large as it can be inside the box; the result may be smaller than the box.
    Bound,
    /// Becomes as small as it can be and still cover the box; the result may be larger than the
    /// box.
    Cover,
}

/// Whether a picture may come out larger than it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Enlarge {
    #[default]
    Allowed,
    /// `org_if_sml=1`
    Never,
}

impl Operations {
    /// Reads a key.
    ///
    /// # Errors
    /// If a parameter is unknown, repeated, or has a value that can't be; the text names it.
    pub(crate) fn parse(key: &VariantKey<'_>) -> Result<Self, String> {
        Self::parse_query(key.as_str())
    }

    /// Reads the operations of a key, without marks.
    pub(crate) fn parse_query(key: &str) -> Result<Self, String> {
        let query = key.strip_prefix('?').unwrap_or(key);
        if query.contains('?') {
            return Err("a delivery URL inside a delivery URL is not supported here".to_owned());
        }
        let mut operations = Self::default();
        let mut func = None;
        let mut seen: Vec<&str> = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            if seen.contains(&name) {
                return Err(format!("{} is given more than once", quoted(name)));
            }
            seen.push(name);
            match name {
                "w" => operations.width = Some(whole(name, value, "pixels", LONGEST_SIDE)?),
                "h" => operations.height = Some(whole(name, value, "pixels", LONGEST_SIDE)?),
                "q" => operations.quality = u8::try_from(whole(name, value, "percent", 100)?).ok(),
                "func" => func = Some(self::func(value)?),
                "force_format" => operations.format = Some(format(value)?),
                "org_if_sml" if value == "1" => operations.enlarge = Enlarge::Never,
                "org_if_sml" => return Err(wrong(name, "1", value)),
                // Names of a version: they change no byte, but ask for a copy of their own, and
                // have one by being in the key.
                "v" | "vh" => {}
                // The canonical key has the short names, unless both were given and it is not known
                // which one is meant.
                "width" => return Err("both w and width are given".to_owned()),
                "height" => return Err("both h and height are given".to_owned()),
                _ => return Err(unknown(name)),
            }
        }
        if func.is_some() && operations.width.is_none() && operations.height.is_none() {
            return Err("func needs w, h or both".to_owned());
        }
        operations.func = func.unwrap_or_default();
        Ok(operations)
    }
}

fn func(value: &str) -> Result<Func, String> {
    match value {
        "crop" => Ok(Func::Crop),
        "fit" => Ok(Func::Fit),
        "bound" => Ok(Func::Bound),
        "cover" => Ok(Func::Cover),
        _ => Err(wrong("func", "crop, fit, bound or cover", value)),
    }
}

fn format(value: &str) -> Result<Format, String> {
    match value {
        "jpeg" | "jpg" => Ok(Format::Jpeg),
        "png" => Ok(Format::Png),
        "webp" => Ok(Format::WebP),
        _ => Err(wrong("force_format", "jpeg, png or webp", value)),
    }
}

/// One spelling for each number: `w=0600` would be a second copy of `w=600`.
fn whole(name: &str, value: &str, unit: &str, most: u32) -> Result<u32, String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    match value.parse::<u32>() {
        Ok(number) if digits && number <= most => Ok(number),
        _ => Err(wrong(name, &format!("a whole number of {unit} from 1 to {most}"), value)),
    }
}

fn wrong(name: &str, expected: &str, value: &str) -> String {
    format!("{name} must be {expected}, got {}", quoted(value))
}

fn unknown(name: &str) -> String {
    let known = "w, h, func, q, force_format, org_if_sml, v and vh";
    format!("{} is not an operation of this server, which knows {known}", quoted(name))
}

/// Part of a canonical key, so printable ASCII without quotes; cut where it gets long.
fn quoted(text: &str) -> String {
    match text.get(..40) {
        Some(start) if text.len() > 40 => format!("\"{start}…\""),
        _ => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_read() {
        let all = "?force_format=webp&func=bound&h=400&org_if_sml=1&q=85&vh=abc&w=600";
        let expected = Operations {
            width: Some(600),
            height: Some(400),
            func: Func::Bound,
            enlarge: Enlarge::Never,
            format: Some(Format::WebP),
            quality: Some(85),
        };
        assert_eq!(Operations::parse_query(all), Ok(expected));
        assert_eq!(Operations::parse_query("?"), Ok(Operations::default()));
        assert_eq!(Operations::parse_query("?vh=7"), Ok(Operations::default()));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let side = "a whole number of pixels from 1 to 4096";
        for (key, reason) in [
            ("?w=0", format!("w must be {side}, got \"0\"")),
            ("?w=4097", format!("w must be {side}, got \"4097\"")),
            ("?w=99999999999", format!("w must be {side}, got \"99999999999\"")),
            ("?w=0600", format!("w must be {side}, got \"0600\"")),
            ("?w=+600", format!("w must be {side}, got \"+600\"")),
            ("?w=12.5", format!("w must be {side}, got \"12.5\"")),
            ("?w", format!("w must be {side}, got \"\"")),
            ("?h=-1", format!("h must be {side}, got \"-1\"")),
            ("?q=101", "q must be a whole number of percent from 1 to 100, got \"101\"".to_owned()),
            ("?q=0", "q must be a whole number of percent from 1 to 100, got \"0\"".to_owned()),
            ("?w=1&w=2", "\"w\" is given more than once".to_owned()),
            ("?w=1&width=2", "both w and width are given".to_owned()),
            ("?func=crop", "func needs w, h or both".to_owned()),
            ("?func=face&w=9", "func must be crop, fit, bound or cover, got \"face\"".to_owned()),
            ("?force_format=gif", "force_format must be jpeg, png or webp, got \"gif\"".to_owned()),
            ("?org_if_sml=0", "org_if_sml must be 1, got \"0\"".to_owned()),
            ("?w=1?h=2", "a delivery URL inside a delivery URL is not supported here".to_owned()),
        ] {
            assert_eq!(Operations::parse_query(key), Err(reason), "{key}");
        }
        let reason = Operations::parse_query("?blur=3").unwrap_err();
        assert!(reason.starts_with("\"blur\" is not an operation of this server"), "{reason}");
    }
}
