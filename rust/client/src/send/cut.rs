//! Content-defined chunking: cuts files into pieces and names them, in bounded memory. The places
//! of the cuts depend on the content alone, so an insertion does not shift every later piece.
//!
//! An uncompressed .blend is cut at its own blocks first. Each time it is opened and saved, the
//! head of every block gets another address, and pieces that mix heads with data would all be new.
//! The data of large blocks are pieces of their own; heads and small blocks between them are cut
//! finer. Measured on a 216 MB scene: 0.4 % new bytes instead of 27 %.

use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use netrender_core::files::recipe::Piece;
use netrender_store::blobs::digest_of;
use parking_lot::Mutex;
use std::{
    io::{self, BufReader, Read},
    sync::Arc,
};

/// Raised when the same file would be cut at other places, which makes the cut cache worthless.
pub const CUT_VERSION: u32 = 1;

/// Least, mask and most bytes of a piece. With the least so near the most, only a fifth of the
/// bytes is searched for a place to cut. That is four times as fast as usual, and finds the old
/// places again two or three pieces after a change.
#[derive(Clone, Copy)]
struct Sizes {
    least: usize,
    mask: usize,
    most: usize,
}

const BULK: Sizes = Sizes { least: 1 << 20, mask: 512 << 10, most: 2 << 20 };
const FINE: Sizes = Sizes { least: 16 << 10, mask: 64 << 10, most: 256 << 10 };
/// Bytes that are read and held in memory at once.
const WINDOW: usize = 4 << 20;
/// Length from which a block's data are pieces of their own. It grows with the file so that there
/// are at most `BLOCKS` of them.
const LARGE_BLOCK: u64 = 16 << 10;
const BLOCKS: u64 = 1 << 16;

/// Buffers for reuse: fresh memory for each would cost more than reading and hashing its content.
#[derive(Clone, Debug, Default)]
pub struct Windows(Arc<Mutex<Vec<Vec<u8>>>>);

impl Windows {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(WINDOW))
    }

    /// Wraps a filled buffer, which comes back when the last piece of it is dropped.
    fn fill(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Window { bytes, windows: self.clone() })
    }
}

struct Window {
    bytes: Vec<u8>,
    windows: Windows,
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.windows.0.lock().push(bytes);
    }
}

/// Receiver of pieces as they are cut. An error ends the cutting.
pub trait Sink {
    /// Receives the next piece of the file.
    fn piece(&mut self, piece: Piece, bytes: Bytes) -> io::Result<()>;
}

/// Cuts a file of about `length` bytes, to its end.
pub fn cut(file: impl Read, length: u64, windows: &Windows, sink: &mut impl Sink) -> io::Result<()> {
    let mut file = BufReader::with_capacity(64 << 10, file);
    match BlendHead::read(&mut file)? {
        (Some(head), start) => cut_blend(&head, start, file, length, windows, sink),
        (None, start) => cut_stream(io::Cursor::new(start).chain(file), BULK, windows, sink),
    }
}

/// Cuts a stream without structure.
fn cut_stream(mut stream: impl Read, sizes: Sizes, windows: &Windows, sink: &mut impl Sink) -> io::Result<()> {
    let mut carried: Bytes = Bytes::new();
    loop {
        let mut window = windows.take();
        window.extend_from_slice(&carried);
        let room = (WINDOW - window.len()) as u64;
        let read = stream.by_ref().take(room).read_to_end(&mut window)? as u64;
        if window.is_empty() {
            return Ok(());
        }
        carried = cut_window(windows.fill(window), sizes, read < room, sink)?;
        if read < room {
            return Ok(());
        }
    }
}

/// Cuts a window into pieces. Returns the last one, to which following bytes may belong, unless the
/// window is the end.
fn cut_window(window: Bytes, sizes: Sizes, is_end: bool, sink: &mut impl Sink) -> io::Result<Bytes> {
    // FastCDC wants the average (its mask) above the least; it is fine with windows shorter than
    // that.
    let chunks = FastCDC::new(&window, sizes.least, sizes.mask, sizes.most);
    for chunk in chunks {
        let end = chunk.offset + chunk.length;
        if end == window.len() && !is_end {
            return Ok(window.slice(chunk.offset..));
        }
        let bytes = window.slice(chunk.offset..end);
        sink.piece(Piece { digest: digest_of(&bytes), bytes: bytes.len() as u32 }, bytes)?;
    }
    Ok(Bytes::new())
}

/// Format of a .blend's block heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlendHead {
    /// 24 bytes with a 32-bit length at 4 (up to Blender 4), or 32 with a 64-bit one at 16 (5.0
    /// on).
    block_head: usize,
}

impl BlendHead {
    /// Reads the file's head; `None` if it is unknown. Also returns the bytes that were read.
    fn read(file: &mut impl Read) -> io::Result<(Option<Self>, Vec<u8>)> {
        let mut start = Vec::with_capacity(17);
        file.by_ref().take(12).read_to_end(&mut start)?;
        if !start.starts_with(b"BLENDER") || start.len() < 12 {
            return Ok((None, start));
        }
        if start[7..].starts_with(b"-v") {
            return Ok((Some(Self { block_head: 24 }), start));
        }
        if start[7..].starts_with(b"17-01") {
            file.by_ref().take(5).read_to_end(&mut start)?;
            return Ok((Some(Self { block_head: 32 }), start));
        }
        // Big-endian and 32-bit files are twenty years old and cut as any other.
        Ok((None, start))
    }

