//! Pingora's `Storage`, with the index as its table. The values of the index are the objects.
//!
//! Invariants:
//! - An object is in the index only by a lease that was taken before its origin was asked. So an
//!   object whose fill a purge or a flush has overtaken is never found, however late it arrives.
//! - An object is committed when its header has arrived, and its body grows while it is in the
//!   index. So requests that arrive meanwhile read along, and a purge takes the growing object out
//!   like any other.
//! - Memory is counted when it is allocated and when it is freed. The count includes objects that
//!   are no longer in the index but still being sent.
//!
//! Not here: names and URLs, and the decision which answers are cached.

mod body;
mod eviction;
mod hit;
mod indexed;
mod miss;
mod names;
mod object;

pub use hit::Hit;
pub use indexed::Indexed;
pub use names::{Names, cache_key};
pub use object::Kept;
