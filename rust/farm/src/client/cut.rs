//! Cutting files into content-defined pieces and naming them, in bounded memory.

use super::ClientError;
use crate::blobs::digest_of;
use fastcdc::v2020::StreamCDC;
use netrender_core::{
    digest::Digest,
    manifest::{Asset, Piece, mirror},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Pieces are at least, on average and at most this long.
const PIECE: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];

/// A file as it was when it was read: sending checks that it has not changed since.
#[derive(Clone, Debug)]
pub struct CutFile {
    /// Where the bytes are read from (the copy, for the .blend).
    pub read: PathBuf,
    /// What the slaves get.
    pub asset: Asset,
    modified: Option<SystemTime>,
}

impl CutFile {
    /// Reads a file once. `source` is its path as the scene knows it.
    pub fn read(read: &Path, source: &str) -> Result<Self, ClientError> {
        let failed = |error: std::io::Error| ClientError::File { path: read.to_owned(), why: error.to_string() };
        let file = File::open(read).map_err(failed)?;
        let before = file.metadata().map_err(failed)?;
        if !before.is_file() {
            return Err(ClientError::File { path: read.to_owned(), why: "it is not a file".into() });
        }
        let modified = before.modified().ok();
        let mut whole = blake3::Hasher::new();
        let mut pieces = Vec::new();
        let mut bytes = 0;
        for chunk in StreamCDC::new(file, PIECE[0], PIECE[1], PIECE[2]) {
            let chunk = chunk.map_err(|error| failed(error.into()))?;
            whole.update(&chunk.data);
            bytes += chunk.data.len() as u64;
            pieces.push(Piece { digest: digest_of(&chunk.data), bytes: chunk.data.len() as u64 });
        }
        let digest = Digest(*whole.finalize().as_bytes());
        let asset = Asset { source: source.to_owned(), place: mirror(source), digest, bytes, pieces };
        let cut = Self { read: read.to_owned(), asset, modified };
        cut.check_unchanged()?;
        Ok(cut)
    }

    /// Refuses to go on with a file that changed since it was read.
    pub fn check_unchanged(&self) -> Result<(), ClientError> {
        let now = std::fs::metadata(&self.read)
            .map_err(|error| ClientError::File { path: self.read.clone(), why: error.to_string() })?;
        if now.len() == self.asset.bytes && now.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(ClientError::FileChanged(self.read.clone()))
        }
    }
}
