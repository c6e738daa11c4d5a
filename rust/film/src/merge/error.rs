//! The reasons why parts do not make a film. A part is identified by its samples or lines, which no
//! two parts of a frame share.

use super::span::{Coverage, Span, Unit};
use crate::error::FilmError;
use std::io;

/// The reason why parts could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One part is to blame; without it the others may do.
    #[error("the part with {}: {reason}", part.in_words(*unit))]
    Part {
        /// Unit of `part`.
        unit: Unit,
        /// Coverage that the part was added with.
        part: Coverage,
        /// Fault of the part.
        reason: PartError,
    },
    /// Not all parts were added yet.
    #[error("the frame lacks {}", missing.in_words(*unit))]
    Lacks {
        /// Unit of `missing`.
        unit: Unit,
        /// Missing samples or lines.
        missing: Coverage,
    },
    /// The expected frame cannot be made of parts.
    #[error("{0}")]
    Impossible(String),
    /// The disk or the operating system refused.
    #[error("the merged film cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The chosen codec did not take the pixels.
    #[error("the merged film cannot be packed: {0}")]
    Pack(String),
}

/// The fault of a part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The part is not a readable film, or not of the frame's size.
    #[error("{0}")]
    Film(#[from] FilmError),
    /// The part and another one have samples or lines in common.
    #[error("another part has {}, too", common.in_words(*unit))]
    Overlap {
        /// Unit of `common`.
        unit: Unit,
        /// First samples or lines that both have.
        common: Span,
    },
    /// The part has samples or lines beyond the frame's last, or none.
    #[error("the frame has {total} {unit}s")]
    Beyond {
        /// Unit of `total`.
        unit: Unit,
        /// Number in the whole frame.
        total: u32,
    },
    /// The header contradicts the other parts or the caller.
    #[error("{what} says {found}, but it should be {wanted}")]
    Says {
        /// Attribute of the header.
        what: String,
        /// Value in the file.
        found: String,
        /// Value in the other parts or from the caller.
        wanted: String,
    },
    /// The part lacks a channel of the other parts.
    #[error("it lacks the channel \"{channel}\"")]
    Lacks {
        /// Full name of the channel.
        channel: String,
    },
    /// The part has a channel that the other parts do not have, or have in another place or type.
    #[error("the channel \"{channel}\" is not in the other parts, or not in this place, or not of this type")]
    Differs {
        /// Full name of the channel.
        channel: String,
    },
    /// No rule merges this pass exactly.
    #[error("the pass \"{pass}\" cannot be merged: {why}")]
    NoRule {
        /// Names of layer and pass.
        pass: String,
        /// Reason in words.
        why: &'static str,
    },
    /// A value is infinite or not a number.
    #[error("the channel \"{channel}\" has the value {value} at column {x}, line {y}")]
    NotFinite {
        /// Full name of the channel.
        channel: String,
        /// Column, counted from the left, from 0.
        x: usize,
        /// Line, counted from the top, from 0.
        y: usize,
        /// Value in the file.
        value: f32,
    },
    /// The pass Debug Sample Count contradicts the number of the part's samples.
    #[error(
        "the channel \"{channel}\" has the value {value} at column {x}, line {y}, which {samples} samples cannot give"
    )]
    SampleCount {
        /// Full name of the channel.
        channel: String,
        /// Column, counted from the left, from 0.
        x: usize,
        /// Line, counted from the top, from 0.
        y: usize,
        /// Value in the file: a fraction of the samples.
        value: f32,
        /// Number of samples that the part should have in this layer.
        samples: u32,
    },
}
