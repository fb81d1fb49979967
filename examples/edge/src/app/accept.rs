//! Negotiation: WebP or JPEG, as the client's `Accept` says.
//!
//! Invariant: the two answers are representations of one variant, `?w=600#webp` and `?w=600#jpeg`.
//! A purge of the picture or of the variant removes both.

use super::fields::{joined, split};
use super::operations::{Format, Operations};
use axum::http::{HeaderMap, header};
use cache_index::VariantKey;

/// The representation that a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) format: Format,
    pub(crate) variant: VariantKey<'static>,
    /// The representation that other clients get.
    pub(crate) other: VariantKey<'static>,
}

impl Negotiated {
    /// Chooses a representation. Returns `None` if there is nothing to choose: the picture is
    /// served as it is, the format was asked for, or the operations can't be read.
    pub(crate) fn choose(variant: &VariantKey<'_>, headers: &HeaderMap) -> Option<Self> {
        // Without the marks that grouping has left.
        let operations = Operations::parse_query(variant.operations()).ok()?;
        if operations.format.is_some() || operations == Operations::default() {
            return None;
        }
        let (webp, jpeg) =
            (variant.with_representation("webp").ok()?, variant.with_representation("jpeg").ok()?);
        Some(if prefers_webp(headers) {
            Self { format: Format::WebP, variant: webp, other: jpeg }
        } else {
            Self { format: Format::Jpeg, variant: jpeg, other: webp }
        })
    }
}

/// Whether a client is to get WebP (RFC 9110, 12.5.1).
///
/// With equal weights it gets WebP only if it names it: clients that don't know it send `*/*`, too.
/// A client that accepts neither gets JPEG, as one without `Accept` does.
fn prefers_webp(headers: &HeaderMap) -> bool {
    let Some(accept) = joined(headers, &header::ACCEPT) else { return false };
    let ranges: Vec<_> = split(&accept, ',').filter_map(range).collect();
    // The most specific range that matches decides.
    let weight = |subtype: &str| {
        let ranked = ranges.iter().filter_map(|(range, weight)| match range.as_str() {
            "*/*" => Some((0, *weight)),
            "image/*" => Some((1, *weight)),
            _ => (range.strip_prefix("image/") == Some(subtype)).then_some((2, *weight)),
        });
        ranked.max().unwrap_or((0, 0))
    };
    let ((rank, webp), (_, jpeg)) = (weight("webp"), weight("jpeg"));
    webp > jpeg || (webp == jpeg && webp > 0 && rank == 2)
}

/// Reads one element of `Accept`: a media range in lower case, and its weight in thousandths.
/// Returns `None` if it is malformed, or if it has parameters, which pictures don't have.
fn range(element: &str) -> Option<(String, u16)> {
    let mut parts = split(element, ';');
    let range = parts.next()?.to_ascii_lowercase();
    let mut weight = 1000;
    for part in parts {
        let (name, value) = part.split_once('=')?;
        if !name.eq_ignore_ascii_case("q") {
            return None;
        }
        weight = thousandths(value)?;
    }
    Some((range, weight))
}

/// Reads a weight (RFC 9110, 12.4.2): from 0 to 1, with up to three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = matches!(whole, "0" | "1")
        && fraction.len() <= 3
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    (is_valid && thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn webp_goes_to_those_who_prefer_it() {
        for accept in [
            &["image/webp"][..],
            &["IMAGE/WebP"],
            &["image/avif,image/webp,image/apng,image/*,*/*;q=0.8"],
            &["image/webp, image/jpeg"],
            &["image/jpeg;q=0.5, image/webp;q=0.501"],
            &["image/jpeg;q=0.5, */*"],
            &["image/*, image/jpeg;q=0"],
            &["text/html", "image/webp;q=0.1"],
            &["image/webp;Q=1.000"],
        ] {
            assert!(prefers_webp(&accepting(accept)), "{accept:?}");
        }
    }

    #[test]
    fn jpeg_goes_to_everybody_else() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["image/*"],
            &["image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"],
            &["image/webp;q=0"],
            &["image/webp;q=0.0, */*"],
            &["image/webp;q=0, image/jpeg;q=0"],
            &["image/webp;q=0.9, image/jpeg"],
            &["image/webp;q=0.9, */*"],
            &["image/webp;level=1"],
            &["image/webp;q=2", "image/webp;q=1.001"],
            &["image/webp;q=", "image/webp;q=0.1234", "image/webp;q=-1"],
            &["image/jpeg;x=\", image/webp\""],
            &["text/webp", "image/webpx"],
        ] {
            assert!(!prefers_webp(&accepting(accept)), "{accept:?}");
        }
    }

    #[test]
    fn there_is_a_choice_only_where_a_picture_is_made_and_no_format_is_named() {
        let choose = |key| {
            let key = VariantKey::from_canonical(key).unwrap();
            Negotiated::choose(&key, &accepting(&["image/webp"]))
        };
        for key in ["?", "?vh=7", "?force_format=png&w=60", "?w=0", "?blur=3"] {
            assert_eq!(choose(key), None, "{key}");
        }
        let chosen = choose("?w=60").unwrap();
        assert_eq!(chosen.format, Format::WebP);
        assert_eq!((chosen.variant.as_str(), chosen.other.as_str()), ("?w=60#webp", "?w=60#jpeg"));
        let chosen = choose("?w=60@http").unwrap();
        assert_eq!(chosen.variant.as_str(), "?w=60@http#webp");
    }
}
