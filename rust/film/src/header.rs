//! The bounded reader of EXR headers, and the check that a film fits its frame. The exr crate's own
//! reader allocates from numbers in the file until the process aborts, so it never sees a header:
//! this module parses it (<https://openexr.com/en/latest/OpenEXRFileLayout.html>), keeps what
//! decoding needs, and skips the rest without reading it into memory. The places of the pixels are
//! found in `chunks.rs`, the meaning of channel names in `names.rs`.

use crate::chunks;
use crate::error::FilmError;
use crate::film::Film;
use crate::layout::{ChannelHeader, Expect, Header, Layout, PartHeader, PartLayout, PixelType, limit, lines_per_chunk};
use crate::source::Source;
use exr::compression::Compression;
use std::collections::BTreeSet;
use std::path::Path;

/// Limit of all headers together. Cryptomatte manifests name every object of the scene: 100,000 of
/// them take about 12 MiB.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// Blender's own limit for the resolution.
const MAX_SIDE: u64 = 65_536;
/// Largest distance of a picture from the origin, in pixels.
const MAX_ORIGIN: i32 = 1 << 20;
const MAX_PARTS: usize = 4096;
const MAX_CHANNELS: usize = 16_384;
const MAX_NAME: usize = 255;
/// Limit of one unpacked block of lines: the format stores its size as an i32.
const MAX_CHUNK_BYTES: u64 = i32::MAX as u64;

const INSIDE: &str = "its header";
const MAGIC: [u8; 4] = [0x76, 0x2f, 0x31, 0x01];
const FLAG_TILED: u32 = 1 << 9;
const FLAG_LONG_NAMES: u32 = 1 << 10;
const FLAG_DEEP: u32 = 1 << 11;
const FLAG_MULTI_PART: u32 = 1 << 12;
/// Attributes without which Blender itself would not open the file.
const REQUIRED: [&str; 8] = [
    "channels",
    "compression",
    "dataWindow",
    "displayWindow",
    "lineOrder",
    "pixelAspectRatio",
    "screenWindowCenter",
    "screenWindowWidth",
];
/// Further attributes that are required in files of several parts.
const REQUIRED_OF_PARTS: [&str; 3] = ["chunkCount", "name", "type"];

/// Reads the film's header and checks that all of its pixels are in the file, without decoding
/// them.
///
/// # Errors
/// The [`FilmError`]s about files: not EXR, truncated, damaged, unsupported, or of absurd size.
pub fn inspect(path: &Path) -> Result<Header, FilmError> {
    Ok(Layout::read(&mut Source::open(path)?)?.header())
}

/// [`inspect`], and checks that the film fits the frame: its size, and at least one colour pass
/// ("Combined").
///
/// # Errors
/// As [`inspect`], [`FilmError::WrongSize`], [`FilmError::NoColour`].
pub fn check(path: &Path, expect: &Expect) -> Result<Header, FilmError> {
    Ok(Layout::read_expected(&mut Source::open(path)?, expect)?.header())
}

impl Layout {
    pub(crate) fn read(source: &mut Source) -> Result<Self, FilmError> {
        let is_multi_part = read_version(source)?;
        let mut all: Vec<Attributes> = Vec::new();
        let mut channels = 0;
        while let Some(attributes) = Attributes::read(source)? {
            channels += attributes.channels.as_ref().map_or(0, Vec::len);
            limit("a number of channels", channels as u64, MAX_CHANNELS as u64)?;
            all.push(attributes);
            limit("a number of parts", all.len() as u64, MAX_PARTS as u64)?;
            if !is_multi_part {
                break;
            }
        }
        let mut views = Vec::new();
        let mut window = None;
        let mut parts = Vec::new();
        let mut counts = Vec::new();
        for (index, attributes) in all.into_iter().enumerate() {
            let found = attributes.finish(index, is_multi_part)?;
            if *window.get_or_insert(found.window) != found.window {
                return Err(FilmError::Unsupported(format!("part {index} is of another size than the first")));
            }
            if index == 0 {
                views = found.views;
            }
            parts.push(found.part);
            counts.push(found.chunk_count);
        }
        let Some(window) = window else {
            return Err(FilmError::damaged("it has no parts"));
        };
        for (index, part) in parts.iter().enumerate() {
            let lines = window.height.min(lines_per_chunk(part.compression));
            let bytes = lines.saturating_mul(window.width).saturating_mul(part.bytes_per_pixel);
            limit("a block of lines in bytes", bytes, MAX_CHUNK_BYTES)?;
            let count = window.height.div_ceil(lines_per_chunk(part.compression));
            if counts[index].is_some_and(|said| said != count) {
                return Err(FilmError::damaged(format!("part {index} has the wrong number of blocks")));
            }
        }
        let mut layout = Self {
            width: window.width as usize,
            height: window.height as usize,
            is_multi_part,
            views,
            parts,
            chunks: Vec::new(),
            header_bytes: source.position(),
        };
        layout.chunks = chunks::read(source, &layout)?;
        Ok(layout)
    }

    pub(crate) fn read_expected(source: &mut Source, expect: &Expect) -> Result<Self, FilmError> {
        Self::read(source)?.expected(expect)
    }

