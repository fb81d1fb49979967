//! Fills: leases, commits, and storing and removing single entries.

use crate::boundary::{Out, OutStruct, borrow, borrow_mut, guard, sized};
use crate::error::{CI_ERR_CLOSED, CI_OK, Failure, ci_error};
use crate::index::{ci_index, ci_tenant};
use crate::prepared::{ci_key, ci_path};
use crate::text::ci_str;
use cache_index::{
    ClaimLease, FillLease, Freshness, Insertion, OriginPath, Refusal, Tenant, VariantKey,
};
use std::cell::Cell;
use std::ffi::c_int;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The index does not hold the value: an invalidation overtook the fill, or a limit is reached. You
/// may answer the client that waits for it, and must then delete the object.
pub const CI_REFUSED: c_int = 0;

/// The index holds the value.
pub const CI_STORED: c_int = 1;

/// The index holds the value as a stale one: a soft invalidation overtook the fill.
pub const CI_STORED_STALE: c_int = 2;

/// The value was not refused.
pub const CI_REASON_NONE: c_int = 0;

/// The path, or a prefix of it, was purged after the fill began.
pub const CI_REASON_PURGED: c_int = 1;

/// The tenant, or everything, was flushed after the fill began.
pub const CI_REASON_FLUSHED: c_int = 2;

/// The tenant was forgotten.
pub const CI_REASON_FORGOTTEN: c_int = 3;

/// The path has as many variants as it may have.
pub const CI_REASON_VARIANTS: c_int = 4;

/// The index has as many paths as it may have.
pub const CI_REASON_PATHS: c_int = 5;

/// The index has as many entries as it may have.
pub const CI_REASON_ENTRIES: c_int = 6;

/// The path is longer than the index is configured to store.
pub const CI_REASON_PATH_LEN: c_int = 7;

/// The variant key is longer than the index is configured to store.
pub const CI_REASON_KEY_LEN: c_int = 8;

/// A reason that this version of the library does not name.
pub const CI_REASON_OTHER: c_int = 255;

/// The permission to store one variant of a picture, taken before the source is read. One thread at
/// a time may use it; it may move to another thread.
pub struct ci_lease {
    state: State,
    fill: Fill,
}

/// The field of `Fill` that has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Claimed,
    Closed,
}

/// Not an enum: so only the lease itself is copied, which is long, as its path is inside of it.
union Fill {
    open: ManuallyDrop<FillLease<u64>>,
    claimed: ManuallyDrop<ClaimLease<u64>>,
}

thread_local! {
    /// The memory of the lease that this thread freed last, for its next one. Most leases are taken
    /// and freed by one thread, so that a fill does not allocate.
    static SPARE: Cell<Option<Box<MaybeUninit<ci_lease>>>> = const { Cell::new(None) };
}

/// More about storing a value. Set `size` to `sizeof(struct ci_commit)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_commit {
    /// `sizeof(struct ci_commit)`.
    pub size: usize,
    /// CI_REASON_*: why the value was refused.
    pub reason: c_int,
    /// 1 if the new value replaced `replaced`, whose object you may delete, unless you store one
    /// object under several variants. 0 if the variant had no value, or had the same value before:
    /// then its object is in use.
    pub has_replaced: c_int,
    /// 1 if the oldest variant of the path made room. Its value is `evicted`.
    pub has_evicted: c_int,
    /// Zero.
    pub reserved: c_int,
    /// The value that the variant had before; 0 if `has_replaced` is 0.
    pub replaced: u64,
    /// The value of the variant that made room; 0 if `has_evicted` is 0.
    pub evicted: u64,
}

sized!(ci_commit);

/// Reports the end of a fill that brought `value`.
#[inline]
fn stored(insertion: Insertion<u64>, value: u64, out: &OutStruct<ci_commit>) -> c_int {
    let code = match &insertion {
        Insertion::Stored(stored) if stored.freshness == Freshness::Stale => CI_STORED_STALE,
        Insertion::Stored(_) => CI_STORED,
        Insertion::Refused(_) => CI_REFUSED,
    };
    if out.is_wanted() {
        out.write(details(insertion, value));
    }
    code
}

#[inline(never)]
fn details(insertion: Insertion<u64>, value: u64) -> ci_commit {
    let mut commit = ci_commit {
        size: 0,
        reason: CI_REASON_NONE,
        has_replaced: 0,
        has_evicted: 0,
        reserved: 0,
        replaced: 0,
        evicted: 0,
    };
    match insertion {
        Insertion::Stored(stored) => {
            // The same value again names the object that is in use.
            if let Some(replaced) = stored.replaced.filter(|replaced| *replaced != value) {
                (commit.has_replaced, commit.replaced) = (1, replaced);
            }
            if let Some((_, evicted)) = stored.evicted {
                (commit.has_evicted, commit.evicted) = (1, evicted);
            }
        }
        Insertion::Refused(refused) => commit.reason = reason(refused.reason),
    }
    commit
}

