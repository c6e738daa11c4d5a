//! Record: the format of a piece on the network and in the master's packs. Digest (32 bytes),
//! length (4, little endian), stored length (4), then the bytes, compressed by Zstandard if the
//! stored length is smaller.

use crate::zstandard;
use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt};
use netrender_core::{
    files::recipe::{MAX_PIECE_BYTES, Piece},
    model::digest::Digest,
};
use std::{borrow::Cow, collections::VecDeque};

/// Length of a record's head in bytes.
pub(super) const HEAD: usize = 40;
/// Upper bound of a record in bytes.
pub const MAX_RECORD_BYTES: usize = HEAD + MAX_PIECE_BYTES as usize;

/// Reason why bytes are not a valid record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A length is out of range.
    #[error("a piece claims an impossible size")]
    Size,
    /// The stream ended within a record.
    #[error("a piece broke off")]
    Short,
    /// The stored bytes can't be decompressed.
    #[error("a piece can't be decompressed: {0}")]
    Damaged(String),
    /// The bytes do not have the digest in the head.
    #[error("the bytes that arrived for {expected} have the digest {found}: they were damaged on the way")]
    WrongDigest {
        /// Digest in the head.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// The stream failed.
    #[error("{0}")]
    Broken(String),
}

/// A piece with its stored bytes.
#[derive(Clone, Debug)]
pub struct Record {
    /// Digest and length of the piece.
    pub piece: Piece,
    /// Stored bytes, in the parts in which they arrived. Joining them would be one more copy.
    parts: Vec<Bytes>,
}

impl Record {
    /// An uncompressed record.
    pub fn plain(piece: Piece, bytes: Bytes) -> Self {
        Self { piece, parts: vec![bytes] }
    }

    /// A record from its stored bytes.
    pub(super) fn stored(piece: Piece, bytes: Vec<u8>) -> Self {
        Self { piece, parts: vec![bytes.into()] }
    }

    /// A record that is compressed if that makes it at least a tenth smaller.
    pub fn compressed(piece: Piece, bytes: Bytes) -> Self {
        let packed = zstandard::compress(&bytes).ok().filter(|packed| packed.len() < bytes.len() / 10 * 9);
        Self { piece, parts: vec![packed.map_or(bytes, Bytes::from)] }
    }

    /// Length of the record with its head.
    pub fn length(&self) -> usize {
        HEAD + self.stored_length()
    }

    /// Length of the record without its head.
    pub(super) fn stored_length(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Stored bytes in order.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Head of the record.
    pub fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let mut rest = &mut head[..];
        rest.put_slice(&self.piece.digest.0);
        rest.put_u32_le(self.piece.bytes);
        rest.put_u32_le(self.stored_length() as u32);
        head
    }

    /// Parses a head. Returns the piece and its stored length.
    pub(super) fn parse_head(mut head: &[u8]) -> Result<(Piece, usize), RecordError> {
        if head.len() < HEAD {
            return Err(RecordError::Short);
        }
        let mut digest = [0; 32];
        head.copy_to_slice(&mut digest);
        let (bytes, stored) = (head.get_u32_le(), head.get_u32_le());
        if (1..=MAX_PIECE_BYTES).contains(&bytes) && (1..=bytes).contains(&stored) {
            Ok((Piece { digest: Digest(digest), bytes }, stored as usize))
        } else {
            Err(RecordError::Size)
        }
    }

    /// Verifies the bytes by their digest.
    pub fn verify(&self) -> Result<(), RecordError> {
        if self.stored_length() != self.piece.bytes as usize {
            return self.open().map(drop);
        }
        let mut hash = blake3::Hasher::new();
        for part in &self.parts {
            hash.update(part);
        }
        self.expect(Digest(*hash.finalize().as_bytes()))
    }

    /// Returns the piece's bytes, decompressed and verified.
    pub fn open(&self) -> Result<Cow<'_, [u8]>, RecordError> {
        let stored: Cow<'_, [u8]> = match &self.parts[..] {
            [only] => Cow::Borrowed(only),
            several => Cow::Owned(several.concat()),
        };
        let length = self.piece.bytes as usize;
        if stored.len() == length {
            self.expect(crate::blobs::digest_of(&stored))?;
            return Ok(stored);
        }
        // At most the length in the head is allocated, whatever the compressed stream claims.
        let plain = zstandard::decompress(&stored, length).map_err(|error| RecordError::Damaged(error.to_string()))?;
        self.expect(crate::blobs::digest_of(&plain))?;
        if plain.len() == length { Ok(Cow::Owned(plain)) } else { Err(RecordError::Size) }
    }

    fn expect(&self, found: Digest) -> Result<(), RecordError> {
        let expected = self.piece.digest;
        if found == expected { Ok(()) } else { Err(RecordError::WrongDigest { expected, found }) }
    }
}

