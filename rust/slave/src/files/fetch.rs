//! Fetching a job's files into the cache: which are absent, which of their pieces no other file
//! here has, those fetched from the master, verified and put together. Where the files lie for a
//! job is not decided here.

use super::cache::{Cache, Pin};
use crate::{
    connection::{Connection, Link},
    failure::{disk_full, failure, is_disk_full},
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use netrender_core::{
    files::{
        manifest::Asset,
        recipe::{self, Piece},
    },
    model::{
        digest::Digest,
        result::{FailureKind, TaskError},
    },
};
use netrender_net::{api::ApiError, retry::Backoff};
use netrender_store::{blobs::BlobStore, pieces::RecordError};
use parking_lot::Mutex;
use std::{collections::HashMap, io, sync::Arc};

/// Upper bound of simultaneous requests for pieces.
const CONNECTIONS: usize = 4;
/// Upper bounds of one request.
const BATCH_BYTES: u64 = 8 << 20;
const BATCH_PIECES: usize = 4096;
/// Upper bound of repeated requests for pieces that were damaged on the way.
const DAMAGED_TRIES: u32 = 5;

/// Files that are fetched together.
enum Unit<'a> {
    /// Files of one piece each.
    Small(Vec<&'a Asset>),
    /// One file of several pieces.
    Large(&'a Asset),
}

/// Fetching for one job.
pub struct Fetch<'a> {
    connection: &'a Connection,
    cache: &'a Arc<Cache>,
    lists: &'a BlobStore,
    farm: &'a Arc<str>,
    turns: tokio::sync::Semaphore,
}

impl<'a> Fetch<'a> {
    /// Nothing is asked for yet.
    pub fn new(connection: &'a Connection, cache: &'a Arc<Cache>, lists: &'a BlobStore, farm: &'a Arc<str>) -> Self {
        Self { connection, cache, lists, farm, turns: tokio::sync::Semaphore::new(CONNECTIONS) }
    }

    /// Fetches the job's manifest, as the bytes that the client sent.
    pub async fn list(&self, manifest: Digest) -> Result<Vec<u8>, TaskError> {
        let lists = self.lists;
        self.blob("the list of files", manifest).await?;
        tokio::fs::read(lists.path(&manifest))
            .await
            .map_err(|error| failure(FailureKind::FetchFailed, format!("the list of files can't be read: {error}")))
    }

    /// Fetches a blob, which is proved, into the folder of lists.
    pub async fn blob(&self, what: &str, digest: Digest) -> Result<(), TaskError> {
        let lists = self.lists;
        self.ask(what, |link| async move { link.api.fetch_blob(digest, lists).await }).await
    }

    /// Asks the master, which may be away for a while; fails once the slave belongs to another
    /// farm.
    async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        what: &str,
        call: impl FnMut(Link) -> F,
    ) -> Result<T, TaskError> {
        let Some(answer) = self.connection.ask(self.farm, call).await else {
            return Err(failure(
                FailureKind::FetchFailed,
                format!("{what} was not fetched: the farm is another one now"),
            ));
        };
        answer.map_err(|error| match error {
            ApiError::Refused { status: 404, .. } => {
                failure(FailureKind::MissingFile, format!("the master no longer has {what}: send the job again"))
            }
            ApiError::Blob(error) if error.is_disk_full() => disk_full(what),
            error => failure(FailureKind::FetchFailed, format!("{what} could not be fetched: {error}")),
        })
    }

    /// Fetches what is absent of these files. Returns all of them, pinned in the cache, and the
    /// number of bytes that came over the network.
    pub async fn files(&self, assets: &[Asset]) -> Result<(Vec<Pin>, u64), TaskError> {
        let wanted: HashMap<Digest, Asset> = assets.iter().map(|asset| (asset.digest, asset.clone())).collect();
        let cache = Arc::clone(self.cache);
        let looking = tokio::task::spawn_blocking(move || {
            let (mut pins, mut absent) = (Vec::new(), Vec::new());
            for asset in wanted.into_values() {
                match cache.pin(&asset) {
                    Some(pin) => pins.push(pin),
                    None => absent.push(asset),
                }
            }
            (pins, absent)
        });
        let looked = looking.await;
        let (mut pins, mut absent) =
            looked.map_err(|error| failure(FailureKind::Internal, format!("looking into the cache broke: {error}")))?;
        absent.sort_by(|a, b| a.place.cmp(&b.place));
        // Boxed, because the compiler can't prove the borrows otherwise.
        let units: Vec<_> = units(&absent).into_iter().map(|unit| self.unit(unit).boxed()).collect();
        let fetched = stream::iter(units)
            .buffer_unordered(CONNECTIONS)
            .try_fold((Vec::new(), 0), |(mut all, sum), (pins, bytes)| async move {
                all.extend(pins);
                Ok((all, sum + bytes))
            })
            .await?;
        pins.extend(fetched.0);
        Ok((pins, fetched.1))
    }

    /// Fetches the files of one unit.
    async fn unit(&self, unit: Unit<'_>) -> Result<(Vec<Pin>, u64), TaskError> {
        match unit {
            Unit::Small(assets) => {
                let pieces: Vec<Piece> =
                    assets.iter().map(|a| Piece { digest: a.digest, bytes: a.bytes as u32 }).collect();
                let filled: Vec<Piece> = pieces.iter().filter(|piece| piece.bytes > 0).copied().collect();
                let mut pins = Vec::new();
                let by_digest: HashMap<Digest, &Asset> = assets.iter().map(|asset| (asset.digest, *asset)).collect();
                for asset in assets.iter().filter(|asset| asset.bytes == 0) {
                    pins.push(self.keep(asset, &[], &[])?);
                }
                let what = assets.first().map_or("a file", |asset| &asset.source);
                let mut sum = 0;
                let mut each = |piece: Piece, bytes: &[u8]| {
                    sum += bytes.len() as u64;
                    let asset = by_digest
                        .get(&piece.digest)
                        .ok_or_else(|| failure(FailureKind::Internal, "a stray piece".into()))?;
                    pins.push(self.keep(asset, bytes, &[piece])?);
                    Ok(())
                };
                self.pieces(what, &filled, &mut each).await?;
                Ok((pins, sum))
            }
            Unit::Large(asset) => self.large(asset).await.map(|(pin, bytes)| (vec![pin], bytes)),
        }
    }

    /// Puts a file of at most one piece into the cache.
    fn keep(&self, asset: &Asset, bytes: &[u8], list: &[Piece]) -> Result<Pin, TaskError> {
        let cache = self.cache;
        let kept = tokio::task::block_in_place(|| {
            let unfinished = cache.begin(asset.bytes)?;
            unfinished.write(bytes, 0)?;
            cache.finish(unfinished, asset, list)
        });
        kept.map_err(|error| self.not_kept(asset, &error))
    }

    fn not_kept(&self, asset: &Asset, error: &io::Error) -> TaskError {
        if is_disk_full(error) {
            return disk_full(&asset.source);
        }
        failure(FailureKind::FetchFailed, format!("{} could not be written: {error}", asset.source))
    }

    /// Puts a file of several pieces together in the cache.
    async fn large(&self, asset: &Asset) -> Result<(Pin, u64), TaskError> {
        let mut list = Vec::new();
        let bad =
            |why: String| failure(FailureKind::FetchFailed, format!("{} is not what it claims: {why}", asset.source));
        let recipe = Piece { digest: asset.digest, bytes: asset.pieces.saturating_mul(36) };
        let mut each = |_: Piece, bytes: &[u8]| {
            list = recipe::decode(bytes, asset.pieces, asset.bytes).map_err(|error| bad(error.to_string()))?;
            Ok(())
        };
        self.pieces(&asset.source, &[recipe], &mut each).await?;

        let cache = self.cache;
        let unfinished = tokio::task::block_in_place(|| cache.begin(asset.bytes));
        let unfinished = unfinished.map_err(|error| self.not_kept(asset, &error))?;
        // Pieces that other files here have are copied, the rest is fetched. A piece may be wanted
        // in several places.
        let mut places: HashMap<Digest, Vec<u64>> = HashMap::new();
        let mut absent: Vec<Piece> = Vec::new();
        let mut offset = 0;
        for piece in &list {
            let there = tokio::task::block_in_place(|| {
                let bytes = cache.piece(piece);
                bytes.map(|bytes| unfinished.write(&bytes, offset)).transpose()
            });
            if there.map_err(|error| self.not_kept(asset, &error))?.is_none() {
                let offsets = places.entry(piece.digest).or_default();
                if offsets.is_empty() {
                    absent.push(*piece);
                }
                offsets.push(offset);
            }
            offset += u64::from(piece.bytes);
        }
        let unfinished = Mutex::new(unfinished);
        let mut fetched = Vec::new();
        for batch in batches(&absent) {
            let (unfinished, places) = (&unfinished, &places);
            let mut each = move |piece: Piece, bytes: &[u8]| {
                let unfinished = unfinished.lock();
                for offset in places.get(&piece.digest).into_iter().flatten() {
                    tokio::task::block_in_place(|| unfinished.write(bytes, *offset))
                        .map_err(|error| self.not_kept(asset, &error))?;
                }
                Ok(())
            };
            fetched.push(async move { self.pieces(&asset.source, batch, &mut each).await }.boxed());
        }
        // `turns` bounds how many of these ask at the same time.
        stream::iter(fetched).buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
        let unfinished = unfinished.into_inner();
        let pin = tokio::task::block_in_place(|| cache.finish(unfinished, asset, &list));
        let pin = pin.map_err(|error| self.not_kept(asset, &error))?;
        Ok((pin, absent.iter().map(|piece| u64::from(piece.bytes)).sum()))
    }

    /// Fetches these pieces and passes each on, verified, in this order. Pieces that came before
    /// the connection broke are not asked for again.
    async fn pieces(
        &self,
        what: &str,
        pieces: &[Piece],
        each: &mut impl FnMut(Piece, &[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Ok(_turn) = self.turns.acquire().await else { return Ok(()) };
        let mut damaged = 0;
        let mut left = pieces;
        while !left.is_empty() {
            let digests: Vec<Digest> = left.iter().take(BATCH_PIECES).map(|piece| piece.digest).collect();
            let digests = &digests;
            let asked = self.ask(what, |link| async move { link.api.get_pieces(digests).await });
            let mut records = asked.await?;
            let mut backoff = Backoff::default();
            while let Some(expected) = left.first() {
                let got = match records.next().await {
                    Ok(None) => break,
                    Ok(Some(record)) => tokio::task::block_in_place(|| record.open().map(std::borrow::Cow::into_owned))
                        .and_then(|bytes| {
                            let same = record.piece == *expected;
                            if same { Ok(bytes) } else { Err(RecordError::Damaged("another piece came".into())) }
                        }),
                    Err(error) => Err(error),
                };
                match got {
                    Ok(bytes) => {
                        each(*expected, &bytes)?;
                        left = &left[1..];
                    }
                    // The connection broke, or the bytes are damaged: ask again for what is left.
                    Err(error) => {
                        damaged += u32::from(!matches!(error, RecordError::Broken(_) | RecordError::Short));
                        if damaged > DAMAGED_TRIES {
                            let why = format!("{what} could not be fetched: {error}");
                            return Err(failure(FailureKind::FetchFailed, why));
                        }
                        tracing::debug!(what, %error, "a piece did not arrive");
                        backoff.wait().await;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Groups files into units of about one batch.
fn units(assets: &[Asset]) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    let (mut small, mut bytes) = (Vec::new(), 0);
    for asset in assets {
        if asset.pieces > 1 {
            units.push(Unit::Large(asset));
            continue;
        }
        if !small.is_empty() && (bytes + asset.bytes > BATCH_BYTES || small.len() >= BATCH_PIECES) {
            units.push(Unit::Small(std::mem::take(&mut small)));
            bytes = 0;
        }
        bytes += asset.bytes;
        small.push(asset);
    }
    if !small.is_empty() {
        units.push(Unit::Small(small));
    }
    units
}

/// Groups pieces into requests.
fn batches(pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut bytes = 0;
    pieces
        .chunk_by(|_, next| {
            bytes += u64::from(next.bytes);
            let more = bytes <= BATCH_BYTES;
            if !more {
                bytes = 0;
            }
            more
        })
        .flat_map(|batch| batch.chunks(BATCH_PIECES))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_every_piece_in_order() {
        let piece = |number: u8, bytes: u32| Piece { digest: Digest([number; 32]), bytes };
        let pieces: Vec<Piece> = (0..40).map(|n| piece(n, if n % 7 == 0 { 16 << 20 } else { 1 << 20 })).collect();
        let batches = batches(&pieces);
        assert_eq!(batches.concat(), pieces);
        assert!(batches.len() > 5);
    }
}
