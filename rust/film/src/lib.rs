//! Films: OpenEXR files in, checked pixels and JPEG previews out.
//!
//! What lives here: a bounded reader of EXR headers ([`inspect`], [`check`]), the decoder
//! ([`read()`]), the pixels as Blender means them ([`Film`]), the merge of a frame's parts into its
//! film ([`merge`]), a film's passes as plain files ([`unfold()`]), one pass as a picture
//! ([`picture()`]), the scene's view transform as a table ([`ViewTransform`]) and the preview
//! ([`preview_jpeg`]).
//!
//! What does not: network, threads that outlive a call, knowledge of jobs.
//!
//! Films come from other machines, so nothing is allocated from a number in a file before that
//! number was checked. Two words are the format's own here: a *chunk* is one packed block of lines,
//! and a *part* of a file is one of several images in it; a part of a frame is an input of a merge.

mod attributes;
mod chunks;
mod error;
mod film;
mod header;
mod layout;
pub mod merge;
mod names;
mod picture;
mod preview;
mod read;
mod source;
mod unfold;
mod view_transform;
mod zip;

pub use error::FilmError;
pub use film::{Channel, Film, Layer, Pass};
pub use header::{check, inspect};
pub use layout::{ChannelHeader, Expect, Header, PartHeader, PixelType};
pub use picture::{Choice, PassHeader, Picture, passes, picture};
pub use preview::preview_jpeg;
pub use read::read;
pub use unfold::{Unfolded, UnfoldedPass, unfold, words};
pub use view_transform::ViewTransform;
