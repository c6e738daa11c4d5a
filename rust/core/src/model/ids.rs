//! Numbers that must not be mixed up: each kind is a type of its own.

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
    /// Number of a job: 1, 2, 3 ..., so that it can be said over the phone.
    JobId(u32)
);
id!(
    /// Number of a slave on this master. It stays the same when the slave comes back.
    SlaveId(u32)
);
id!(
    /// Number of a lease. Never given to two leases.
    LeaseId(u64)
);
id!(
    /// Number of a frame on Blender's timeline; may be negative.
    Frame(i32)
);
id!(
    /// Wall-clock time in milliseconds since 1970, for people to read. Nothing is decided by it.
    Timestamp(u64)
);
