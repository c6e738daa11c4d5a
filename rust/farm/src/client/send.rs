//! Sending files' pieces. One thread reads, cuts and names them; a few connections ask which are missing and send those.
//! Nothing is read twice, and nothing at all is read of files that are remembered and that the master has. What is held in
//! memory is bounded by the windows under way, however large the files are.

use super::{
    ClientError,
    cut::{self, Sink, Windows},
    memory::{Memory, Stamp},
    report::PlannedFile,
    squeeze::Squeeze,
    transfer::Transfer,
};
use crate::{
    api::{Api, ApiError},
    blobs::digest_of,
    pieces::Record,
};
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    manifest::Asset,
    recipe::{self, MAX_PIECES, Piece},
};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, mpsc};

/// Batches on their way at once.
const CONNECTIONS: usize = 4;
/// A batch is sent when it has this many bytes or pieces.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_PIECES: usize = 4096;
/// Batches that wait for a connection.
const WAITING: usize = 2;
/// Whole files asked for in one question.
const ASK: usize = 100_000;
/// How long a connection that broke is tried again before the send is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often bytes damaged on the way are sent again.
const DAMAGED_TRIES: u32 = 5;

/// A file as it was cut.
#[derive(Clone, Debug)]
struct Cut {
    stamp: Stamp,
    pieces: Vec<Piece>,
    remembered: bool,
}

impl Cut {
    fn digest(&self) -> Digest {
        match self.pieces.as_slice() {
            [] => digest_of(&[]),
            [only] => only.digest,
            several => digest_of(&recipe::encode(several)),
        }
    }
}

/// A piece to be sent if it is missing.
struct Item {
    piece: Piece,
    bytes: Held,
    /// Of the files' own bytes; 0 for a recipe.
    progress: u64,
}

enum Held {
    InMemory(Bytes),
    OnDisk { file: usize, offset: u64 },
}

type Batch = Vec<Item>;

/// The files of one job on their way to one master.
pub struct Sender<'a> {
    api: &'a Api,
    transfer: &'a Transfer,
    files: Arc<Vec<PlannedFile>>,
    cuts: Vec<Option<Cut>>,
    squeeze: Arc<Squeeze>,
}

impl<'a> Sender<'a> {
    /// Looks up what is remembered of the files.
    pub async fn new(api: &'a Api, transfer: &'a Transfer, files: Vec<PlannedFile>) -> Result<Self, ClientError> {
        let files = Arc::new(files);
        let recalling = files.clone();
        let cuts = blocking(move || {
            let memory = Memory::open();
            recalling
                .iter()
                .map(|file| {
                    let stamp = stamp_of(&file.read)?;
                    let pieces = memory.recall(&file.source, &stamp);
                    Ok(pieces.map(|pieces| Cut { stamp, pieces, remembered: true }))
                })
                .collect::<Result<Vec<_>, ClientError>>()
        })
        .await??;
        Ok(Self { api, transfer, files, cuts, squeeze: Arc::default() })
    }

    /// Bytes of files that the master may not have.
    pub async fn new_bytes(&self) -> Result<u64, ClientError> {
        let here = self.present().await?;
        Ok(self.files.iter().zip(here).filter(|(_, here)| !here).map(|(file, _)| file.bytes).sum())
    }

    /// Which files are remembered, and there as a whole.
    async fn present(&self) -> Result<Vec<bool>, ClientError> {
        let digests: Vec<Option<Digest>> = self.cuts.iter().map(|cut| cut.as_ref().map(Cut::digest)).collect();
        let asked: Vec<Digest> = digests.iter().flatten().copied().collect();
        let mut missing = Vec::with_capacity(asked.len());
        for some in asked.chunks(ASK) {
            missing.extend(self.patiently(|| self.api.missing_pieces(some)).await?);
        }
        let mut missing = missing.into_iter();
        Ok(digests.iter().map(|digest| digest.is_some() && missing.next() == Some(false)).collect())
    }

