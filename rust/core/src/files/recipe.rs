//! Recipes: the list of a file's pieces in order.
//!
//! A file's digest is the digest of its recipe's bytes. So each piece is verified by itself, and
//! the file never needs to be read as a whole to verify it. A file of one piece needs no recipe:
//! its digest is that piece's.

use crate::model::digest::Digest;

/// Largest piece a sender may cut, and largest recipe.
pub const MAX_PIECE_BYTES: u32 = 16 << 20;
/// Bytes of an entry: a digest and a little-endian length.
const ENTRY: usize = 36;
/// Most pieces of a file: as many as the largest recipe holds.
pub const MAX_PIECES: u32 = MAX_PIECE_BYTES / ENTRY as u32;

/// A run of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Number of bytes, at least 1.
    pub bytes: u32,
}

/// Error for bytes that are no recipe, or not the expected file's.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecipeError {
    /// The length is no whole number of entries, or there are more than [`MAX_PIECES`].
    #[error("the list of the file's pieces has an impossible length")]
    Length,
    /// A piece is empty or larger than [`MAX_PIECE_BYTES`].
    #[error("a piece of the file has the impossible size {0}")]
    PieceSize(u32),
    /// Sizes or counts do not add up to those of the file.
    #[error("the file's pieces do not add up to what is claimed of it")]
    Claim,
}

/// Encodes the recipe of a file of several pieces.
pub fn encode(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pieces.len() * ENTRY);
    for piece in pieces {
        bytes.extend_from_slice(&piece.digest.0);
        bytes.extend_from_slice(&piece.bytes.to_le_bytes());
    }
    bytes
}

/// Decodes a recipe that must have `pieces` pieces with `file_bytes` bytes in all.
pub fn decode(bytes: &[u8], pieces: u32, file_bytes: u64) -> Result<Vec<Piece>, RecipeError> {
    if !bytes.len().is_multiple_of(ENTRY) || bytes.len() > MAX_PIECE_BYTES as usize {
        return Err(RecipeError::Length);
    }
    if bytes.len() / ENTRY != pieces as usize {
        return Err(RecipeError::Claim);
    }
    let mut all = Vec::with_capacity(pieces as usize);
    let mut sum = 0;
    for entry in bytes.chunks_exact(ENTRY) {
        let (mut digest, mut length) = ([0; 32], [0; 4]);
        digest.copy_from_slice(&entry[..32]);
        length.copy_from_slice(&entry[32..]);
        let length = u32::from_le_bytes(length);
        if !(1..=MAX_PIECE_BYTES).contains(&length) {
            return Err(RecipeError::PieceSize(length));
        }
        sum += u64::from(length);
        all.push(Piece { digest: Digest(digest), bytes: length });
    }
    if sum == file_bytes { Ok(all) } else { Err(RecipeError::Claim) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let piece = (any::<[u8; 32]>(), 1..=MAX_PIECE_BYTES);
        proptest::collection::vec(piece.prop_map(|(d, bytes)| Piece { digest: Digest(d), bytes }), 0..20)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(pieces in pieces()) {
            let (count, sum) = (pieces.len() as u32, pieces.iter().map(|piece| u64::from(piece.bytes)).sum());
            prop_assert_eq!(decode(&encode(&pieces), count, sum), Ok(pieces.clone()));
            prop_assert_eq!(decode(&encode(&pieces), count + 1, sum), Err(RecipeError::Claim));
            prop_assert_eq!(decode(&encode(&pieces), count, sum + 1), Err(RecipeError::Claim));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), pieces in 0u32..8, sum in any::<u64>()) {
            let _ = decode(&bytes, pieces, sum);
        }
    }
}
