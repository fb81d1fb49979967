//! The only place that names a lock or an atomic.
//!
//! Invariant: no other module imports `parking_lot` or `std::sync::atomic`. So a model checker can
//! replace them with its own types:
//! - `--cfg cache_index_shuttle` runs schedules of many operations.
//! - `--cfg cache_index_loom` runs every schedule of a few operations, with the real orderings.

#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
mod real {
    pub(crate) use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}
#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
pub(crate) use real::{AtomicU64, Mutex, Ordering, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(cache_index_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
#[cfg(cache_index_shuttle)]
pub(crate) use shuttle_parking_lot::{Mutex, RwLock};

#[cfg(cache_index_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(cache_index_loom)]
pub(crate) use with_parking_lots_signatures::{Mutex, RwLock};

/// Loom's locks with the signatures of parking_lot, which has no lock poisoning.
#[cfg(cache_index_loom)]
mod with_parking_lots_signatures {
    use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread of the model panics")
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    #[derive(Debug)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("no thread of the model panics")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("no thread of the model panics")
        }
    }

    impl<T: Default> Default for RwLock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }
}
