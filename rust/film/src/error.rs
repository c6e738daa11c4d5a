//! What can be wrong with a film, said so that its owner knows what to do. No paths: the caller knows which file it
//! asked about and says so.

use std::io;

/// Why a film, a view table or a preview could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmError {
    /// The disk or the operating system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first bytes are not those of an OpenEXR file.
    #[error("this is not an OpenEXR file; was another file format chosen for the output?")]
    NotExr,
    /// The file is shorter than it says.
    #[error("the file ends inside {inside}: it was not written or not sent completely")]
    Truncated {
        /// What the reader was reading.
        inside: &'static str,
    },
    /// Pixels that the header promises were never written.
    #[error("part {part} lacks the picture from line {line} on: rendering stopped before the file was finished")]
    Unfinished {
        /// The part, counted from 0.
        part: usize,
        /// The first line of the missing block, counted from 0 at the top.
        line: u64,
    },
    /// The file contradicts itself or the format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A valid kind of EXR file which Blender never writes.
    #[error("the file cannot be used: {0}")]
    Unsupported(String),
    /// A number in the file is beyond what any frame needs.
    #[error("the file claims {what} of {found}, more than the {limit} allowed: it is damaged or forged")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// What the file says.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The frame is not of the job's size.
    #[error("the picture is {found_width}x{found_height} pixels, but the job renders {width}x{height}")]
    WrongSize {
        /// Width in the file.
        found_width: u32,
        /// Height in the file.
        found_height: u32,
        /// Width the job asks for.
        width: u32,
        /// Height the job asks for.
        height: u32,
    },
    /// No layer has a colour picture.
    #[error("the film has no Combined pass, so there is no picture in it")]
    NoColour,
    /// The film has other passes.
    #[error("the film has no pass {pass:?} in a layer {layer:?}")]
    NoSuchPass {
        /// As asked for.
        layer: String,
        /// As asked for.
        pass: String,
    },
    /// The memory for the pixels could not be had.
    #[error("there is not enough memory for a film of {bytes} bytes")]
    OutOfMemory {
        /// How much was asked for.
        bytes: u64,
    },
    /// The image that should hold the view transform does not.
    #[error("the view transform cannot be used: {0}")]
    BadViewTable(String),
    /// The JPEG could not be made.
    #[error("no preview can be made: {0}")]
    Preview(String),
}

impl FilmError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
