//! Merges a frame's parts into its film. Each part holds some of the frame's samples, rendered
//! separately with another offset; the merged film equals, to float rounding, the one that Cycles
//! makes of all samples at once. Parts are multilayer films as Blender writes them; the merged film
//! has the header of the part with the first sample.
//!
//! ```text
//! parts: 0+16  16+8  24+40 ──> Merger ──finish──> the frame's film      (all samples, no less)
//!              16+8  24+40 ──> Merger ───sum────> a film of 16+48       (any samples; a part like any other)
//! ```
//!
//! A frame may also be cut into tiles as wide as the picture ([`Cut::Lines`]). Then a part holds
//! all samples of some lines, spans count lines instead of samples, and each line is copied
//! unchanged.
//!
//! [`Merger::add`] reads headers only. Pixels are read once, when the film is written, a few lines
//! of one part at a time on each thread, so memory depends on width and channels only. There is no
//! state besides files: to merge parts as they come in, write a sum and add the next part to that.
//! A failed merge leaves no file and damages no other.
//!
//! What lives here: the expected frame (`frame.rs`), spans of samples or lines (`span.rs`), rules
//! by pass (`rules.rs`), checks of parts (`part.rs`), the arithmetic (`stripe.rs`,
//! `cryptomatte.rs`), tiles (`tiles.rs`), the file (`write.rs`), the picture for a preview
//! (`beauty.rs`), and the merge as a whole (`merger.rs`). What does not: how a frame is cut, and
//! denoising, which comes after the merge.

mod beauty;
mod cryptomatte;
mod error;
mod frame;
mod merger;
mod part;
mod rules;
mod span;
mod stripe;
mod tiles;
mod write;

pub use error::{MergeError, PartError};
pub use frame::{Cut, FrameSpec};
pub use merger::{MergedFilm, Merger, Output};
pub use part::PartInfo;
pub use span::{Coverage, NotSpans, Span, Unit};
pub use write::Codec;
