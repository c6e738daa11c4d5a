//! The master's wall clock.

use netrender_core::model::ids::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time now, in milliseconds since 1970.
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
