//! The definition of a picture: any name, or only a name with the ending of a picture.

/// The endings of names that pictures have.
const ENDINGS: [&str; 18] = [
    "apng", "avif", "bmp", "gif", "heic", "heif", "ico", "jfif", "jp2", "jpe", "jpeg", "jpg",
    "jxl", "png", "svg", "tif", "tiff", "webp",
];

/// Returns a description of the names that were counted.
pub(crate) fn counted(only_images: bool) -> &'static str {
    if only_images {
        "names that end like one: .jpg, .png, .webp and the like"
    } else {
        "every target that names a path, also .html or .css (--only-images passes these over)"
    }
}

/// Whether `path` ends like a picture. A query of the source, raw or encoded, is not part of the
/// name.
pub(crate) fn has_ending_of_picture(path: &[u8]) -> bool {
    let query = path.iter().position(|&byte| byte == b'?').unwrap_or(path.len());
    let path = &path[..query];
    let encoded = path.windows(3).position(|part| part.eq_ignore_ascii_case(b"%3F"));
    let path = &path[..encoded.unwrap_or(path.len())];
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut parts = name.rsplit(|&byte| byte == b'.');
    let ending = parts.next().unwrap_or_default();
    parts.next().is_some()
        && ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_endings() {
        for name in ["a.jpg", "/a/b.JPEG", "a.b.webp?w=1", "/a.png%3Fv=2", ".png"] {
            assert!(has_ending_of_picture(name.as_bytes()), "{name}");
        }
        for name in ["", "/", "a", "/jpg", "/a.jpg/", "index.html", "a.css?v=a.jpg", "a.jpg.html"] {
            assert!(!has_ending_of_picture(name.as_bytes()), "{name}");
        }
    }
}
