//! Films as Blender writes them, as a broken network leaves them, and as an attacker would forge
//! them.

// clippy.toml allows it in #[test] functions, but not in the functions they call.
#![allow(clippy::unwrap_used)]

mod forged;
mod frame;
mod make;
mod merge;
mod merge_refused;
mod picture;
mod preview;
mod real;
mod roundtrip;
mod tiles;
mod unfold;
mod view_transform;
