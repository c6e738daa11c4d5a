//! Films: OpenEXR files in, checked pixels and JPEG previews out.
//!
//! What lives here: a bounded reader of EXR headers ([`inspect`], [`check`]), the decoder ([`read()`]), the pixels as
//! Blender means them ([`Film`]), the film of a frame made from parts of its samples ([`merge`]), a film's passes as plain files ([`unfold()`]), one of them as
//! a picture ([`picture()`]), the scene's view transform as a table ([`ViewTable`]) and the preview
//! ([`preview_jpeg`]). What does not: network, threads that outlive a call, knowledge of jobs. Films come from other
//! machines, so nothing is allocated from a number in a file before that number was checked.

mod chunks;
mod error;
mod film;
mod header;
pub mod merge;
mod names;
mod picture;
mod preview;
mod read;
mod source;
mod unfold;
mod view;
mod zip;

pub use error::FilmError;
pub use film::{Channel, Film, Layer, Pass};
pub use header::{ChannelHeader, Expect, Header, PartHeader, SampleKind, check, inspect};
pub use picture::{Choice, PassHeader, Picture, passes, picture};
pub use preview::preview_jpeg;
pub use read::read;
pub use unfold::{Unfolded, UnfoldedPass, unfold};
pub use view::ViewTable;