    fn data_length(self, head: &[u8]) -> Option<u64> {
        let at = |from: usize, to: usize| head.get(from..to);
        if self.block_head == 24 {
            let length = i32::from_le_bytes(at(4, 8)?.try_into().ok()?);
            u64::try_from(length).ok()
        } else {
            let length = i64::from_le_bytes(at(16, 24)?.try_into().ok()?);
            u64::try_from(length).ok()
        }
    }
}

fn cut_blend(
    head: &BlendHead,
    start: Vec<u8>,
    mut file: impl Read,
    length: u64,
    windows: &Windows,
    sink: &mut impl Sink,
) -> io::Result<()> {
    let large = LARGE_BLOCK.max(length / BLOCKS);
    let mut run = start;
    loop {
        let before = run.len();
        file.by_ref().take(head.block_head as u64).read_to_end(&mut run)?;
        let block = &run[before..];
        let data = head.data_length(block).filter(|data| block.len() == head.block_head && *data <= length);
        let (Some(data), false) = (data, block.starts_with(b"ENDB")) else {
            // The end, or not a block: the rest is cut as any other bytes.
            return cut_stream(io::Cursor::new(run).chain(file), FINE, windows, sink);
        };
        if data >= large {
            cut_window(std::mem::take(&mut run).into(), FINE, true, sink)?;
            cut_stream(file.by_ref().take(data), BULK, windows, sink)?;
        } else {
            file.by_ref().take(data).read_to_end(&mut run)?;
            if run.len() >= WINDOW {
                run = cut_window(std::mem::take(&mut run).into(), FINE, false, sink)?.to_vec();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[derive(Default)]
    struct All(Vec<(Piece, Bytes)>);

    impl Sink for All {
        fn piece(&mut self, piece: Piece, bytes: Bytes) -> io::Result<()> {
            self.0.push((piece, bytes));
            Ok(())
        }
    }

    fn pieces(bytes: &[u8]) -> Vec<(Piece, Bytes)> {
        let mut all = All::default();
        cut(bytes, bytes.len() as u64, &Windows::default(), &mut all).unwrap();
        all.0
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut hash = blake3::Hasher::new();
        hash.update(&seed.to_le_bytes());
        let mut bytes = vec![0; length];
        hash.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn block(code: &[u8; 4], address: u64, data: &[u8], modern: bool) -> Vec<u8> {
        let mut bytes = code.to_vec();
        if modern {
            bytes.extend(7u32.to_le_bytes());
            bytes.extend(address.to_le_bytes());
            bytes.extend((data.len() as u64).to_le_bytes());
            bytes.extend(1u64.to_le_bytes());
        } else {
            bytes.extend((data.len() as u32).to_le_bytes());
            bytes.extend(address.to_le_bytes());
            bytes.extend([7u32.to_le_bytes(), 1u32.to_le_bytes()].concat());
        }
        bytes.extend(data);
        bytes
    }

    /// A .blend of large and small blocks; another `session` gives every block another address.
    fn blend(session: u64, modern: bool) -> Vec<u8> {
        let mut bytes = if modern { b"BLENDER17-01v0500".to_vec() } else { b"BLENDER-v304".to_vec() };
        for number in 0..60u64 {
            let length = if number % 3 == 0 { 300_000 } else { 150 };
            bytes.extend(block(b"DATA", session * 1_000_003 + number * 64, &noise(number, length), modern));
        }
        bytes.extend(block(b"ENDB", 0, &[], modern));
        bytes
    }

    #[test]
    fn a_scene_opened_again_sends_little() {
        for modern in [false, true] {
            let (first, second) = (blend(1, modern), blend(2, modern));
            let known: HashSet<_> = pieces(&first).into_iter().map(|(piece, _)| piece.digest).collect();
            let new: usize = pieces(&second)
                .iter()
                .filter(|(piece, _)| !known.contains(&piece.digest))
                .map(|(_, bytes)| bytes.len())
                .sum();
            assert!(new * 100 < second.len(), "{new} of {}", second.len());
        }
    }

    #[test]
    fn an_insertion_changes_a_few_pieces() {
        let first = noise(1, 40 << 20);
        let mut second = first.clone();
        second.splice(3_000_000..3_000_000, noise(2, 1000));
        let known: HashSet<_> = pieces(&first).into_iter().map(|(piece, _)| piece.digest).collect();
        let new = pieces(&second).iter().filter(|(piece, _)| !known.contains(&piece.digest)).count();
        assert!(new <= 8, "{new} new pieces");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_make_up_the_file(
            seed in any::<u64>(), length in 0usize..3_000_000, kind in 0u8..4, cut_at in any::<prop::sample::Index>(),
        ) {
            let mut bytes = match kind {
                0 => noise(seed, length),
                1 => vec![0; length],
                other => blend(seed % 100, other == 2),
            };
            // Also broken off anywhere, and with garbage for blocks.
            bytes.truncate(cut_at.index(bytes.len() + 1).max(1));
            if kind == 3 { bytes.extend(noise(seed, 5000)); }
            let all = pieces(&bytes);
            prop_assert_eq!(all.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect::<Vec<u8>>(), bytes);
            for (piece, bytes) in &all {
                prop_assert_eq!(piece.digest, digest_of(bytes));
                prop_assert!((1..=BULK.most).contains(&bytes.len()));
            }
        }
    }
}
