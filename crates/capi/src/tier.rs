//! The watermark between two tiers of caches, as text for the header `Cache-Watermark`.
//!
//! Each item has `#[cfg]` by itself: so the header guards it by `CI_WITH_FLEET`.

use crate::boundary::{OutStruct, guard, sized};
use crate::error::{Failure, ci_error, terminated};
use crate::fleet::member;
use crate::index::ci_index;
use crate::member::Member;
use crate::text::ci_str;
use cache_index_fleet::Watermark as Numbers;
use cache_index_watermark::{Watermark, WatermarkError};
use std::ffi::{c_char, c_int};
use std::time::{Duration, Instant};

/// The bytes of `ci_watermark.text`, with the final zero byte.
#[cfg(feature = "fleet")]
pub const CI_WATERMARK_SIZE: usize = 96;

/// Go to the source: the cache may be older than an invalidation that the edge knows.
#[cfg(feature = "fleet")]
pub const CI_TIER_PAST: c_int = 0;

/// Answer from the cache.
#[cfg(feature = "fleet")]
pub const CI_TIER_CACHE: c_int = 1;

/// The value of a header `Cache-Watermark`. Set `size` to `sizeof(struct ci_watermark)`.
#[cfg(feature = "fleet")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_watermark {
    /// `sizeof(struct ci_watermark)`.
    pub size: usize,
    /// The bytes of `text`, without the final zero byte.
    pub len: usize,
    /// Zero-terminated.
    pub text: [c_char; CI_WATERMARK_SIZE],
}

sized!(ci_watermark);

/// How often a shield that is behind looks again.
const STEP: Duration = Duration::from_millis(1);

/// A stream that was created anew has another time of creation. An older copy that was restored has
/// not, but another message with the same number: so its checksum is part of the name.
fn named(member: &Member, numbers: Numbers) -> Option<Watermark> {
    let checksum = member.checksum(numbers.applied)?;
    let stream = format!("purges.{}.{checksum:08x}", numbers.stream).parse().ok()?;
    Some(Watermark::new(stream, numbers.applied))
}

/// What a shield knows of the number of an edge.
enum Holds {
    Echo(Watermark),
    /// It may be one of the next.
    NotYet,
    Unknown,
}

fn compared(member: &Member, asked: &Watermark) -> Holds {
    let name = asked.stream().as_str().strip_prefix("purges.").and_then(|it| it.rsplit_once('.'));
    let (Some(own), Some((stream, checksum))) = (member.settled(), name) else {
        return Holds::Unknown;
    };
    if stream != own.stream.to_string() {
        return Holds::Unknown;
    }
    if own.applied < asked.number() {
        return Holds::NotYet;
    }
    match member.checksum(asked.number()) {
        Some(known) if checksum == format!("{known:08x}") => {
            Holds::Echo(Watermark::new(asked.stream().clone(), own.applied))
        }
        _ => Holds::Unknown,
    }
}

fn to_c(watermark: &Watermark) -> ci_watermark {
    let text = watermark.to_string();
    ci_watermark { size: 0, len: text.len(), text: terminated(&text) }
}

#[cold]
fn unreadable(what: &str, error: &WatermarkError) -> Failure {
    Failure::text(
        &format!("{:?}", error.kind()),
        error.byte_offset(),
        format_args!("{what}: {error}"),
    )
}

/// Writes the watermark that this node, an edge, sends to a shield in the header `Cache-Watermark`.
/// Take the lease of the fill **before** this call. It waits until the stream has delivered the own
/// invalidations that were made before, for at most so many milliseconds, and blocks the calling
/// thread.
///
/// Any thread may call this at any time. Returns 1 and the watermark; 0: there is none in time, and
/// `*out` is left as it is. Then don't keep the answer of the shield. CI_ERR_NULL, CI_ERR_SIZE;
/// CI_ERR_ARGUMENT: the index is not in a fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_watermark(
    index: *const ci_index,
    milliseconds: u64,
    out: *mut ci_watermark,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let ((_, member), out) = (member(index)?, OutStruct::required(out, "out")?);
            let numbers = member.numbered(Duration::from_millis(milliseconds));
            let watermark = numbers.and_then(|numbers| named(member, numbers));
            if let Some(watermark) = &watermark {
                out.write(to_c(watermark));
            }
            Ok(c_int::from(watermark.is_some()))
        })
    }
}

/// Tells this node, a shield, how to answer an edge that sent the watermark `asked`. Call it
/// **before** you look into the cache. If this node is behind the edge, it waits for at most so
/// many milliseconds, and blocks the calling thread.
///
/// Send `out->text` with the answer, in the header `Cache-Watermark`: an edge keeps no answer
/// without it. Leave it out if you answer from the cache with a stale value.
///
/// Any thread may call this at any time. Returns CI_TIER_CACHE or CI_TIER_PAST; CI_ERR_TEXT:
/// `asked` is not a watermark: go to the source, and send none. CI_ERR_NULL, CI_ERR_SIZE;
/// CI_ERR_ARGUMENT: the index is not in a fleet.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_watermark_check(
    index: *const ci_index,
    asked: ci_str,
    milliseconds: u64,
    out: *mut ci_watermark,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, a text that can be read, and NULL or structs
    // that can be written to.
    unsafe {
        guard(error, || {
            let ((_, member), out) = (member(index)?, OutStruct::required(out, "out")?);
            let asked: Watermark =
                asked.text("asked")?.parse().map_err(|error| unreadable("asked", &error))?;
            let (began, patience) = (Instant::now(), Duration::from_millis(milliseconds));
            let echo = loop {
                match compared(member, &asked) {
                    Holds::Echo(echo) => break Some(echo),
                    // Looks again: nothing wakes a thread of C when a number is applied.
                    Holds::NotYet if began.elapsed() < patience => std::thread::sleep(STEP),
                    Holds::NotYet | Holds::Unknown => break None,
                }
            };
            // Read after the number: an entry may be there that a flush over time kills later, and
            // that the edge would keep as a new one.
            let echo = echo.filter(|_| !member.spreads_a_flush());
            out.write(to_c(echo.as_ref().unwrap_or(&asked)));
            Ok(if echo.is_some() { CI_TIER_CACHE } else { CI_TIER_PAST })
        })
    }
}

/// Tells an edge whether it may keep the answer of a shield: `sent` is the watermark that it sent,
/// `echo` the one that came with the answer, or empty.
///
/// Any thread may call this at any time. Returns 1: keep it. 0: only serve it, also if `echo` is no
/// watermark. CI_ERR_NULL; CI_ERR_TEXT: `sent` is not a watermark.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_watermark_keeps(
    sent: ci_str,
    echo: ci_str,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes texts that can be read, and NULL or a struct that can be written
    // to.
    unsafe {
        guard(error, || {
            let sent: Watermark =
                sent.text("sent")?.parse().map_err(|error| unreadable("sent", &error))?;
            let echo = echo.bytes("echo")?;
            let echo = std::str::from_utf8(echo).ok().and_then(|text| text.parse().ok());
            Ok(c_int::from(sent.allows_keeping(echo.as_ref())))
        })
    }
}