pub(crate) fn reason(refusal: Refusal) -> c_int {
    match refusal {
        Refusal::Purged => CI_REASON_PURGED,
        Refusal::Flushed => CI_REASON_FLUSHED,
        Refusal::Forgotten => CI_REASON_FORGOTTEN,
        Refusal::TooManyVariants => CI_REASON_VARIANTS,
        Refusal::TooManyPaths => CI_REASON_PATHS,
        Refusal::TooManyEntries => CI_REASON_ENTRIES,
        Refusal::PathTooLong => CI_REASON_PATH_LEN,
        Refusal::KeyTooLong => CI_REASON_KEY_LEN,
        _ => CI_REASON_OTHER,
    }
}

/// Copies a lease in two halves, each of which is short enough to be copied without a call.
///
/// # Safety
/// As for `copy_to_nonoverlapping` of one `T`.
#[inline]
unsafe fn copy_inline<T>(from: *const T, to: *mut T) {
    let half = size_of::<T>() / 32 * 16;
    let (from, to) = (from.cast::<u8>(), to.cast::<u8>());
    // SAFETY: as promised, for both halves.
    unsafe {
        to.copy_from_nonoverlapping(from, half);
        to.add(half).copy_from_nonoverlapping(from.add(half), size_of::<T>() - half);
    }
}

impl ci_lease {
    /// Memory of a lease that has ended, for the caller to hand over.
    #[inline]
    fn memory() -> Box<MaybeUninit<Self>> {
        SPARE.try_with(Cell::take).ok().flatten().unwrap_or_else(Box::new_uninit)
    }

    /// Begins a fill, and hands over its lease.
    #[inline]
    fn hand_over_begun(
        index: &ci_index,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        out: &Out<*mut Self>,
    ) {
        let begun = ManuallyDrop::new(index.index.lease(tenant, path));
        let lease = Box::into_raw(Self::memory()).cast::<Self>();
        // SAFETY: the memory is that of a `ci_lease`, and no field is read. The lease is moved:
        // `begun` is not used any more, nor dropped.
        unsafe {
            (&raw mut (*lease).state).write(State::Open);
            copy_inline(&raw const begun, &raw mut (*lease).fill.open);
        }
        out.write(lease);
    }

    pub(crate) fn hand_over_claimed(lease: ClaimLease<u64>, out: &Out<*mut Self>) {
        let mut memory = Self::memory();
        let fill = Fill { claimed: ManuallyDrop::new(lease) };
        memory.write(Self { state: State::Claimed, fill });
        out.write(Box::into_raw(memory).cast());
    }

    #[allow(clippy::inline_always, reason = "most of what a commit costs beside the index")]
    #[inline(always)]
    fn commit(
        &mut self,
        variant: &VariantKey<'_>,
        value: u64,
        out: &OutStruct<ci_commit>,
    ) -> Result<c_int, Failure> {
        let state = mem::replace(&mut self.state, State::Closed);
        // SAFETY: the state said which field has a value, and says now that it was taken.
        let insertion = unsafe {
            match state {
                State::Open => {
                    let mut lease = MaybeUninit::<FillLease<u64>>::uninit();
                    copy_inline((&raw const self.fill.open).cast(), lease.as_mut_ptr());
                    lease.assume_init().commit(variant, value)
                }
                State::Claimed => {
                    ManuallyDrop::take(&mut self.fill.claimed).commit_as(variant, value)
                }
                State::Closed => return Err(closed()),
            }
        };
        Ok(stored(insertion, value, out))
    }
}

impl Drop for ci_lease {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the state says which field has a value, and nobody uses it after this.
        unsafe {
            match mem::replace(&mut self.state, State::Closed) {
                State::Open => ManuallyDrop::drop(&mut self.fill.open),
                State::Claimed => ManuallyDrop::drop(&mut self.fill.claimed),
                State::Closed => {}
            }
        }
    }
}

#[cold]
#[inline(never)]
fn closed() -> Failure {
    Failure::new(CI_ERR_CLOSED, "Closed", "lease was committed before: expected an open one")
}

/// Begins a fill of any variant of `path`. Call this before you read the source, also to refresh a
/// stale value.
///
/// Owner: you; end it with `ci_lease_free`, committed or not. An open lease keeps the memory of an
/// index that was freed.
///
/// Any thread may call this at any time. It locks the table of open fills of one shard.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: no fill begins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_take(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    out: *mut *mut ci_lease,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, Out::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let path = path.path("path")?;
            ci_lease::hand_over_begun(index, tenant, &path, &out);
            Ok(CI_OK)
        })
    }
}

