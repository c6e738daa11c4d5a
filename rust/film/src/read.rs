//! Decoding: every chunk to `f32`. The exr crate unpacks single blocks here, whose place and size
//! `header.rs` and `chunks.rs` have proved; it never reads a file. No merging and no showing of
//! films here.

use crate::error::FilmError;
use crate::film::Film;
use crate::layout::{Chunk, Expect, Layout, PartLayout, PixelType, limit, lines_per_chunk};
use crate::names;
use crate::source::Source;
use crate::zip;
use exr::block::UncompressedBlock;
use exr::block::chunk::{Chunk as PackedChunk, CompressedBlock, CompressedScanLineBlock};
use exr::compression::Compression;
use exr::math::Vec2;
use exr::meta::attribute::{ChannelDescription, LineOrder, SampleType, Text};
use exr::meta::{BlockDescription, MetaData, Requirements, header::Header as ExrHeader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Limit of all pixels of one film. An 8K frame with fifty channels takes 6.6 GB.
const MAX_FILM_BYTES: u64 = 16 << 30;

/// Checks the film as [`crate::check()`] does, then decodes all of it.
///
/// # Errors
/// As [`crate::check`]; [`FilmError::Damaged`] if a block does not unpack, [`FilmError::TooLarge`]
/// beyond 16 GiB of pixels, [`FilmError::OutOfMemory`].
pub fn read(path: &Path, expect: &Expect) -> Result<Film, FilmError> {
    let mut source = Source::open(path)?;
    let layout = Layout::read_expected(&mut source, expect)?;
    let mut planes = allocate(&layout)?;
    let firsts = first_planes(&layout.parts);
    let metadata = metadata(&layout);
    for chunk in &layout.chunks {
        let part = &layout.parts[chunk.part];
        source.go_to(chunk.start, "its picture")?;
        let packed = source.vec(chunk.bytes, "its picture")?;
        let bytes = unpack(&layout, &metadata, chunk, packed)?;
        let planes = &mut planes[firsts[chunk.part]..][..part.header.channels.len()];
        scatter(&bytes, &layout, chunk, planes);
    }
    Ok(Film::assemble(expect.width, expect.height, names::paths(&layout).zip(planes)))
}

fn allocate(layout: &Layout) -> Result<Vec<Vec<f32>>, FilmError> {
    let count: usize = layout.parts.iter().map(|part| part.header.channels.len()).sum();
    let pixels = layout.width * layout.height;
    let bytes = (pixels as u64).saturating_mul(4).saturating_mul(count as u64);
    limit("a film in bytes", bytes, MAX_FILM_BYTES)?;
    let plane = || {
        let mut plane = Vec::new();
        plane.try_reserve_exact(pixels).map_err(|_| FilmError::OutOfMemory { bytes })?;
        plane.resize(pixels, 0.0);
        Ok(plane)
    };
    (0..count).map(|_| plane()).collect()
}

/// For each part of the file, the index of its first channel among all channels.
pub(crate) fn first_planes(parts: &[PartLayout]) -> Vec<usize> {
    let sizes = parts.iter().map(|part| part.header.channels.len());
    sizes.scan(0, |next, size| Some(std::mem::replace(next, *next + size))).collect()
}

/// Builds the headers that the exr crate needs, from checked numbers only.
pub(crate) fn metadata(layout: &Layout) -> MetaData {
    let headers = layout.parts.iter().map(|part| {
        let channels = part.header.channels.iter().zip(&part.is_linear).map(|(channel, is_linear)| {
            // The name's bytes, as the file has them: the crate's own conversion knows Latin-1
            // only.
            let name = Text::from_slice_unchecked(channel.name.as_bytes());
            let kind = match channel.kind {
                PixelType::Half => SampleType::F16,
                PixelType::Float => SampleType::F32,
                PixelType::Uint => SampleType::U32,
            };
            ChannelDescription::new(name, kind, *is_linear)
        });
        ExrHeader::new(Text::from("part"), (layout.width, layout.height), channels.collect())
            .with_encoding(part.compression, BlockDescription::ScanLines, LineOrder::Increasing)
            .with_position(Vec2(0, part.top))
    });
    MetaData {
        requirements: Requirements {
            file_format_version: 2,
            is_single_layer_and_tiled: false,
            has_long_names: true,
            has_deep_data: false,
            has_multiple_layers: layout.is_multi_part,
        },
        headers: headers.collect(),
    }
}

/// Unpacks a chunk into native-endian values: line by line, in each line channel by channel.
pub(crate) fn unpack(
    layout: &Layout,
    metadata: &MetaData,
    chunk: &Chunk,
    packed: Vec<u8>,
) -> Result<Vec<u8>, FilmError> {
    let part = &layout.parts[chunk.part];
    let wrong = |what: &str| {
        FilmError::damaged(format!("part {}, line {}: the block does not unpack ({what})", chunk.part, chunk.line))
    };
    let unpacked_bytes = lines(layout, chunk) * layout.width * part.bytes_per_pixel as usize;
    match part.compression {
        // The exr crate does not check its size.
        Compression::Uncompressed if packed.len() != unpacked_bytes => return Err(wrong("it has the wrong size")),
        Compression::ZIP1 | Compression::ZIP16 if cfg!(target_endian = "little") => {
            return zip::unpack(&packed, unpacked_bytes).map_err(wrong);
        }
        Compression::DWAA(_) | Compression::DWAB(_) if packed.len() != unpacked_bytes => {
            check_dwa_sizes(layout, chunk, &packed).map_err(wrong)?;
        }
        _ => {}
    }
    let packed = PackedChunk {
        layer_index: chunk.part,
        compressed_block: CompressedBlock::ScanLine(CompressedScanLineBlock {
            y_coordinate: part.top + chunk.line as i32,
            compressed_pixels_le: packed,
        }),
    };
    // The crate's codecs hold asserts that forged bytes can reach; a bad file must not end the
    // program.
    let block = catch_unwind(AssertUnwindSafe(|| UncompressedBlock::decompress_chunk(packed, metadata, false)))
        .map_err(|_| wrong("its codec gave up"))?
        .map_err(|error| wrong(&error.to_string()))?;
    if block.data.len() != unpacked_bytes {
        return Err(wrong("it has the wrong size"));
    }
    Ok(block.data)
}

/// Number of lines in a chunk; the last one of a picture may have fewer.
pub(crate) fn lines(layout: &Layout, chunk: &Chunk) -> usize {
    let lines = lines_per_chunk(layout.parts[chunk.part].compression) as usize;
    lines.min(layout.height - chunk.line)
}

/// Checks the section sizes that a DWA block states, because the exr crate allocates them
/// unchecked.
fn check_dwa_sizes(layout: &Layout, chunk: &Chunk, packed: &[u8]) -> Result<(), &'static str> {
    let part = &layout.parts[chunk.part];
    let number = |index: usize| {
        let bytes = packed.get(index * 8..index * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    // The lossy section works on whole squares of 8x8 pixels, the others on the pixels themselves.
    let squares = layout.width.div_ceil(8) as u64 * lines(layout, chunk).div_ceil(8) as u64;
    let samples = squares * 64 * part.header.channels.len() as u64;
    // version, unknown raw, unknown packed, AC packed, DC packed, RLE packed, RLE unpacked, RLE
    // raw, AC count, DC count
    for (index, most) in [(1, samples * 4), (6, samples * 8 + 64), (7, samples * 4), (8, samples * 2), (9, samples)] {
        if number(index).ok_or("it is too short")? > most {
            return Err("it claims more pixels than the picture has");
        }
    }
    Ok(())
}

fn scatter(bytes: &[u8], layout: &Layout, chunk: &Chunk, planes: &mut [Vec<f32>]) {
    let channels = &layout.parts[chunk.part].header.channels;
    let mut rest = bytes;
    for line in chunk.line..chunk.line + lines(layout, chunk) {
        for (channel, plane) in channels.iter().zip(&mut *planes) {
            let (samples, after) = rest.split_at(layout.width * channel.kind.bytes());
            rest = after;
            convert(samples, channel.kind, &mut plane[line * layout.width..][..layout.width]);
        }
    }
}

pub(crate) fn convert(samples: &[u8], kind: PixelType, row: &mut [f32]) {
    match kind {
        PixelType::Half => {
            for (sample, out) in samples.as_chunks::<2>().0.iter().zip(row) {
                *out = exr::prelude::f16::from_ne_bytes(*sample).to_f32();
            }
        }
        PixelType::Float => {
            for (sample, out) in samples.as_chunks::<4>().0.iter().zip(row) {
                *out = f32::from_ne_bytes(*sample);
            }
        }
        PixelType::Uint => {
            for (sample, out) in samples.as_chunks::<4>().0.iter().zip(row) {
                *out = u32::from_ne_bytes(*sample) as f32;
            }
        }
    }
}
