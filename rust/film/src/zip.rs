//! The codecs ZIP and ZIPS: zlib over bytes that were sorted and turned into differences first. The
//! exr crate does the same more slowly, and almost every film is packed with ZIP. Data from the
//! network is inflated by safe Rust (zune-inflate); libdeflate, which is C, gets only pixels that
//! we computed ourselves.

use libdeflater::{CompressionLvl, Compressor};
use zune_inflate::{DeflateDecoder, DeflateOptions};

/// The level that OpenEXR's own library and Blender use.
const LEVEL: i32 = 4;

/// Unpacks a block into little-endian values. `unpacked_bytes` is the size that follows from the
/// header, and the size of the allocation.
pub(crate) fn unpack(packed: &[u8], unpacked_bytes: usize) -> Result<Vec<u8>, &'static str> {
    // A block that packing does not make smaller is stored unpacked.
    if packed.len() == unpacked_bytes {
        return Ok(packed.to_vec());
    }
    let options = DeflateOptions::default().set_limit(unpacked_bytes).set_size_hint(unpacked_bytes);
    let mut bytes = DeflateDecoder::new_with_options(packed, options)
        .decode_zlib()
        .map_err(|_| "its zlib stream is broken or too long")?;
    if bytes.len() != unpacked_bytes {
        return Err("it has the wrong size");
    }
    add_up(&mut bytes);
    Ok(interleave(&bytes))
}

/// Packs blocks, one at a time.
pub(crate) struct Packer {
    compressor: Compressor,
    sorted: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).expect("libdeflate has levels 0 to 12");
        Self { compressor: Compressor::new(level), sorted: Vec::new() }
    }

    /// Packs a block. Returns the block itself if packing does not make it smaller.
    pub(crate) fn pack(&mut self, block: Vec<u8>) -> Vec<u8> {
        self.sorted.resize(block.len(), 0);
        let (even, odd) = self.sorted.split_at_mut(block.len().div_ceil(2));
        let (pairs, last) = block.as_chunks::<2>();
        for ((pair, even), odd) in pairs.iter().zip(&mut *even).zip(odd) {
            [*even, *odd] = *pair;
        }
        if let ([last], Some(even)) = (last, even.last_mut()) {
            *even = *last;
        }
        let mut packed = vec![0; self.compressor.zlib_compress_bound(block.len())];
        let differences = differences(&self.sorted);
        match self.compressor.zlib_compress(&differences, &mut packed) {
            Ok(bytes) if bytes < block.len() => {
                packed.truncate(bytes);
                packed
            }
            _ => block,
        }
    }
}

/// Each byte's difference from the previous one, around 128.
fn differences(bytes: &[u8]) -> Vec<u8> {
    let mut differences = Vec::with_capacity(bytes.len());
    differences.extend(bytes.first());
    differences.extend(bytes.iter().zip(bytes.get(1..).unwrap_or_default()).map(|(a, b)| b.wrapping_sub(*a) ^ 0x80));
    differences
}

/// Undoes [`differences`], eight bytes at a time: one by one, each would wait for the previous one.
fn add_up(bytes: &mut [u8]) {
    /// One byte in each of four lanes of 16 bits; multiplied by [`ONES`], each lane becomes the sum
    /// of the lanes up to it.
    const LOW: u64 = 0x00ff_00ff_00ff_00ff;
    const ONES: u64 = 0x0001_0001_0001_0001;
    let Some((first, rest)) = bytes.split_first_mut() else { return };
    let mut before = *first;
    let (blocks, rest) = rest.as_chunks_mut::<8>();
    for block in blocks {
        let steps = u64::from_le_bytes(*block) ^ 0x8080_8080_8080_8080;
        let odd = (steps >> 8) & LOW;
        // At most 8 x 255 in a lane, and 255 more from `before`: no lane overflows into the next.
        let pairs = ((steps & LOW) + odd).wrapping_mul(ONES);
        let up_to_odd = pairs + u64::from(before) * ONES;
        *block = (((up_to_odd - odd) & LOW) | ((up_to_odd & LOW) << 8)).to_le_bytes();
        before = before.wrapping_add((pairs >> 48) as u8);
    }
    for byte in rest {
        before = before.wrapping_add(*byte ^ 0x80);
        *byte = before;
    }
}

/// Takes bytes alternately from the first and the second half.
fn interleave(sorted: &[u8]) -> Vec<u8> {
    let (even, odd) = sorted.split_at(sorted.len().div_ceil(2));
    let mut bytes = vec![0; sorted.len()];
    let (pairs, last) = bytes.as_chunks_mut::<2>();
    for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
        *pair = [*even, *odd];
    }
    if let ([last], Some(even)) = (last, even.last()) {
        *last = *even;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(mut block in prop::collection::vec(any::<u8>(), 1..400), run in 0..300_usize) {
            block.extend(std::iter::repeat_n(7, run));
            let packed = Packer::new().pack(block.clone());
            prop_assert!(packed.len() <= block.len());
            prop_assert_eq!(unpack(&packed, block.len()).unwrap(), block);
        }
    }

    #[test]
    fn a_stream_of_another_length_is_refused() {
        let packed = Packer::new().pack(vec![1; 1000]);
        assert!(unpack(&packed, 999).is_err());
        assert!(unpack(&packed, 1001).is_err());
        assert!(unpack(&packed[..packed.len() - 1], 1000).is_err());
    }
}