/// Begins a fill by a name that was checked before, as `ci_lease_take` does.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT: no fill begins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_take_prepared(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: *const ci_path,
    out: *mut *mut ci_lease,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, Out::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            ci_lease::hand_over_begun(index, tenant, &borrow(path, "path")?.0, &out);
            Ok(CI_OK)
        })
    }
}

/// Stores what the fill brought, unless an invalidation overtook it. `out` may be NULL if you have
/// no object to delete.
///
/// This ends the fill, and `ci_lease_free` frees its memory.
///
/// After `ci_index_free`, a commit returns the same codes as before it, CI_STORED as well, but no
/// call can find the value any more, and none returns it. Delete the object yourself.
///
/// Undefined: to use one lease from two threads at the same time.
///
/// Returns CI_STORED, CI_STORED_STALE or CI_REFUSED. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT: the
/// fill stays open. CI_ERR_CLOSED: the lease was committed before, and this changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_commit(
    lease: *mut ci_lease,
    variant: ci_str,
    value: u64,
    out: *mut ci_commit,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a lease that nobody else uses, a text that can be read, and
    // NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (lease, out) = (borrow_mut(lease, "lease")?, OutStruct::new(out, "out")?);
            lease.commit(&variant.key("variant")?, value, &out)
        })
    }
}

/// Stores what the fill brought by a name that was checked before, as `ci_lease_commit` does.
///
/// Returns as `ci_lease_commit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_commit_prepared(
    lease: *mut ci_lease,
    key: *const ci_key,
    value: u64,
    out: *mut ci_commit,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a lease that nobody else uses, NULL or a valid name, and
    // NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (lease, out) = (borrow_mut(lease, "lease")?, OutStruct::new(out, "out")?);
            lease.commit(&borrow(key, "key")?.0, value, &out)
        })
    }
}

/// Stores what `ci_claim` claimed: its variant and its value. Otherwise as `ci_lease_commit`, which
/// stores another variant or another value under a claimed lease.
///
/// Returns as `ci_lease_commit`; CI_ERR_ARGUMENT: the lease does not come from `ci_claim`, and
/// stays open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_commit_claimed(
    lease: *mut ci_lease,
    out: *mut ci_commit,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a lease that nobody else uses, and NULL or places that can
    // be written to. Its state says which field has a value.
    unsafe {
        guard(error, || {
            let (lease, out) = (borrow_mut(lease, "lease")?, OutStruct::new(out, "out")?);
            match lease.state {
                State::Open => {
                    let message = "lease names no variant: expected one of ci_claim";
                    Err(Failure::argument(message))
                }
                State::Closed => Err(closed()),
                State::Claimed => {
                    lease.state = State::Closed;
                    let lease = ManuallyDrop::take(&mut lease.fill.claimed);
                    let value = *lease.value();
                    Ok(stored(lease.commit(), value, &out))
                }
            }
        })
    }
}

/// Frees a lease. If it was not committed, the fill has failed, and the index keeps nothing of it.
/// NULL is allowed.
///
/// Undefined: to free a lease twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lease_free(lease: *mut ci_lease) {
    if lease.is_null() {
        return;
    }
    let free = || {
        // SAFETY: the caller passes a lease that is not used any more, and it came from a box.
        let memory = unsafe {
            lease.drop_in_place();
            Box::from_raw(lease.cast::<MaybeUninit<ci_lease>>())
        };
        // In a thread that ends, it is freed.
        _ = SPARE.try_with(|spare| spare.set(Some(memory)));
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(free)) {
        mem::forget(payload);
    }
}

/// Stores a value as a fill that begins and ends in this call. Only for loading and warming: a
/// purge between your reading of the source and this call is not noticed. `out` may be NULL.
///
/// Any thread may call this at any time. It locks one shard.
///
/// Returns CI_STORED, CI_STORED_STALE or CI_REFUSED; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_TEXT: nothing is stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_insert(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variant: ci_str,
    value: u64,
    out: *mut ci_commit,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, key) = (path.path("path")?, variant.key("variant")?);
            Ok(stored(index.index.insert(tenant, &path, &key, value), value, &out))
        })
    }
}

/// Removes a variant, but only if it may still be served and holds `expected`. For evictions: an
/// object that has taken its place stays.
///
/// Any thread may call this at any time. It locks one shard.
///
/// Returns 1 if the entry was removed, 0 if there was no such entry; CI_ERR_NULL, CI_ERR_TENANT,
/// CI_ERR_TEXT: nothing is removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_remove(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variant: ci_str,
    expected: u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or a struct
    // that can be written to.
    unsafe {
        guard(error, || {
            let index = borrow(index, "index")?;
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, key) = (path.path("path")?, variant.key("variant")?);
            Ok(c_int::from(index.index.remove(tenant, &path, &key, &expected).is_some()))
        })
    }
}