    pub(crate) fn expected(self, expect: &Expect) -> Result<Self, FilmError> {
        let header = self.header();
        if (header.width, header.height) != (expect.width, expect.height) {
            return Err(FilmError::WrongSize {
                found_width: header.width,
                found_height: header.height,
                width: expect.width,
                height: expect.height,
            });
        }
        if Film::outline(&self).beauty().is_none() {
            return Err(FilmError::NoColour);
        }
        Ok(self)
    }

    fn header(&self) -> Header {
        Header {
            // Both are at most MAX_SIDE.
            width: self.width as u32,
            height: self.height as u32,
            parts: self.parts.iter().map(|part| part.header.clone()).collect(),
        }
    }
}

/// Checks the first eight bytes. Returns true if the file has several parts.
fn read_version(source: &mut Source) -> Result<bool, FilmError> {
    if source.remaining() < 8 {
        return Err(FilmError::NotExr);
    }
    if source.array::<4>(INSIDE)? != MAGIC {
        return Err(FilmError::NotExr);
    }
    let version = u32::from_le_bytes(source.array(INSIDE)?);
    let flags = version & !0xff;
    if version & 0xff != 2 || flags & !(FLAG_TILED | FLAG_LONG_NAMES | FLAG_DEEP | FLAG_MULTI_PART) != 0 {
        return Err(FilmError::Unsupported(format!("its format version {version:#x} is not known")));
    }
    if flags & FLAG_TILED != 0 {
        return Err(FilmError::Unsupported("it is stored in tiles, Blender stores lines".into()));
    }
    if flags & FLAG_DEEP != 0 {
        return Err(FilmError::Unsupported("it holds deep pixels".into()));
    }
    Ok(flags & FLAG_MULTI_PART != 0)
}

#[derive(Clone, Copy, PartialEq)]
struct Window {
    left: i32,
    top: i32,
    width: u64,
    height: u64,
}

/// The attributes of one part's header, before they are known to be complete.
#[derive(Default)]
struct Attributes {
    seen: BTreeSet<String>,
    channels: Option<Vec<(ChannelHeader, bool)>>,
    compression: Option<(Compression, &'static str)>,
    window: Option<Window>,
    chunk_count: Option<u64>,
    name: String,
    view: Option<String>,
    views: Vec<String>,
}

struct Finished {
    part: PartLayout,
    window: Window,
    chunk_count: Option<u64>,
    views: Vec<String>,
}

impl Attributes {
    /// Reads the next part's attributes; `None` at the end of the list of parts.
    fn read(source: &mut Source) -> Result<Option<Self>, FilmError> {
        let mut attributes = Self::default();
        loop {
            let name = source.name(MAX_NAME, INSIDE)?;
            if name.is_empty() {
                return Ok((!attributes.seen.is_empty()).then_some(attributes));
            }
            let kind = source.name(MAX_NAME, INSIDE)?;
            let size = u64::try_from(source.i32(INSIDE)?)
                .map_err(|_| FilmError::damaged(format!("attribute \"{name}\" has a negative size")))?;
            limit("a header in bytes", source.position().saturating_add(size), MAX_HEADER_BYTES)?;
            let end = source.position() + size;
            attributes.value(source, &name, &kind, size)?;
            if source.position() > end {
                return Err(FilmError::damaged(format!("attribute \"{name}\" is longer than it says")));
            }
            source.go_to(end, INSIDE)?;
            // Two readers could believe two different ones.
            if !attributes.seen.insert(name.clone()) {
                return Err(FilmError::damaged(format!("attribute \"{name}\" is there twice")));
            }
        }
    }

    /// Reads the values that are needed; the caller skips the others.
    fn value(&mut self, source: &mut Source, name: &str, kind: &str, size: u64) -> Result<(), FilmError> {
        let expected = match name {
            "channels" => ("chlist", None),
            "compression" => ("compression", Some(1)),
            "dataWindow" | "displayWindow" => ("box2i", Some(16)),
            "chunkCount" => ("int", Some(4)),
            "name" | "view" | "type" => ("string", None),
            "multiView" => ("stringvector", None),
            _ => return Ok(()),
        };
        if kind != expected.0 || expected.1.is_some_and(|bytes| bytes != size) {
            return Err(FilmError::damaged(format!("attribute \"{name}\" is not a {}", expected.0)));
        }
        match name {
            "channels" => self.channels = Some(read_channels(source, size)?),
            "compression" => self.compression = Some(codec(source.array::<1>(INSIDE)?[0])?),
            "dataWindow" => self.window = Some(read_window(source)?),
            "displayWindow" => drop(read_window(source)?),
            "chunkCount" => {
                let count = source.i32(INSIDE)?;
                self.chunk_count =
                    Some(u64::try_from(count).map_err(|_| FilmError::damaged("it has a negative number of blocks"))?);
            }
            "name" => self.name = read_text(source, size)?,
            "view" => self.view = Some(read_text(source, size)?).filter(|view| !view.is_empty()),
            "type" => match read_text(source, size)?.as_str() {
                "scanlineimage" => {}
                other => return Err(FilmError::Unsupported(format!("a part of it is of type \"{other}\""))),
            },
            _ => self.views = read_views(source, size)?,
        }
        Ok(())
    }

