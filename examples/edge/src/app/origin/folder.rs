//! `Folder`: a folder of the user's own pictures.
//!
//! Invariant: nothing outside of the folder is ever read. Names are taken apart at their slashes
//! first and decoded afterwards, so an encoded slash stays in its segment and is refused there; and
//! the file is opened through a handle of the folder out of which the operating system lets no `..`
//! and no symbolic link lead.

use super::{Fetch, Fetched, Origin, OriginError, Wanted};
use axum::body::Bytes;
use cache_index::canonical::Root;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task;

/// The largest source, in bytes.
const MOST_BYTES: u64 = 32 << 20;

/// How many pictures the page shows, how many names are looked at to find them, and how deep.
const MOST_EXAMPLES: usize = 24;
const MOST_NAMES: usize = 5000;
const MOST_LEVELS: usize = 4;

/// A folder of pictures.
pub(crate) struct Folder {
    root: Arc<Dir>,
}

impl Folder {
    /// # Errors
    /// If there is no such folder, or it can't be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = Arc::new(Dir::open_ambient_dir(path, ambient_authority())?);
        Ok(Self { root })
    }
}

impl Origin for Folder {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a> {
        let root = Arc::clone(&self.root);
        let name = file_name(wanted.path.as_str());
        Box::pin(async move {
            let name = name.ok_or(OriginError::NotFound)?;
            let reading = task::spawn_blocking(move || read(&root, &name));
            let read =
                reading.await.map_err(|_| OriginError::Failed("reading failed".to_owned()))?;
            read.map(Fetched::from)
        })
    }

    fn root(&self) -> Root {
        Root::Path
    }

    fn examples(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut names = 0;
        let mut folders = VecDeque::from([(PathBuf::new(), 0)]);
        while let Some((folder, level)) = folders.pop_front() {
            let Ok(mut entries) = list(&self.root, &folder) else { continue };
            entries.sort();
            for (name, is_folder) in entries {
                names += 1;
                if found.len() == MOST_EXAMPLES || names == MOST_NAMES {
                    return found;
                }
                let path = folder.join(&name);
                match is_folder {
                    true if level < MOST_LEVELS => folders.push_back((path, level + 1)),
                    false if is_picture(&path) => found.extend(target(&path)),
                    _ => {}
                }
            }
        }
        found
    }
}

/// The file that canonical text names, if it can name one.
fn file_name(path: &str) -> Option<PathBuf> {
    path.split('/').map(segment).collect()
}

/// One segment of a path, decoded. Hidden files are not served, and neither is anything that isn't
/// plainly one name.
fn segment(text: &str) -> Option<String> {
    let name = decode(text)?;
    let plain = !name.is_empty() && name.len() <= 255 && !name.starts_with('.');
    // On Windows, a colon leads to another drive or into a stream of the file.
    let separates = |c| matches!(c, '/' | '\\' | '\0') || (cfg!(windows) && c == ':');
    // A raw question mark begins the origin's own query, and files have none.
    (plain && !name.contains(separates) && !text.contains('?')).then_some(name)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn read(root: &Dir, name: &Path) -> Result<Bytes, OriginError> {
    // Checked first: opening a named pipe would wait for a writer.
    if !root.metadata(name).map_err(failure)?.is_file() {
        return Err(OriginError::NotFound);
    }
    let file = root.open(name).map_err(failure)?;
    let mut bytes = Vec::new();
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failure)?;
    if read as u64 > MOST_BYTES {
        return Err(OriginError::Failed(format!("the file is larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes.into())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure(error: io::Error) -> OriginError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => OriginError::NotFound,
        // Not from the operating system: this is the folder's handle, refusing to be left.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => OriginError::NotFound,
        kind => OriginError::Failed(format!("the file can't be read: {kind}")),
    }
}

/// Names in a folder, and whether they are folders themselves. Symbolic links are left out, though
/// they are served.
fn list(root: &Dir, folder: &Path) -> io::Result<Vec<(String, bool)>> {
    let entries =
        if folder.as_os_str().is_empty() { root.entries()? } else { root.read_dir(folder)? };
    let mut names = Vec::new();
    for entry in entries.take(MOST_NAMES) {
        let entry = entry?;
        let kind = entry.file_type()?;
        match entry.file_name().into_string() {
            Ok(name) if !name.starts_with('.') && !kind.is_symlink() => {
                names.push((name, kind.is_dir()));
            }
            _ => {}
        }
    }
    Ok(names)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "webp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The request target that names a file.
fn target(path: &Path) -> Option<String> {
    let mut target = String::new();
    for segment in path {
        target.push('/');
        for byte in segment.to_str()?.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    target.push(char::from(byte));
                }
                _ => target.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_first_and_decoded_afterwards() {
        let name = |text| file_name(text).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(name("a/b%20c.jpg").as_deref(), Some("a/b c.jpg"));
        assert_eq!(name("caf%C3%A9.jpg").as_deref(), Some("café.jpg"));
        // On Windows, a colon is no part of a name.
        let colon = |path| (!cfg!(windows)).then_some(path);
        assert_eq!(name("a:b.jpg").as_deref(), colon("a:b.jpg"));
        assert_eq!(name("C%3A/a.jpg").as_deref(), colon("C:/a.jpg"));
        for refused in [
            "",
            "a//b.jpg",
            "../a.jpg",
            "a/../b.jpg",
            "a/%2E%2E/b.jpg",
            "..%2Fa.jpg",
            "a%5C..%5Cb.jpg",
            ".git/config",
            "https://sample.li/a.jpg",
            "a.jpg?x=1",
            "%FF.jpg",
            "%0",
            "a%00.jpg",
        ] {
            assert_eq!(name(refused), None, "{refused}");
        }
        assert_eq!(name(&"x".repeat(256)), None);
    }

    #[test]
    fn a_target_names_its_file_again() {
        let path = Path::new("my pictures/50% off?/größe#1.jpg");
        let target = target(path).unwrap();
        assert_eq!(target, "/my%20pictures/50%25%20off%3F/gr%C3%B6%C3%9Fe%231.jpg");
        assert_eq!(file_name(&target[1..]).as_deref(), Some(path));
    }
}