    /// Sends what is missing and says what each file is made of. `thorough`: ask for every piece, also of files that seem
    /// to be there; after the master said that some are not.
    pub async fn send(&mut self, thorough: bool) -> Result<Vec<Asset>, ClientError> {
        let present = if thorough { vec![false; self.files.len()] } else { self.present().await? };
        self.transfer.expect(self.files.iter().map(|file| file.bytes).sum());
        let (batches, inbox) = mpsc::channel(WAITING);
        let reader = Reader {
            files: self.files.clone(),
            transfer: self.transfer.clone(),
            batches,
            batch: Vec::new(),
            batch_bytes: 0,
            seen: HashSet::new(),
            windows: Windows::default(),
        };
        let cuts = std::mem::take(&mut self.cuts);
        let reading = tokio::task::spawn_blocking(move || reader.run(cuts, &present));
        let inbox = stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|batch| (Ok(batch), inbox)) });
        let sent = inbox.try_for_each_concurrent(CONNECTIONS, |batch| self.send_batch(batch)).await;
        let read = reading.await.map_err(|error| ClientError::Usage(format!("reading the files ended: {error}")))?;
        // What the sender met is the cause when the reader found nobody left to read for.
        sent?;
        let (files, cuts) = (self.files.clone(), read?);
        let cuts = blocking(move || {
            for (file, cut) in files.iter().zip(&cuts) {
                check_unchanged(&file.read, &cut.stamp)?;
            }
            let new = files.iter().zip(&cuts).filter(|(_, cut)| !cut.remembered);
            Memory::open().remember_all(new.map(|(file, cut)| (&*file.source, cut.stamp, &*cut.pieces)));
            Ok::<_, ClientError>(cuts)
        })
        .await??;
        let asset = |(file, cut): (&PlannedFile, &Cut)| Asset {
            source: file.source.clone(),
            place: file.place.clone(),
            digest: cut.digest(),
            bytes: cut.stamp.bytes,
            pieces: cut.pieces.len() as u32,
        };
        let assets = self.files.iter().zip(&cuts).map(asset).collect();
        self.cuts = cuts.into_iter().map(Some).collect();
        Ok(assets)
    }

    async fn send_batch(&self, batch: Batch) -> Result<(), ClientError> {
        let digests: Vec<Digest> = batch.iter().map(|item| item.piece.digest).collect();
        let progress = batch.iter().map(|item| item.progress).sum();
        let missing = self.patiently(|| self.api.missing_pieces(&digests)).await?;
        let mut wanted: Batch =
            batch.into_iter().zip(missing).filter(|(_, missing)| *missing).map(|(item, _)| item).collect();
        // Pieces on disk are only read here: a batch of them may be large.
        while !wanted.is_empty() {
            let mut bytes = 0;
            let fits = wanted.iter().take_while(|item| {
                bytes += item.piece.bytes as usize;
                bytes <= BATCH_BYTES || bytes == item.piece.bytes as usize
            });
            let fits = fits.count();
            let later = wanted.split_off(fits);
            let (files, squeeze) = (self.files.clone(), self.squeeze.clone());
            let records = blocking(move || load(wanted, &files, &squeeze)).await??;
            self.put(records).await?;
            wanted = later;
        }
        self.transfer.moved(progress);
        Ok(())
    }

    /// Sends pieces. What arrived before a connection broke is not sent again.
    async fn put(&self, records: Vec<Record>) -> Result<(), ClientError> {
        let began = Instant::now();
        let bytes = records.iter().map(Record::length).sum();
        let digests: Vec<Digest> = records.iter().map(|record| record.piece.digest).collect();
        let left = Mutex::new((records, false));
        self.patiently(|| async {
            let mut left = left.lock().await;
            let (records, broke) = &mut *left;
            if std::mem::replace(broke, true) {
                let asked = self.api.missing_pieces(&digests).await?;
                let missing: HashSet<&Digest> =
                    digests.iter().zip(asked).filter(|(_, missing)| *missing).map(|(digest, _)| digest).collect();
                records.retain(|record| missing.contains(&record.piece.digest));
            }
            self.api.put_pieces(records).await
        })
        .await?;
        self.squeeze.sent(bytes, began.elapsed(), CONNECTIONS - 1);
        self.transfer.sent(bytes as u64);
        Ok(())
    }

    /// Tries again while the connection is down, the master's disk is full or the bytes are damaged on the way.
    pub async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut damaged = 0;
        loop {
            let error = match call().await {
                Ok(done) => {
                    self.transfer.waits_for("");
                    return Ok(done);
                }
                Err(error) => error,
            };
            damaged += u32::from(error.is_code("wrong_digest"));
            let again = error.is_transient() && started.elapsed() < PATIENCE;
            if !(again || error.is_code("wrong_digest") && damaged < DAMAGED_TRIES) {
                return Err(error.into());
            }
            let full = error.is_code("disk_full");
            self.transfer.waits_for(&if full { error.to_string() } else { format!("reconnecting: {error}") });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

/// The reading side, on a thread of its own.
struct Reader {
    files: Arc<Vec<PlannedFile>>,
    transfer: Transfer,
    batches: mpsc::Sender<Batch>,
    batch: Batch,
    batch_bytes: usize,
    seen: HashSet<Digest>,
    windows: Windows,
}

impl Reader {
    fn run(mut self, cuts: Vec<Option<Cut>>, present: &[bool]) -> Result<Vec<Cut>, ClientError> {
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
                        let (bytes, progress) = (Held::OnDisk { file: number, offset }, u64::from(piece.bytes));
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
                self.push(Item { piece, bytes: Held::InMemory(bytes), progress: 0 }, held)?;
            }
            all.push(cut);
        }
        self.flush()?;
        Ok(all)
    }

    fn read(&mut self, planned: &PlannedFile) -> Result<Cut, ClientError> {
        let failed = |error: io::Error| ClientError::File { path: planned.read.clone(), why: error.to_string() };
        let file = File::open(&planned.read).map_err(failed)?;
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        let windows = self.windows.clone();
        let mut cutting = Cutting { reader: self, pieces: Vec::new(), bytes: 0, stop: None };
        // A file that grows while it is read must not be read for ever.
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
        Ok(Cut { stamp, pieces, remembered: false })
    }

    fn push(&mut self, item: Item, held: usize) -> Result<(), ClientError> {
        if !self.seen.insert(item.piece.digest) {
            self.transfer.moved(item.progress);
            return Ok(());
        }
        self.batch_bytes += held;
        self.batch.push(item);
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_PIECES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if self.transfer.is_canceled() {
            return Err(ClientError::Canceled);
        }
        // An error means that the senders have ended; they say why.
        self.batches.blocking_send(batch).map_err(|_| ClientError::Canceled)
    }
}