    fn finish(self, index: usize, is_multi_part: bool) -> Result<Finished, FilmError> {
        let lacks = |name: &str| FilmError::damaged(format!("part {index} lacks the attribute \"{name}\""));
        let required = REQUIRED.iter().chain(REQUIRED_OF_PARTS.iter().filter(|_| is_multi_part));
        if let Some(name) = required.into_iter().find(|name| !self.seen.contains(**name)) {
            return Err(lacks(name));
        }
        let (channels, is_linear): (Vec<ChannelHeader>, _) =
            self.channels.ok_or_else(|| lacks("channels"))?.into_iter().unzip();
        let (compression, codec_name) = self.compression.ok_or_else(|| lacks("compression"))?;
        let window = self.window.ok_or_else(|| lacks("dataWindow"))?;
        let part = PartLayout {
            bytes_per_pixel: channels.iter().map(|channel| channel.kind.bytes() as u64).sum(),
            header: PartHeader { name: self.name, view: self.view, compression: codec_name.into(), channels },
            compression,
            top: window.top,
            is_linear,
        };
        Ok(Finished { part, window, chunk_count: self.chunk_count, views: self.views })
    }
}

fn codec(byte: u8) -> Result<(Compression, &'static str), FilmError> {
    Ok(match byte {
        0 => (Compression::Uncompressed, "NONE"),
        1 => (Compression::RLE, "RLE"),
        2 => (Compression::ZIP1, "ZIPS"),
        3 => (Compression::ZIP16, "ZIP"),
        4 => (Compression::PIZ, "PIZ"),
        5 => (Compression::PXR24, "PXR24"),
        6 => (Compression::B44, "B44"),
        7 => (Compression::B44A, "B44A"),
        8 => (Compression::DWAA(None), "DWAA"),
        9 => (Compression::DWAB(None), "DWAB"),
        other => return Err(FilmError::Unsupported(format!("its codec {other} is not known"))),
    })
}

fn read_window(source: &mut Source) -> Result<Window, FilmError> {
    let mut corner = || source.i32(INSIDE);
    let (left, top, right, bottom) = (corner()?, corner()?, corner()?, corner()?);
    let side = |from: i32, to: i32| u64::try_from(i64::from(to) - i64::from(from) + 1).ok().filter(|side| *side > 0);
    let (Some(width), Some(height)) = (side(left, right), side(top, bottom)) else {
        return Err(FilmError::damaged("its picture has no pixels"));
    };
    limit("a width", width, MAX_SIDE)?;
    limit("a height", height, MAX_SIDE)?;
    limit("a position", u64::from(left.unsigned_abs().max(top.unsigned_abs())), MAX_ORIGIN as u64)?;
    Ok(Window { left, top, width, height })
}

fn read_text(source: &mut Source, size: u64) -> Result<String, FilmError> {
    limit("a text in bytes", size, MAX_NAME as u64)?;
    String::from_utf8(source.vec(size as usize, INSIDE)?)
        .map_err(|_| FilmError::damaged("a text in the header is not text"))
}

fn read_views(source: &mut Source, size: u64) -> Result<Vec<String>, FilmError> {
    let end = source.position() + size;
    let mut views = Vec::new();
    while source.position() < end {
        let bytes = source.i32(INSIDE)?;
        let bytes = u64::try_from(bytes).map_err(|_| FilmError::damaged("a view's name has a negative size"))?;
        views.push(read_text(source, bytes)?);
    }
    Ok(views)
}

fn read_channels(source: &mut Source, size: u64) -> Result<Vec<(ChannelHeader, bool)>, FilmError> {
    let end = source.position() + size;
    let mut channels = Vec::new();
    let mut names = BTreeSet::new();
    loop {
        let name = source.name(MAX_NAME, INSIDE)?;
        if name.is_empty() {
            break;
        }
        let kind = match source.i32(INSIDE)? {
            0 => PixelType::Uint,
            1 => PixelType::Half,
            2 => PixelType::Float,
            other => return Err(FilmError::damaged(format!("channel \"{name}\" is of unknown type {other}"))),
        };
        let [is_linear, ..] = source.array::<4>(INSIDE)?;
        let sampling = (source.i32(INSIDE)?, source.i32(INSIDE)?);
        if sampling != (1, 1) {
            return Err(FilmError::Unsupported(format!("channel \"{name}\" does not have every pixel")));
        }
        if !names.insert(name.clone()) {
            return Err(FilmError::damaged(format!("channel \"{name}\" is there twice")));
        }
        channels.push((ChannelHeader { name, kind }, is_linear != 0));
        limit("a number of channels", channels.len() as u64, MAX_CHANNELS as u64)?;
        if source.position() >= end {
            return Err(FilmError::damaged("its list of channels does not end"));
        }
    }
    if channels.is_empty() {
        return Err(FilmError::damaged("a part has no channels"));
    }
    Ok(channels)
}
