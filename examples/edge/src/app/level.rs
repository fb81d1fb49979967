//! `Level`: how far an invalidation must get in a fleet before it is answered.

use serde::Serialize;

/// How far an invalidation has got, or must get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It holds on this edge.
    Local,
    /// The fleet's log has it, too.
    #[default]
    Durable,
    /// It holds on every edge that may serve as fresh.
    Everywhere,
}

/// The outcome of an invalidation in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Reached {
    /// The level that it has reached for certain.
    pub(crate) level: Level,
    /// The level that was asked for, if it was not reached in time. The invalidation is sent as
    /// soon as that is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) level_not_reached: Option<Level>,
}

impl Level {
    /// Reads the name of a level.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Self::Local),
            "durable" => Some(Self::Durable),
            "everywhere" => Some(Self::Everywhere),
            _ => None,
        }
    }
}
