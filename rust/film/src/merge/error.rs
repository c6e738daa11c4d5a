//! Why parts do not make a film. Parts are told by their samples, which no two parts of a frame share.

use super::share::{Coverage, Share};
use crate::error::FilmError;
use std::io;

/// Why parts could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One part is to blame; without it the others may do.
    #[error("the part with {part}: {reason}")]
    Part {
        /// The samples it was added with.
        part: Coverage,
        /// What is wrong with it.
        reason: PartError,
    },
    /// Not all parts are there yet.
    #[error("the frame lacks {0}")]
    Lacks(Coverage),
    /// What is expected cannot be made of parts.
    #[error("{0}")]
    Impossible(String),
    /// The disk or the operating system refused.
    #[error("the merged film cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The chosen codec did not take the pixels.
    #[error("the merged film cannot be packed: {0}")]
    Pack(String),
}

/// What is wrong with a part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// It is not a film that can be read, or not of the frame's size.
    #[error("{0}")]
    Film(#[from] FilmError),
    /// It has samples that another part has.
    #[error("another part has {samples}, too")]
    Overlap {
        /// Those in both.
        samples: Share,
    },
    /// It has samples beyond the frame's last, or none.
    #[error("the frame has {total} samples")]
    Beyond {
        /// Of the whole frame.
        total: u32,
    },
    /// Its header says that it is made of other samples.
    #[error("{what} says {found}, but it should be {wanted}")]
    Says {
        /// An attribute of the header.
        what: String,
        /// What is in the file.
        found: String,
        /// What the other parts or the caller say.
        wanted: String,
    },
    /// A channel of the other parts is not in it.
    #[error("it lacks the channel \"{channel}\"")]
    Lacks {
        /// Its full name.
        channel: String,
    },
    /// A channel is in it which the other parts do not have, or have elsewhere or stored otherwise.
    #[error("the channel \"{channel}\" is not in the other parts, or not in this place, or not of this type")]
    Differs {
        /// Its full name.
        channel: String,
    },
    /// There is no rule to merge this pass exactly.
    #[error("the pass \"{pass}\" cannot be merged: {why}")]
    NoRule {
        /// Layer and pass.
        pass: String,
        /// In words.
        why: &'static str,
    },
    /// A sample is infinite or not a number.
    #[error("the channel \"{channel}\" has the value {value} at column {x}, line {y}")]
    NotFinite {
        /// Its full name.
        channel: String,
        /// Counted from the left, from 0.
        x: usize,
        /// Counted from the top, from 0.
        y: usize,
        /// As in the file.
        value: f32,
    },
    /// The pass Debug Sample Count tells of other samples than the share.
    #[error(
        "the channel \"{channel}\" has the value {value} at column {x}, line {y}, which {samples} samples cannot give"
    )]
    SampleCount {
        /// Its full name.
        channel: String,
        /// Counted from the left, from 0.
        x: usize,
        /// Counted from the top, from 0.
        y: usize,
        /// As in the file: a part of the samples.
        value: f32,
        /// What the part should have rendered in this layer.
        samples: u32,
    },
}