/// A file being cut.
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
        self.reader.push(Item { piece, bytes: Held::InMemory(bytes), progress }, held).map_err(|stop| {
            self.stop = Some(stop);
            io::Error::other("stopped")
        })
    }
}

fn load(wanted: Batch, files: &[PlannedFile], squeeze: &Squeeze) -> Result<Vec<Record>, ClientError> {
    wanted
        .into_iter()
        .map(|item| {
            let bytes = match item.bytes {
                Held::InMemory(bytes) => bytes,
                Held::OnDisk { file, offset } => read_piece(&files[file].read, offset, item.piece)?,
            };
            Ok(if squeeze.pays_for(&bytes) {
                Record::compressed(item.piece, bytes)
            } else {
                Record::plain(item.piece, bytes)
            })
        })
        .collect()
}

/// Reads a piece of a file that was cut before, and proves that it is still the same.
fn read_piece(path: &Path, offset: u64, piece: Piece) -> Result<Bytes, ClientError> {
    let failed = |error: io::Error| ClientError::File { path: path.to_owned(), why: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = vec![0; piece.bytes as usize];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ClientError::FileChanged(path.to_owned())),
        Err(error) => Err(failed(error)),
        Ok(()) if digest_of(&bytes) != piece.digest => Err(ClientError::FileChanged(path.to_owned())),
        Ok(()) => Ok(bytes.into()),
    }
}

fn stamp_of(path: &Path) -> Result<Stamp, ClientError> {
    std::fs::metadata(path)
        .map(|meta| Stamp::of(&meta))
        .map_err(|error| ClientError::File { path: path.to_owned(), why: error.to_string() })
}

/// Refuses to go on with a file that changed since it was read: a job must not be a mix of two versions.
fn check_unchanged(path: &Path, stamp: &Stamp) -> Result<(), ClientError> {
    if stamp_of(path)? == *stamp { Ok(()) } else { Err(ClientError::FileChanged(path.to_owned())) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ClientError::Usage(format!("reading the files ended: {error}")))
}
