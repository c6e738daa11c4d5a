//! Fetching a job's files into the cache: which are absent, which pieces of them no other file here has, those asked of the
//! master, proved and put together. Where the files then lie for a job is not decided here.

use super::{
    Link, Shared,
    assets::failure,
    backoff::{Backoff, may_work_later},
    cache::Pin,
    desk::JobKey,
};
use crate::{api::ApiError, pieces::RecordError};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    manifest::Asset,
    recipe::{self, Piece},
    task::TaskError,
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Requests for pieces at the same time.
const CONNECTIONS: usize = 4;
/// Asked for in one request.
const BATCH_BYTES: u64 = 8 << 20;
const BATCH_PIECES: usize = 4096;
/// The kind of a failure that room on the disk would mend.
pub const DISK_FULL: &str = "disk_full";
/// Pieces damaged on the way are asked for again this often.
const DAMAGED_TRIES: u32 = 5;

/// The job's manifest as it was sent.
pub async fn fetch_list(shared: &Shared, key: &JobKey, manifest: Digest) -> Result<Vec<u8>, TaskError> {
    let store = &shared.folder.lists;
    ask(shared, key, "the list of files", |link| async move { link.api.fetch_blob(manifest, store).await }).await?;
    tokio::fs::read(store.path(&manifest))
        .await
        .map_err(|error| failure("fetch_failed", format!("the list of files can't be read: {error}")))
}

/// Asks a master that may be away for a while. Ends when the slave belongs to another farm.
async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
    shared: &Shared,
    key: &JobKey,
    what: &str,
    mut call: impl FnMut(Link) -> F,
) -> Result<T, TaskError> {
    let mut backoff = Backoff::new();
    loop {
        let Some(link) = shared.link_to(&key.farm).await else {
            return Err(failure("fetch_failed", format!("{what} was not fetched: the farm is another one now")));
        };
        match call(link).await {
            Ok(done) => return Ok(done),
            Err(error) if may_work_later(&error) => backoff.wait().await,
            Err(ApiError::Refused { status: 404, .. }) => {
                return Err(failure("missing_file", format!("the master no longer has {what}: send the job again")));
            }
            Err(ApiError::Blob(error)) if error.is_disk_full() => return Err(disk_full(what)),
            Err(error) => return Err(failure("fetch_failed", format!("{what} could not be fetched: {error}"))),
        }
    }
}

fn disk_full(what: &str) -> TaskError {
    let why = format!("{what} could not be fetched: the slave's disk is full, make room in its data folder");
    failure(DISK_FULL, why)
}

/// Files that are fetched together.
enum Unit<'a> {
    /// Each a single piece.
    Small(Vec<&'a Asset>),
    /// Several pieces.
    Large(&'a Asset),
}

/// One job's fetching.
pub struct Fetch<'a> {
    shared: &'a Arc<Shared>,
    key: &'a JobKey,
    turns: tokio::sync::Semaphore,
}

impl<'a> Fetch<'a> {
    /// Nothing is asked for yet.
    pub fn new(shared: &'a Arc<Shared>, key: &'a JobKey) -> Self {
        Self { shared, key, turns: tokio::sync::Semaphore::new(CONNECTIONS) }
    }

    /// All of these, pinned in the cache; and how many bytes came over the network for them.
    pub async fn files(&self, assets: &[Asset]) -> Result<(Vec<Pin>, u64), TaskError> {
        let wanted: HashMap<Digest, Asset> = assets.iter().map(|asset| (asset.digest, asset.clone())).collect();
        let cache = Arc::clone(&self.shared.folder.cache);
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
            looked.map_err(|error| failure("internal", format!("looking into the cache broke: {error}")))?;
        absent.sort_by(|a, b| a.place.cmp(&b.place));
        // Boxed, or the compiler loses track of the borrows.
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
                    let asset =
                        by_digest.get(&piece.digest).ok_or_else(|| failure("internal", "a stray piece".into()))?;
                    pins.push(self.keep(asset, bytes, &[piece])?);
                    Ok(())
                };
                self.pieces(what, &filled, &mut each).await?;
                Ok((pins, sum))
            }
            Unit::Large(asset) => self.large(asset).await.map(|(pin, bytes)| (vec![pin], bytes)),
        }
    }

    fn keep(&self, asset: &Asset, bytes: &[u8], list: &[Piece]) -> Result<Pin, TaskError> {
        let cache = &self.shared.folder.cache;
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
        failure("fetch_failed", format!("{} could not be written: {error}", asset.source))
    }

    async fn large(&self, asset: &Asset) -> Result<(Pin, u64), TaskError> {
        let mut list = Vec::new();
        let bad = |why: String| failure("fetch_failed", format!("{} is not what it claims: {why}", asset.source));
        let recipe = Piece { digest: asset.digest, bytes: asset.pieces.saturating_mul(36) };
        let mut each = |_: Piece, bytes: &[u8]| {
            list = recipe::decode(bytes, asset.pieces, asset.bytes).map_err(|error| bad(error.to_string()))?;
            Ok(())
        };
        self.pieces(&asset.source, &[recipe], &mut each).await?;

        let cache = &self.shared.folder.cache;
        let unfinished = tokio::task::block_in_place(|| cache.begin(asset.bytes));
        let unfinished = unfinished.map_err(|error| self.not_kept(asset, &error))?;
        // What other files here have is copied, the rest fetched; a piece may be wanted in several places.
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
                let unfinished = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                for offset in places.get(&piece.digest).into_iter().flatten() {
                    tokio::task::block_in_place(|| unfinished.write(bytes, *offset))
                        .map_err(|error| self.not_kept(asset, &error))?;
                }
                Ok(())
            };
            fetched.push(async move { self.pieces(&asset.source, batch, &mut each).await }.boxed());
        }
        // The turns bound how many of these ask at once.
        stream::iter(fetched).buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
        let unfinished = unfinished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let pin = tokio::task::block_in_place(|| cache.finish(unfinished, asset, &list));
        let pin = pin.map_err(|error| self.not_kept(asset, &error))?;
        Ok((pin, absent.iter().map(|piece| u64::from(piece.bytes)).sum()))
    }

    /// Fetches these pieces and hands each on, proved, in this order. What came before the line broke is not asked for again.
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
            let asked = ask(self.shared, self.key, what, |link| async move { link.api.get_pieces(digests).await });
            let mut records = asked.await?;
            let mut backoff = Backoff::new();
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
                    // The line broke, or the bytes did: ask again for what is left.
                    Err(error) => {
                        damaged += u32::from(!matches!(error, RecordError::Broken(_) | RecordError::Short));
                        if damaged > DAMAGED_TRIES {
                            let why = format!("{what} could not be fetched: {error}");
                            return Err(failure("fetch_failed", why));
                        }
                        tracing::debug!(target: "netrender::slave", what, %error, "a piece did not arrive");
                        backoff.wait().await;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

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
