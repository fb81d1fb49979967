//! The raw bytes of a block.
//!
//! Invariant: parsing never panics and never allocates more than a small multiple of the raw bytes.

use super::BLOCK_LEN;
use crate::bytes::{Reader, put_text, put_varint};
use crate::codec::Codec;
use cache_index::Freshness;
use std::collections::HashMap;

/// The most variants that are written together with one mention of their path.
const MAX_VARIANTS: usize = 1 << 14;

/// The most keys, and the most tenants, of a block. With [`MAX_VARIANTS`] it bounds what a reader
/// must hold.
const MAX_TEXTS: usize = 1 << 16;

/// Texts that are written once and referred to by number.
#[derive(Debug, Default)]
struct Table {
    numbers: HashMap<String, u64>,
    bytes: Vec<u8>,
}

impl Table {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.numbers.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        put_text(&mut self.bytes, text);
        number
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.numbers.len() as u64);
        out.extend_from_slice(&self.bytes);
    }
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    keys: Table,
    tenants: Table,
    paths: u32,
    body: Vec<u8>,
}

/// A value did not encode to [`Codec::LEN`] bytes.
#[derive(Debug)]
pub(super) struct WrongLength;

impl BlockBuilder {
    pub(super) fn paths(&self) -> u32 {
        self.paths
    }

    pub(super) fn is_full(&self) -> bool {
        let texts = self.keys.numbers.len().max(self.tenants.numbers.len());
        self.raw_len() >= BLOCK_LEN || texts >= MAX_TEXTS
    }

    /// Returns about how many raw bytes the block has.
    fn raw_len(&self) -> usize {
        self.keys.bytes.len() + self.tenants.bytes.len() + self.body.len()
    }

    /// Adds a path with as many of its variants, from `from` on, as fit, but at least one. Returns
    /// how many.
    pub(super) fn push<K: AsRef<str>, V: Codec>(
        &mut self,
        (tenant, path): (&str, &str),
        variants: &[(K, V, Freshness)],
        from: usize,
    ) -> Result<usize, WrongLength> {
        let (mut references, mut values) = (Vec::new(), Vec::new());
        let mut count = 0;
        let base = self.body.len() + path.len();
        for (key, value, freshness) in &variants[from..] {
            let key = key.as_ref();
            let len = base + self.keys.bytes.len() + references.len() + values.len() + key.len();
            let is_full = len > BLOCK_LEN || self.keys.numbers.len() >= MAX_TEXTS;
            if count == MAX_VARIANTS || count > 0 && is_full {
                break;
            }
            let stale = u64::from(*freshness == Freshness::Stale);
            put_varint(&mut references, self.keys.number(key) << 1 | stale);
            put_value(&mut values, value)?;
            count += 1;
        }
        let tenant = self.tenants.number(tenant);
        put_varint(&mut self.body, tenant);
        put_text(&mut self.body, path);
        put_varint(&mut self.body, count as u64);
        self.body.extend_from_slice(&references);
        self.body.extend_from_slice(&values);
        self.paths += 1;
        Ok(count)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.raw_len() + 16);
        self.keys.put(&mut raw);
        self.tenants.put(&mut raw);
        raw.extend_from_slice(&self.body);
        raw
    }
}

fn put_value<V: Codec>(out: &mut Vec<u8>, value: &V) -> Result<(), WrongLength> {
    let start = out.len();
    value.encode(out);
    let len = out.len() - start;
    match V::LEN {
        Some(expected) if expected == len => Ok(()),
        Some(_) => Err(WrongLength),
        None => {
            let mut prefix = Vec::new();
            put_varint(&mut prefix, len as u64);
            out.splice(start..start, prefix);
            Ok(())
        }
    }
}

/// One path of a block, borrowed from its raw bytes.
#[derive(Debug, Default)]
pub(crate) struct PathView<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) path: &'a str,
    pub(crate) variants: Vec<(&'a str, Freshness, &'a [u8])>,
}

/// The paths of a block that is being read.
#[derive(Debug)]
pub(crate) struct Paths<'a> {
    reader: Reader<'a>,
    keys: Vec<&'a str>,
    tenants: Vec<&'a str>,
    left: u32,
    value_len: Option<usize>,
}

impl<'a> Paths<'a> {
    /// Begins to read the raw bytes of a block with `paths` paths, whose values have the given
    /// length. Returns `None` if they are not what [`BlockBuilder`] writes.
    pub(crate) fn new(raw: &'a [u8], paths: u32, value_len: Option<usize>) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let (keys, tenants) = (texts(&mut reader)?, texts(&mut reader)?);
        Some(Self { reader, keys, tenants, left: paths, value_len })
    }

    /// Reads the next path into `view`. Returns whether there was one, or `None` if the bytes are
    /// not what [`BlockBuilder`] writes.
    pub(crate) fn next(&mut self, view: &mut PathView<'a>) -> Option<bool> {
        let Self { reader, keys, tenants, left, value_len } = self;
        let Some(next) = left.checked_sub(1) else {
            return reader.is_empty().then_some(false);
        };
        *left = next;
        view.tenant = tenants.get(usize::try_from(reader.varint()?).ok()?)?;
        view.path = reader.text()?;
        view.variants.clear();
        for _ in 0..reader.count(1).filter(|&count| count <= MAX_VARIANTS)? {
            let reference = reader.varint()?;
            let key = keys.get(usize::try_from(reference >> 1).ok()?)?;
            let freshness = if reference & 1 == 0 { Freshness::Live } else { Freshness::Stale };
            view.variants.push((key, freshness, &[]));
        }
        for (_, _, value) in &mut view.variants {
            let len = match *value_len {
                Some(len) => len,
                None => reader.count(1)?,
            };
            *value = reader.take(len)?;
        }
        Some(true)
    }
}

/// Reads the raw bytes of a block, as [`Paths`] does, and passes each path on. Returns `None` also
/// if `visit` does.
pub(crate) fn parse<'a>(
    raw: &'a [u8],
    paths: u32,
    value_len: Option<usize>,
    mut visit: impl FnMut(&PathView<'a>) -> Option<()>,
) -> Option<()> {
    let (mut paths, mut view) = (Paths::new(raw, paths, value_len)?, PathView::default());
    while paths.next(&mut view)? {
        visit(&view)?;
    }
    Some(())
}

fn texts<'a>(reader: &mut Reader<'a>) -> Option<Vec<&'a str>> {
    (0..reader.count(1).filter(|&count| count <= MAX_TEXTS)?).map(|_| reader.text()).collect()
}
