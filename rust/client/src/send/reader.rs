//! The reading side of a transfer, on a thread of its own: files are read once, cut, and grouped
//! into batches. Files that were cut before are not read.

use super::{
    cut::{self, Sink, Windows},
    cut_cache::Stamp,
};
use crate::{error::ClientError, plan::PlannedFile, transfer::Transfer};
use bytes::Bytes;
use netrender_core::{
    files::recipe::{self, MAX_PIECES, Piece},
    model::digest::Digest,
};
use netrender_store::blobs::digest_of;
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};
use tokio::sync::mpsc;

/// A batch is complete when it has this many bytes or pieces.
pub const BATCH_BYTES: usize = 4 << 20;
const BATCH_PIECES: usize = 4096;

/// A file as it was cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Version of the file.
    pub stamp: Stamp,
    /// Pieces of the file in order.
    pub pieces: Vec<Piece>,
    /// True if the pieces come from the cut cache.
    pub cached: bool,
}

impl Cut {
    /// Digest that names the file.
    pub fn digest(&self) -> Digest {
        match self.pieces.as_slice() {
            [] => digest_of(&[]),
            [only] => only.digest,
            several => digest_of(&recipe::encode(several)),
        }
    }
}

/// A piece to send if the master lacks it.
pub struct Item {
    /// Name and size of the piece.
    pub piece: Piece,
    /// Place of its bytes.
    pub bytes: Source,
    /// Bytes of files that it stands for in the transfer's progress; 0 for a recipe.
    pub progress: u64,
}

/// Place of a piece's bytes.
pub enum Source {
    /// In memory, because the file was just cut.
    Memory(Bytes),
    /// In a file that was cut before.
    File {
        /// Index of the file in the plan.
        file: usize,
        /// Offset in the file.
        offset: u64,
    },
}

/// Pieces that are asked about together.
pub type Batch = Vec<Item>;

/// Reads and cuts the files of one job.
pub struct Reader {
    files: Arc<Vec<PlannedFile>>,
    transfer: Transfer,
    batches: mpsc::Sender<Batch>,
    batch: Batch,
    batch_bytes: usize,
    seen: HashSet<Digest>,
    windows: Windows,
}

impl Reader {
    /// Sends its batches into the channel.
    pub fn new(files: Arc<Vec<PlannedFile>>, transfer: Transfer, batches: mpsc::Sender<Batch>) -> Self {
        let (batch, seen) = (Vec::new(), HashSet::new());
        Self { files, transfer, batches, batch, batch_bytes: 0, seen, windows: Windows::default() }
    }

    /// Cuts every file that is not in `cuts` and batches the pieces of those that are not `present`
    /// at the master as a whole. Returns how each file is cut.
    pub fn run(mut self, cuts: Vec<Option<Cut>>, present: &[bool]) -> Result<Vec<Cut>, ClientError> {
        let files = self.files.clone();
        let mut all = Vec::with_capacity(files.len());
        for (number, (file, known)) in files.iter().zip(cuts).enumerate() {
            self.transfer.reads(&file.source);
            let cut = match known {
                Some(cut) if present[number] => {
                    self.transfer.moved(cut.stamp.bytes);
                    all.push(cut);
                    continue;
                }
                Some(cut) => {
                    let mut offset = 0;
                    for piece in &cut.pieces {
                        let (bytes, progress) = (Source::File { file: number, offset }, u64::from(piece.bytes));
                        self.push(Item { piece: *piece, bytes, progress }, 0)?;
                        offset += progress;
                    }
                    cut
                }
                None => self.read(file)?,
            };
            if cut.pieces.len() > 1 {
                let bytes = Bytes::from(recipe::encode(&cut.pieces));
                let piece = Piece { digest: digest_of(&bytes), bytes: bytes.len() as u32 };
                let held = bytes.len();
                self.push(Item { piece, bytes: Source::Memory(bytes), progress: 0 }, held)?;
            }
            all.push(cut);
        }
        self.flush()?;
        Ok(all)
    }

    /// Reads and cuts one file.
    fn read(&mut self, planned: &PlannedFile) -> Result<Cut, ClientError> {
        let failed = |error: io::Error| ClientError::File { path: planned.read.clone(), why: error.to_string() };
        let file = File::open(&planned.read).map_err(failed)?;
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        let windows = self.windows.clone();
        let mut cutting = Cutting { reader: self, pieces: Vec::new(), bytes: 0, stop: None };
        // A file that grows while it is read must not be read without end.
        let ended = cut::cut(file.take(stamp.bytes + 1), stamp.bytes, &windows, &mut cutting);
        let Cutting { pieces, bytes, stop, .. } = cutting;
        if let Some(stop) = stop {
            return Err(stop);
        }
        ended.map_err(failed)?;
        if bytes != stamp.bytes {
            return Err(ClientError::FileChanged(planned.read.clone()));
        }
        check_unchanged(&planned.read, &stamp)?;
        if pieces.len() > MAX_PIECES as usize {
            return Err(failed(io::Error::other("it falls into too many pieces")));
        }
        Ok(Cut { stamp, pieces, cached: false })
    }

    /// Adds a piece to the batch. `held` is the memory that it occupies.
    fn push(&mut self, item: Item, held: usize) -> Result<(), ClientError> {
        if !self.seen.insert(item.piece.digest) {
            self.transfer.moved(item.progress);
            return Ok(());
        }
        self.batch_bytes += held;
        self.batch.push(item);
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_PIECES { self.flush() } else { Ok(()) }
    }

    /// Hands the batch on, and waits while too many are under way.
    fn flush(&mut self) -> Result<(), ClientError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if self.transfer.is_canceled() {
            return Err(ClientError::Canceled);
        }
        // The channel is closed only if sending has failed, and that error is reported.
        self.batches.blocking_send(batch).map_err(|_| ClientError::Canceled)
    }
}

/// A file that is being cut.
struct Cutting<'a> {
    reader: &'a mut Reader,
    pieces: Vec<Piece>,
    bytes: u64,
    stop: Option<ClientError>,
}

impl Sink for Cutting<'_> {
    fn piece(&mut self, piece: Piece, bytes: Bytes) -> io::Result<()> {
        let progress = u64::from(piece.bytes);
        self.pieces.push(piece);
        self.bytes += progress;
        let held = bytes.len();
        self.reader.push(Item { piece, bytes: Source::Memory(bytes), progress }, held).map_err(|stop| {
            self.stop = Some(stop);
            io::Error::other("stopped")
        })
    }
}

/// Version of a file as it is now.
pub fn stamp_of(path: &Path) -> Result<Stamp, ClientError> {
    std::fs::metadata(path)
        .map(|meta| Stamp::of(&meta))
        .map_err(|error| ClientError::File { path: path.to_owned(), why: error.to_string() })
}

/// Fails if a file has changed since it was read: a job must not be a mix of two versions.
pub fn check_unchanged(path: &Path, stamp: &Stamp) -> Result<(), ClientError> {
    if stamp_of(path)? == *stamp { Ok(()) } else { Err(ClientError::FileChanged(path.to_owned())) }
}
