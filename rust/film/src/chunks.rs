//! The table of offsets and the few bytes before each chunk (packed block of lines). Proves that
//! every chunk is there, is the one the table says, overlaps no other and lies wholly inside the
//! file, so that a truncated or unfinished film is found without unpacking anything.

use crate::error::FilmError;
use crate::layout::{Chunk, Layout, limit, lines_per_chunk};
use crate::source::Source;

const INSIDE: &str = "its picture";

/// Reads the table and checks every chunk. The source must be positioned just behind the headers.
pub(crate) fn read(source: &mut Source, layout: &Layout) -> Result<Vec<Chunk>, FilmError> {
    let height = layout.height as u64;
    let total: u64 = layout.parts.iter().map(|part| height.div_ceil(lines_per_chunk(part.compression))).sum();
    // At most 4096 parts x 65,536 lines; the file must hold the whole table before a byte is
    // allocated for it.
    if total.saturating_mul(8) > source.remaining() {
        return Err(FilmError::Truncated { inside: "its table of contents" });
    }
    let mut chunks = Vec::with_capacity(total as usize);
    for (index, part) in layout.parts.iter().enumerate() {
        for line in (0..layout.height).step_by(lines_per_chunk(part.compression) as usize) {
            let start = u64::from_le_bytes(source.array(INSIDE)?);
            if start == 0 {
                return Err(FilmError::Unfinished { part: index, line: line as u64 });
            }
            chunks.push(Chunk { part: index, line, start, bytes: 0 });
        }
    }
    chunks.sort_unstable_by_key(|chunk| chunk.start);
    for chunk in &mut chunks {
        check(source, layout, chunk)?;
    }
    Ok(chunks)
}

/// Fills in `bytes` and moves `start` behind the chunk's header. The source must be positioned just
/// behind the previous chunk.
fn check(source: &mut Source, layout: &Layout, chunk: &mut Chunk) -> Result<(), FilmError> {
    let Chunk { part: index, line, .. } = *chunk;
    let wrong = |what: &str| FilmError::damaged(format!("part {index}, line {line}: {what}"));
    if chunk.start < source.position() {
        return Err(wrong("its block overlaps another"));
    }
    source.go_to(chunk.start, INSIDE)?;
    if layout.is_multi_part && usize::try_from(source.i32(INSIDE)?) != Ok(index) {
        return Err(wrong("its block belongs to another part"));
    }
    let part = &layout.parts[index];
    if i64::from(source.i32(INSIDE)?) != i64::from(part.top) + line as i64 {
        return Err(wrong("its block belongs to another line"));
    }
    let lines = lines_per_chunk(part.compression).min((layout.height - line) as u64);
    let unpacked = lines * layout.width as u64 * part.bytes_per_pixel;
    let bytes = u64::try_from(source.i32(INSIDE)?).unwrap_or(0);
    if bytes == 0 {
        return Err(wrong("its block is empty"));
    }
    // A block that packing does not make smaller is stored unpacked.
    limit("a packed block in bytes", bytes, unpacked)?;
    chunk.start = source.position();
    chunk.bytes = bytes as usize;
    source.skip(bytes, INSIDE)
}
