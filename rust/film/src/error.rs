//! The faults of a film, worded so that its owner knows what to do. No paths: the caller knows the
//! file and names it.

use std::io;

/// The reason why a film, a view transform or a preview could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmError {
    /// The disk or the operating system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first bytes are not those of an OpenEXR file.
    #[error("this is not an OpenEXR file; was another file format chosen for the output?")]
    NotExr,
    /// The file is shorter than its header states.
    #[error("the file ends inside {inside}: it was not written or not sent completely")]
    Truncated {
        /// Section that the reader was in.
        inside: &'static str,
    },
    /// Pixels that the header promises were never written.
    #[error("part {part} lacks the picture from line {line} on: rendering stopped before the file was finished")]
    Unfinished {
        /// Part of the file, counted from 0.
        part: usize,
        /// First line of the missing chunk, counted from 0 at the top.
        line: u64,
    },
    /// The file contradicts itself or the format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A valid kind of EXR file that Blender never writes.
    #[error("the file cannot be used: {0}")]
    Unsupported(String),
    /// A number in the file exceeds the needs of any frame.
    #[error("the file claims {what} of {found}, more than the {limit} allowed: it is damaged or forged")]
    TooLarge {
        /// Quantity with its article, such as "a width".
        what: &'static str,
        /// Value in the file.
        found: u64,
        /// Largest value allowed.
        limit: u64,
    },
    /// The frame is not of the job's size.
    #[error("the picture is {found_width}x{found_height} pixels, but the job renders {width}x{height}")]
    WrongSize {
        /// Width of the film, in pixels.
        found_width: u32,
        /// Height of the film, in pixels.
        found_height: u32,
        /// Width of the job's frames, in pixels.
        width: u32,
        /// Height of the job's frames, in pixels.
        height: u32,
    },
    /// No layer has a colour pass.
    #[error("the film has no Combined pass, so there is no picture in it")]
    NoColour,
    /// The film lacks the pass that was asked for.
    #[error("the film has no pass {pass:?} in a layer {layer:?}")]
    NoSuchPass {
        /// Layer that was asked for.
        layer: String,
        /// Pass that was asked for.
        pass: String,
    },
    /// The memory for the pixels could not be allocated.
    #[error("there is not enough memory for a film of {bytes} bytes")]
    OutOfMemory {
        /// Size of the allocation.
        bytes: u64,
    },
    /// The image does not hold a view transform.
    #[error("the view transform cannot be used: {0}")]
    BadViewTransform(String),
    /// The picture could not be encoded.
    #[error("no preview can be made: {0}")]
    Preview(String),
}

impl FilmError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
