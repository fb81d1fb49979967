//! The variants of one path, as a user would write them for a map of paths: a short list that is
//! searched from its start. It turns into a map if a path has unusually many variants.

use crate::site::Payload;
use ahash::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::borrow::Borrow;
use std::hash::Hash;
use std::ops::DerefMut;

/// Above this, a map finds a key faster.
const MAX_FEW: usize = 32;

/// The type of the short list.
pub(super) trait Short: 'static {
    type List<T: Send + Sync + 'static>: Default
        + DerefMut<Target = [T]>
        + IntoIterator<Item = T>
        + Send
        + Sync
        + 'static;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T);

    fn copy<T: Clone + Send + Sync + 'static>(list: &Self::List<T>) -> Self::List<T>;
}

/// The fastest list: the first items lie inside the table's entry, so that a lookup waits for
/// memory once less.
pub(super) struct Inline;

/// The smallest list: a table's empty entries have no room for items.
pub(super) struct Lean;

impl Short for Inline {
    type List<T: Send + Sync + 'static> = SmallVec<[T; 4]>;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T) {
        list.push(item);
    }

    fn copy<T: Clone + Send + Sync + 'static>(list: &Self::List<T>) -> Self::List<T> {
        list.clone()
    }
}

impl Short for Lean {
    type List<T: Send + Sync + 'static> = Vec<T>;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T) {
        // No room for more.
        list.reserve_exact(1);
        list.push(item);
    }

    fn copy<T: Clone + Send + Sync + 'static>(list: &Self::List<T>) -> Self::List<T> {
        list.clone()
    }
}

pub(super) enum Variants<V: Payload, S: Short, K: Key = Box<str>> {
    Few(S::List<(K, V)>),
    Many(Box<HashMap<K, V, RandomState>>),
}

/// A key as a set keeps it: its text, or a number for it.
pub(super) trait Key:
    Borrow<Self::Asked> + Eq + Hash + Clone + Send + Sync + 'static
{
    /// A key in a question.
    type Asked: Eq + Hash + ?Sized;

    fn new(asked: &Self::Asked) -> Self;
}

impl Key for Box<str> {
    type Asked = str;

    fn new(asked: &str) -> Self {
        asked.into()
    }
}

impl Key for u32 {
    type Asked = Self;

    fn new(asked: &Self) -> Self {
        *asked
    }
}

impl<V: Payload, S: Short, K: Key> Default for Variants<V, S, K> {
    fn default() -> Self {
        Self::Few(S::List::default())
    }
}

impl<V: Payload, S: Short, K: Key> Clone for Variants<V, S, K> {
    fn clone(&self) -> Self {
        match self {
            Self::Few(few) => Self::Few(S::copy(few)),
            Self::Many(many) => Self::Many(many.clone()),
        }
    }
}

impl<V: Payload, S: Short, K: Key> Variants<V, S, K> {
    pub(super) fn get(&self, key: &K::Asked) -> Option<V> {
        match self {
            Self::Few(few) => {
                few.iter().find(|(other, _)| other.borrow() == key).map(|(_, value)| *value)
            }
            Self::Many(many) => many.get(key).copied(),
        }
    }

    /// Returns the previous value.
    pub(super) fn insert(&mut self, key: &K::Asked, value: V) -> Option<V> {
        if let Self::Few(few) = self {
            if let Some((_, old)) = few.iter_mut().find(|(other, _)| (*other).borrow() == key) {
                return Some(std::mem::replace(old, value));
            }
            if few.len() < MAX_FEW {
                S::push(few, (K::new(key), value));
                return None;
            }
            let few = std::mem::take(few);
            *self = Self::Many(Box::new(few.into_iter().collect()));
        }
        let Self::Many(many) = self else { unreachable!("a full list was turned into a map") };
        match many.get_mut(key) {
            Some(old) => Some(std::mem::replace(old, value)),
            None => many.insert(K::new(key), value),
        }
    }

    pub(super) fn hand_over(self, mut gone: impl FnMut(&K, V)) {
        match self {
            Self::Few(few) => few.into_iter().for_each(|(key, value)| gone(&key, value)),
            Self::Many(many) => many.into_iter().for_each(|(key, value)| gone(&key, value)),
        }
    }

    /// The same for a set that others may still read.
    pub(super) fn show(&self, mut gone: impl FnMut(&K, V)) {
        match self {
            Self::Few(few) => few.iter().for_each(|(key, value)| gone(key, *value)),
            Self::Many(many) => many.iter().for_each(|(key, value)| gone(key, *value)),
        }
    }
}
