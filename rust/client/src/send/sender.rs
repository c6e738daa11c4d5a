//! The sending side of a transfer: a few connections ask which pieces the master lacks and send
//! those. Memory is bounded by the batches under way, however large the files are.

use super::{
    compression::Compression,
    cut_cache::CutCache,
    reader::{BATCH_BYTES, Batch, Cut, Reader, Source, check_unchanged, stamp_of},
};
use crate::{
    error::{ClientError, blocking},
    plan::PlannedFile,
    transfer::Transfer,
};
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use netrender_core::{
    files::{manifest::Asset, recipe::Piece},
    model::digest::Digest,
    wire::ErrorCode,
};
use netrender_net::{
    api::{Api, ApiError},
    retry::{Backoff, Retry},
};
use netrender_store::{blobs::digest_of, pieces::Record};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, mpsc};

/// Number of batches that are sent at the same time.
const CONNECTIONS: usize = 4;
/// Number of batches that wait for a connection.
const WAITING: usize = 2;
/// Number of whole files in one question.
const ASK: usize = 100_000;
/// Time after which a broken connection is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// Upper bound of repeated transfers of bytes that were damaged on the way.
const DAMAGED_TRIES: u32 = 5;
/// Name of the blocking work in errors.
const READING: &str = "reading the files";

/// Transfer of one job's files to one master.
pub struct Sender<'a> {
    api: &'a Api,
    transfer: &'a Transfer,
    files: Arc<Vec<PlannedFile>>,
    cuts: Vec<Option<Cut>>,
    compression: Arc<Compression>,
}

impl<'a> Sender<'a> {
    /// Looks up the files in the cut cache.
    pub async fn new(api: &'a Api, transfer: &'a Transfer, files: Vec<PlannedFile>) -> Result<Self, ClientError> {
        let files = Arc::new(files);
        let known = files.clone();
        let cuts = blocking(READING, move || {
            let cache = CutCache::open();
            known
                .iter()
                .map(|file| {
                    let stamp = stamp_of(&file.read)?;
                    let pieces = cache.get(&file.source, &stamp);
                    Ok(pieces.map(|pieces| Cut { stamp, pieces, cached: true }))
                })
                .collect::<Result<Vec<_>, ClientError>>()
        })
        .await??;
        Ok(Self { api, transfer, files, cuts, compression: Arc::default() })
    }

    /// Size of the files that the master may not have.
    pub async fn new_bytes(&self) -> Result<u64, ClientError> {
        let here = self.present().await?;
        Ok(self.files.iter().zip(here).filter(|(_, here)| !here).map(|(file, _)| file.bytes).sum())
    }

    /// For each file, whether its cut is known and the master has it as a whole.
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

    /// Sends the pieces that the master lacks and returns the job's assets. `thorough` asks about
    /// every piece, even of files that the master seems to have; needed after it reported that some
    /// pieces are missing.
    pub async fn send(&mut self, thorough: bool) -> Result<Vec<Asset>, ClientError> {
        let present = if thorough { vec![false; self.files.len()] } else { self.present().await? };
        self.transfer.expect(self.files.iter().map(|file| file.bytes).sum());
        let (batches, inbox) = mpsc::channel(WAITING);
        let reader = Reader::new(self.files.clone(), self.transfer.clone(), batches);
        let cuts = std::mem::take(&mut self.cuts);
        let reading = blocking(READING, move || reader.run(cuts, &present));
        let inbox = stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|batch| (Ok(batch), inbox)) });
        let sent = inbox.try_for_each_concurrent(CONNECTIONS, |batch| self.send_batch(batch)).await;
        let read = reading.await?;
        // If sending failed, reading failed because of it.
        sent?;
        let (files, cuts) = (self.files.clone(), read?);
        let cuts = blocking(READING, move || {
            for (file, cut) in files.iter().zip(&cuts) {
                check_unchanged(&file.read, &cut.stamp)?;
            }
            let new = files.iter().zip(&cuts).filter(|(_, cut)| !cut.cached);
            CutCache::open().put_all(new.map(|(file, cut)| (&*file.source, cut.stamp, &*cut.pieces)));
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

    /// Sends the pieces of a batch that the master lacks.
    async fn send_batch(&self, batch: Batch) -> Result<(), ClientError> {
        let digests: Vec<Digest> = batch.iter().map(|item| item.piece.digest).collect();
        let progress = batch.iter().map(|item| item.progress).sum();
        let missing = self.patiently(|| self.api.missing_pieces(&digests)).await?;
        let mut wanted: Batch =
            batch.into_iter().zip(missing).filter(|(_, missing)| *missing).map(|(item, _)| item).collect();
        // Pieces on the disk are read only now, some at a time: a batch of them may be large.
        while !wanted.is_empty() {
            let mut bytes = 0;
            let fits = wanted.iter().take_while(|item| {
                bytes += item.piece.bytes as usize;
                bytes <= BATCH_BYTES || bytes == item.piece.bytes as usize
            });
            let fits = fits.count();
            let later = wanted.split_off(fits);
            let (files, compression) = (self.files.clone(), self.compression.clone());
            let records = blocking(READING, move || load(wanted, &files, &compression)).await??;
            self.put(records).await?;
            wanted = later;
        }
        self.transfer.moved(progress);
        Ok(())
    }

    /// Sends pieces. Those that arrived before a connection broke are not sent again.
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
        self.compression.sent(bytes, began.elapsed(), CONNECTIONS - 1);
        self.transfer.sent(bytes as u64);
        Ok(())
    }

    /// Repeats a call while the connection is down, the master's disk is full or bytes are damaged
    /// on the way.
    pub async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let started = Instant::now();
        let mut backoff = Backoff::default();
        let mut damaged = 0;
        loop {
            let error = match call().await {
                Ok(done) => {
                    self.transfer.waits_for("");
                    return Ok(done);
                }
                Err(error) => error,
            };
            damaged += u32::from(error.is_code(ErrorCode::WrongDigest));
            let again = error.retry() == Retry::Later && started.elapsed() < PATIENCE;
            if !(again || error.is_code(ErrorCode::WrongDigest) && damaged < DAMAGED_TRIES) {
                return Err(error.into());
            }
            let full = error.is_code(ErrorCode::DiskFull);
            self.transfer.waits_for(&if full { error.to_string() } else { format!("reconnecting: {error}") });
            backoff.wait().await;
        }
    }
}

/// Reads pieces, and compresses those for which it pays.
fn load(wanted: Batch, files: &[PlannedFile], compression: &Compression) -> Result<Vec<Record>, ClientError> {
    wanted
        .into_iter()
        .map(|item| {
            let bytes = match item.bytes {
                Source::Memory(bytes) => bytes,
                Source::File { file, offset } => read_piece(&files[file].read, offset, item.piece)?,
            };
            Ok(if compression.pays_for(&bytes) {
                Record::compressed(item.piece, bytes)
            } else {
                Record::plain(item.piece, bytes)
            })
        })
        .collect()
}

/// Reads a piece of a file that was cut before and verifies that it is unchanged.
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
