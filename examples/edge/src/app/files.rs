//! `ObjectFiles`: one file for each object, which proves that it is the object that the index
//! means.
//!
//! ```text
//!   magic, 8 bytes | crc32c of all that follows | length of the names | names as JSON | bytes
//! ```
//!
//! Invariant: a file is used only if it has the right checksum, length and names. Files are not
//! synced: after a power loss one may be incomplete, and is a miss. So no fill waits for the disk.
//! A file gets its name when it is complete, and names consist of an [`ObjectId`] alone.

use super::freshness::Policy;
use super::operations::Format;
use super::render::Rendition;
use super::store::{Filed, Object, ObjectId};
use axum::body::Bytes;
use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"edgeobj1";

/// Where the names begin.
const NAMES: usize = 16;

/// More than the longest names.
const MOST_NAMES: u64 = 1 << 20;

/// More than the largest rendition: a longer file is not read.
const MOST_BYTES: u64 = 256 << 20;

/// How many folders the files are spread over, by the last digits of their numbers.
const FOLDERS: u64 = 256;

/// The ending of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// The folder of the files.
#[derive(Debug)]
pub(crate) struct ObjectFiles {
    root: PathBuf,
}

/// Why an object could not be read.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// There is no file.
    Gone,
    /// It is not the file of this object as it was written.
    Bad(&'static str),
    /// The operating system reported an error. Another attempt may succeed.
    Failed(io::Error),
}

/// The names in a file: of the entry of the index, and of the rest of the object.
#[derive(Serialize, Deserialize)]
pub(crate) struct Names<'a> {
    pub(crate) tenant: Cow<'a, str>,
    pub(crate) path: Cow<'a, str>,
    pub(crate) variant: Cow<'a, str>,
    content_type: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validator: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    policy: Policy,
    made_unix_millis: u64,
    /// How many bytes follow.
    bytes: u64,
}

fn is_default(policy: &Policy) -> bool {
    *policy == Policy::default()
}

impl ObjectFiles {
    /// Opens the folder, and creates it where it is missing.
    ///
    /// # Errors
    /// If it can't be created.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        for number in 0..FOLDERS {
            fs::create_dir_all(root.join(format!("{number:02x}")))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    fn path(&self, id: ObjectId) -> PathBuf {
        self.root.join(format!("{:02x}/{id}", id.number % FOLDERS))
    }

