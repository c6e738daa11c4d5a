//! Numbers that must not be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A submission, numbered 1, 2, 3 ... so that it can be said over the phone.
    JobId(u32)
);
id!(
    /// A slave as this master numbered it; stays the same when the slave comes back.
    SlaveId(u32)
);
id!(
    /// One dispatch of a chunk to a slave. Never used twice for different chunks.
    LeaseId(u64)
);
id!(
    /// A frame number on Blender's timeline; may be negative.
    Frame(i32)
);
id!(
    /// Wall-clock milliseconds since 1970, for people to read. Nothing is decided by it.
    Timestamp(u64)
);
