//! The layout of a film's file: the facts of its header, the places of its chunks, and the bounds
//! that numbers from a file must keep. Plain data; `header.rs` and `chunks.rs` fill it in and prove
//! it.

use crate::error::FilmError;
use exr::compression::Compression;

/// The frame's size according to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Width in pixels, after percentage and crop.
    pub width: u32,
    /// Height in pixels, after percentage and crop.
    pub height: u32,
}

/// A film's header, checked against the file's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width of every part, in pixels.
    pub width: u32,
    /// Height of every part, in pixels.
    pub height: u32,
    /// In the order of the file; only one unless the file is multi-part (Blender 5.0).
    pub parts: Vec<PartHeader>,
}

/// One part of a film's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHeader {
    /// Name in the file; empty in files of one part.
    pub name: String,
    /// Name of the stereo view (eye or camera), if the file gives one.
    pub view: Option<String>,
    /// Blender's name of the codec: `NONE`, `RLE`, `ZIPS`, `ZIP`, `PIZ`, `PXR24`, `B44`, `B44A`,
    /// `DWAA`, `DWAB`.
    pub compression: String,
    /// Channels in the order of the file.
    pub channels: Vec<ChannelHeader>,
}

/// One channel of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelHeader {
    /// Full name, such as `ViewLayer.Combined.R`.
    pub name: String,
    /// Type of its values in the file.
    pub kind: PixelType,
}

/// Type of a channel's values in the file; [`crate::Film`] holds all of them as `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelType {
    /// 16-bit float.
    Half,
    /// 32-bit float.
    Float,
    /// 32-bit unsigned integer.
    Uint,
}

impl PixelType {
    /// Size of one value in the file.
    pub fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Float | Self::Uint => 4,
        }
    }
}

/// Everything that decoding needs, proved. Made by `header.rs`.
pub(crate) struct Layout {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) is_multi_part: bool,
    /// Stereo views of a one-part file. Channels without a layer do not name the first one.
    pub(crate) views: Vec<String>,
    pub(crate) parts: Vec<PartLayout>,
    /// Chunks in the order of the file, not overlapping.
    pub(crate) chunks: Vec<Chunk>,
    /// Length from the start of the file to the table of offsets; bounded by `header.rs`.
    pub(crate) header_bytes: u64,
}

pub(crate) struct PartLayout {
    pub(crate) header: PartHeader,
    pub(crate) compression: Compression,
    /// First line of the data window.
    pub(crate) top: i32,
    pub(crate) bytes_per_pixel: u64,
    /// The per-channel linear flag: true if lossy codecs store the values unchanged. It is read
    /// from the file because it does not follow from the name: Blender's `Normal.Y` is linear, a
    /// luminance `Y` is not.
    pub(crate) is_linear: Vec<bool>,
}

/// One packed block of lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) part: usize,
    /// First line, counted from 0 at the top of the picture.
    pub(crate) line: usize,
    /// Offset of the packed bytes, after the chunk's own header.
    pub(crate) start: u64,
    pub(crate) bytes: usize,
}

/// Number of lines that the codec packs together.
pub(crate) fn lines_per_chunk(compression: Compression) -> u64 {
    compression.scan_lines_per_block() as u64
}

/// Refuses a number from a file that is larger than any real frame needs.
pub(crate) fn limit(what: &'static str, found: u64, limit: u64) -> Result<(), FilmError> {
    if found > limit { Err(FilmError::TooLarge { what, found, limit }) } else { Ok(()) }
}
