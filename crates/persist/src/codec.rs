//! `Codec`: how values are written into a snapshot.

/// A value that can be written into a snapshot and read back.
///
/// Built in: `u64` as eight bytes, and `()` as zero bytes.
///
/// # Examples
///
/// ```
/// use cache_index_persist::Codec;
///
/// /// Where an object lies in a file.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Extent {
///     offset: u64,
///     len: u32,
/// }
///
/// impl Codec for Extent {
///     const NAME: &'static str = "extent-1";
///     const LEN: Option<usize> = Some(12);
///
///     fn encode(&self, out: &mut Vec<u8>) {
///         out.extend_from_slice(&self.offset.to_le_bytes());
///         out.extend_from_slice(&self.len.to_le_bytes());
///     }
///
///     fn decode(bytes: &[u8]) -> Option<Self> {
///         let (offset, len) = bytes.split_first_chunk()?;
///         let len = u32::from_le_bytes(len.try_into().ok()?);
///         Some(Self { offset: u64::from_le_bytes(*offset), len })
///     }
/// }
///
/// let mut out = Vec::new();
/// let extent = Extent { offset: 7, len: 9 };
/// extent.encode(&mut out);
/// assert_eq!(Extent::decode(&out), Some(extent));
/// ```
pub trait Codec: Sized {
    /// Names the encoding, in at most 32 bytes. Change it with the encoding: a snapshot with
    /// another name is not read, and the index starts cold.
    const NAME: &'static str;

    /// The length of every encoded value in bytes, or `None` if it differs from value to value.
    const LEN: Option<usize>;

    /// Appends the encoded value to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value from exactly the bytes that [`encode`](Self::encode) wrote. Returns `None` if
    /// they are not a value.
    ///
    /// The bytes have passed a checksum, but may still come from any program that can write files.
    /// Do not trust lengths in them.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

impl Codec for u64 {
    const NAME: &'static str = "u64";
    const LEN: Option<usize> = Some(8);

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_le_bytes)
    }
}

impl Codec for () {
    const NAME: &'static str = "unit";
    const LEN: Option<usize> = Some(0);

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}