    /// Writes the file of an object under another name, and renames it.
    ///
    /// # Errors
    /// If the file can't be written. Nothing of it remains.
    pub(crate) fn write(&self, id: ObjectId, object: &Object) -> io::Result<()> {
        let path = self.path(id);
        let unfinished = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&header(object))?;
            file.write_all(&object.bytes)
        });
        written.and_then(|()| fs::rename(&unfinished, &path)).inspect_err(|_| {
            // If this fails as well, the next start deletes it.
            let _ = fs::remove_file(&unfinished);
        })
    }

    /// Reads an object, and checks that it is the one with these names.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub(crate) fn read(&self, id: ObjectId, filed: &Filed) -> Result<Object, NotRead> {
        let file = self.open_file(id)?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(NotRead::Failed)?;
        decode(&bytes.into(), filed).map_err(NotRead::Bad)
    }

    /// Reads only the names of an object. They are not checked.
    pub(crate) fn names(&self, id: ObjectId) -> Option<Names<'static>> {
        let mut file = self.open_file(id).ok()?;
        let mut head = [0; NAMES];
        file.read_exact(&mut head).ok()?;
        let len = u64::from(number(&head, 12)?);
        let mut names = Vec::new();
        file.take(len.min(MOST_NAMES)).read_to_end(&mut names).ok()?;
        serde_json::from_slice(&names).ok()
    }

    /// Opens a file, unless it is too large or something else than a file.
    fn open_file(&self, id: ObjectId) -> Result<File, NotRead> {
        let path = self.path(id);
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => NotRead::Gone,
            _ => NotRead::Failed(error),
        };
        // Opening a pipe would wait for a writer.
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        if !metadata.is_file() || metadata.len() >= MOST_BYTES {
            return Err(NotRead::Bad("not a file, or too large"));
        }
        File::open(&path).map_err(failed)
    }

    /// Returns the length of the file, if there is one.
    pub(crate) fn byte_len(&self, id: ObjectId) -> Option<u64> {
        fs::symlink_metadata(self.path(id)).ok().map(|metadata| metadata.len())
    }

    /// Removes a file, and returns whether there was one.
    pub(crate) fn remove(&self, id: ObjectId) -> bool {
        // A file that can't be removed has no entry: the next start tries again.
        self.delete(id).is_ok()
    }

    /// Removes a file.
    ///
    /// # Errors
    /// If there is none, or if it can't be removed.
    pub(crate) fn delete(&self, id: ObjectId) -> io::Result<()> {
        fs::remove_file(self.path(id))
    }

    /// Returns the ids of all complete files.
    ///
    /// # Errors
    /// If a folder can't be read.
    pub(crate) fn list(&self) -> io::Result<Vec<ObjectId>> {
        let mut ids = Vec::new();
        self.visit(|found| {
            if let Found::Object(id) = found {
                ids.push(id);
            }
            true
        })?;
        Ok(ids)
    }

    /// Visits all files, folder by folder, until `visit` returns false. Files that this module did
    /// not name are left alone.
    ///
    /// # Errors
    /// If a folder can't be read.
    pub(crate) fn visit(&self, mut visit: impl FnMut(Found) -> bool) -> io::Result<()> {
        for number in 0..FOLDERS {
            for entry in fs::read_dir(self.root.join(format!("{number:02x}")))? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let found = match name.strip_suffix(UNFINISHED) {
                    Some(id) => ObjectId::parse(id).map(|id| Found::Unfinished(id, entry.path())),
                    None => ObjectId::parse(name).map(Found::Object),
                };
                if found.is_some_and(|found| !visit(found)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A file that [`ObjectFiles::visit`] has found.
pub(crate) enum Found {
    /// The file of an object.
    Object(ObjectId),
    /// A file that was not written to its end, or not yet.
    Unfinished(ObjectId, PathBuf),
}

fn header(object: &Object) -> Vec<u8> {
    let names = Names {
        tenant: object.filed.tenant.name().into(),
        path: object.filed.path.as_str().into(),
        variant: object.filed.variant.as_str().into(),
        content_type: object.format.content_type().into(),
        // Without it, a refresh makes the rendition again.
        validator: object.validator.as_ref().and_then(|text| text.to_str().ok()).map(Cow::from),
        policy: object.policy,
        made_unix_millis: object.made_in_unix_millis(),
        bytes: object.bytes.len() as u64,
    };
    // Texts and numbers can always be written.
    let names = serde_json::to_vec(&names).unwrap_or_default();
    let mut rest = u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    rest.extend_from_slice(&names);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&rest), &object.bytes);
    [&MAGIC[..], &crc.to_le_bytes(), &rest].concat()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads an object from the bytes of its file.
fn decode(file: &Bytes, filed: &Filed) -> Result<Object, &'static str> {
    if !file.starts_with(&MAGIC) {
        return Err("not an object");
    }
    let (Some(crc), Some(len)) = (number(file, 8), number(file, 12)) else {
        return Err("incomplete");
    };
    if crc32c::crc32c(&file[12..]) != crc {
        return Err("the checksum differs");
    }
    let names_end = NAMES.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
    let names = file.get(NAMES..names_end).ok_or("incomplete")?;
    let names: Names<'_> = serde_json::from_slice(names).map_err(|_| "names that can't be read")?;
    let is_named = names.tenant == filed.tenant.name()
        && names.path == filed.path.as_str()
        && names.variant == filed.variant.as_str();
    if !is_named {
        return Err("an object with other names");
    }
    let bytes = file.slice(names_end..);
    if bytes.len() as u64 != names.bytes {
        return Err("the length differs");
    }
    let formats = [Format::Jpeg, Format::Png, Format::WebP];
    let format = formats.into_iter().find(|format| format.content_type() == names.content_type);
    let format = format.ok_or("an unknown format")?;
    let validator = names.validator.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    let rendition = Rendition { bytes, format };
    let object = Object::restored(filed.clone(), rendition, validator, names.made_unix_millis);
    Ok(object.with_policy(names.policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::{CacheIndex, OriginPath, VariantKey};
    use std::time::Duration;

    const ID: ObjectId = ObjectId { incarnation: 3, number: 0x1ff };

    fn filed(path: &str) -> Filed {
        Filed {
            tenant: CacheIndex::<()>::default().tenant("doc"),
            path: OriginPath::from_canonical(path).unwrap().into_owned(),
            variant: VariantKey::from_canonical("?w=60").unwrap(),
        }
    }

    fn object() -> Object {
        let rendition = Rendition { bytes: Bytes::from_static(b"pixels"), format: Format::WebP };
        Object::new(filed("a/b.jpg"), rendition, Some(HeaderValue::from_static("\"v1\"")))
    }

    fn bad(files: &ObjectFiles, wanted: &Filed) -> &'static str {
        match files.read(ID, wanted) {
            Err(NotRead::Bad(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let files = ObjectFiles::open(dir.path()).unwrap();
        let policy = br#"{"lifetime":60,"age":3,"strict":true,"while_revalidate":0,"if_error":0,
            "client":{"no_store":false,"while_revalidate":0,"if_error":0}}"#;
        let policy: Policy = serde_json::from_slice(policy).unwrap();
        let written = object().with_policy(policy);
        files.write(ID, &written).unwrap();
        let name = "ff/0000000000000003-00000000000001ff";
        assert!(dir.path().join(name).is_file());
        assert_eq!(files.list().unwrap(), [ID]);
        let read = files.read(ID, &written.filed).unwrap();
        assert_eq!((&read.bytes, read.format), (&written.bytes, written.format));
        assert_eq!((&read.etag, &read.validator), (&written.etag, &written.validator));
        assert_eq!(read.policy, policy);
        assert!(read.made.elapsed() < Duration::from_secs(60));
        let names = files.names(ID).unwrap();
        assert_eq!((&*names.path, &*names.variant), ("a/b.jpg", "?w=60"));
        assert!(files.remove(ID) && !files.remove(ID));
        assert!(matches!(files.read(ID, &written.filed), Err(NotRead::Gone)));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let files = ObjectFiles::open(dir.path()).unwrap();
        let written = object();
        files.write(ID, &written).unwrap();
        let good = fs::read(files.path(ID)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut damaged = good.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(files.path(ID), damaged).unwrap();
            bad(&files, &written.filed);
        }
        for len in 0..good.len() {
            fs::write(files.path(ID), &good[..len]).unwrap();
            bad(&files, &written.filed);
        }
        fs::write(files.path(ID), [&good[..], b"x"].concat()).unwrap();
        bad(&files, &written.filed);
        fs::write(files.path(ID), good).unwrap();
        assert!(files.read(ID, &written.filed).is_ok());
    }

    #[test]
    fn foreign_files_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let files = ObjectFiles::open(dir.path()).unwrap();
        files.write(ID, &object()).unwrap();
        assert_eq!(bad(&files, &filed("a/other.jpg")), "an object with other names");
        fs::write(files.path(ID), b"edgeobj1").unwrap();
        assert_eq!(bad(&files, &filed("a/b.jpg")), "incomplete");
        fs::write(files.path(ID), b"something else").unwrap();
        assert_eq!(bad(&files, &filed("a/b.jpg")), "not an object");
        files.remove(ID);
        fs::create_dir(files.path(ID)).unwrap();
        assert_eq!(bad(&files, &filed("a/b.jpg")), "not a file, or too large");
        // A file with a name that is not an id is not touched.
        fs::write(dir.path().join("00/notes.txt"), b"mine").unwrap();
        let mut found = 0;
        files
            .visit(|_| {
                found += 1;
                true
            })
            .unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn a_write_that_fails_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = ObjectFiles::open(dir.path()).unwrap();
        // The name is taken by a folder that holds something.
        fs::create_dir_all(files.path(ID).join("full")).unwrap();
        assert!(files.write(ID, &object()).is_err());
        assert_eq!(fs::read_dir(dir.path().join("ff")).unwrap().count(), 1);
    }
}