/// Reader of records from a stream of bytes. Holds one record at a time in memory.
pub struct Records<S> {
    stream: S,
    parts: VecDeque<Bytes>,
    held: usize,
}

impl<S, E> Records<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    /// A reader of this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, parts: VecDeque::new(), held: 0 }
    }

    /// Reads the next record, which is not verified yet; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Record>, RecordError> {
        if !self.fill(HEAD).await? {
            return if self.held == 0 { Ok(None) } else { Err(RecordError::Short) };
        }
        let (piece, stored) = Record::parse_head(&self.take(HEAD).concat())?;
        if !self.fill(stored).await? {
            return Err(RecordError::Short);
        }
        Ok(Some(Record { piece, parts: self.take(stored) }))
    }

    /// Skips the rest of the stream, up to `most` bytes.
    pub async fn skip(&mut self, mut most: usize) {
        while let Some(Ok(bytes)) = self.stream.next().await {
            if bytes.len() > most {
                return;
            }
            most -= bytes.len();
        }
    }

    /// Reads until at least `length` bytes are held; false if the stream ends before.
    async fn fill(&mut self, length: usize) -> Result<bool, RecordError> {
        while self.held < length {
            match self.stream.next().await {
                Some(Ok(bytes)) => {
                    self.held += bytes.len();
                    self.parts.push_back(bytes);
                }
                Some(Err(error)) => return Err(RecordError::Broken(error.to_string())),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Takes the first `length` of the held bytes.
    fn take(&mut self, mut length: usize) -> Vec<Bytes> {
        self.held -= length;
        let mut taken = Vec::new();
        while let Some(mut part) = self.parts.pop_front() {
            if part.len() > length {
                taken.push(part.split_to(length));
                self.parts.push_front(part);
                break;
            }
            length -= part.len();
            taken.push(part);
            if length == 0 {
                break;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::digest_of;
    use futures_util::stream;
    use proptest::prelude::*;

    fn record(bytes: &[u8]) -> Record {
        let piece = Piece { digest: digest_of(bytes), bytes: bytes.len() as u32 };
        Record::compressed(piece, Bytes::copy_from_slice(bytes))
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<Record>, RecordError> {
        let parts: Vec<_> = bytes.chunks(step).map(|part| Ok::<_, String>(Bytes::copy_from_slice(part))).collect();
        let mut records = Records::new(stream::iter(parts));
        futures_util::FutureExt::now_or_never(async {
            let mut all = Vec::new();
            while let Some(record) = records.next().await? {
                all.push(record);
            }
            Ok(all)
        })
        .expect("the parts are all there, so nothing waits")
    }

    fn written(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(|record| [&record.head()[..], &record.parts.concat()].concat()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            parts in proptest::collection::vec((any::<u8>(), 1usize..3000), 0..5), step in 1usize..5000,
        ) {
            let plain: Vec<Vec<u8>> =
                parts.iter().map(|&(seed, len)| (0..len).map(|i| (i / 7) as u8 ^ seed).collect()).collect();
            let records: Vec<Record> = plain.iter().map(|bytes| record(bytes)).collect();
            let again = read(&written(&records), step).unwrap();
            let opened: Vec<Vec<u8>> = again.iter().map(|record| record.open().unwrap().into_owned()).collect();
            prop_assert_eq!(opened, plain);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..50) {
            for record in read(&bytes, step).into_iter().flatten() {
                let _ = record.open();
            }
        }

        #[test]
        fn a_flipped_bit_is_noticed_unless_it_changes_nothing(at in any::<usize>(), bit in 0u8..8, plain in any::<bool>()) {
            let content = (0..1000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
            let piece = Piece { digest: digest_of(&content), bytes: content.len() as u32 };
            let record = if plain { Record::plain } else { Record::compressed };
            let mut bytes = written(&[record(piece, Bytes::from(content.clone()))]);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let opened: Vec<_> = read(&bytes, 100).unwrap_or_default();
            let opened: Vec<_> = opened.iter().filter_map(|record| record.open().ok()).collect();
            // Some bits of a compressed stream mean nothing.
            prop_assert!(opened.iter().all(|found| !plain && **found == *content));
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zstandard::compress(&vec![0; 64 << 20]).unwrap();
        let piece = Piece { digest: Digest([0; 32]), bytes: MAX_PIECE_BYTES };
        let record = Record::stored(piece, bomb);
        assert!(matches!(record.open(), Err(RecordError::Damaged(_))));
    }
}
