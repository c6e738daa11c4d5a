//! Reads of blobs that prove them on the way. A damaged blob goes into quarantine, and its frames
//! are rendered again.

use crate::{blocking::blocking, error::MasterError, ledger::farm_handle::FarmHandle};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use netrender_core::{
    decide::Command,
    model::{digest::Digest, farm::Farm, job::Job, task::TaskState},
};
use netrender_store::blobs::BlobStore;
use std::io;
use tokio_util::io::ReaderStream;

/// Bytes read from a file at a time.
pub const WINDOW: usize = 256 << 10;

/// Reads blobs.
#[derive(Clone)]
pub struct BlobReader {
    farm: FarmHandle,
    blobs: BlobStore,
}

impl BlobReader {
    pub fn new(farm: FarmHandle, blobs: BlobStore) -> Self {
        Self { farm, blobs }
    }

    /// The file of a blob. The frames of a film that is not there are rendered again.
    pub async fn open(&self, digest: Digest) -> Result<tokio::fs::File, MasterError> {
        match tokio::fs::File::open(self.blobs.path(&digest)).await {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.spoil(digest).await;
                Err(MasterError::NotThere(format!("there is no blob {digest}")))
            }
            Err(error) => {
                tracing::error!(%digest, "{error}");
                Err(MasterError::Disk)
            }
        }
    }

    /// A blob's bytes from `from` on. The last of them come only when the digest of the whole blob
    /// is right, so whoever receives a whole body received the right one.
    pub fn stream(
        &self,
        digest: Digest,
        file: tokio::fs::File,
        from: u64,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let bytes = ReaderStream::with_capacity(file, WINDOW);
        let state = (self.clone(), Box::pin(bytes), blake3::Hasher::new(), None);
        stream::try_unfold(state, move |(reader, mut bytes, mut hash, mut held)| async move {
            loop {
                match bytes.next().await.transpose()? {
                    Some(mut next) => {
                        let skipped = from.saturating_sub(hash.count()).min(next.len() as u64);
                        hash.update(&next);
                        let next = next.split_off(skipped as usize);
                        if next.is_empty() {
                            continue;
                        }
                        if let Some(given) = held.replace(next) {
                            return Ok(Some((given, (reader, bytes, hash, held))));
                        }
                    }
                    None if Digest(*hash.finalize().as_bytes()) == digest => {
                        return Ok(held.take().map(|last| (last, (reader, bytes, hash, None))));
                    }
                    None => {
                        reader.quarantine(digest).await;
                        return Err(io::Error::other(format!("{digest} is damaged on the master's disk")));
                    }
                }
            }
        })
    }

    async fn quarantine(&self, digest: Digest) {
        tracing::error!(%digest, "a file is damaged on the disk: it is put into quarantine");
        let blobs = self.blobs.clone();
        if let Ok(Err(error)) = blocking(move || blobs.quarantine(&digest)).await {
            tracing::error!(%digest, "{error}");
        }
        self.spoil(digest).await;
    }

    /// Renders the frames again whose film this was or for which a File Output node wrote it, or
    /// finishes them again from their parts; bakes the jobs again whose baked scene this was.
    async fn spoil(&self, film: Digest) {
        let is_baked = move |farm: &Farm| {
            let baked = |job: &&Job| job.baked.as_ref().is_some_and(|baked| baked.blend == film);
            farm.jobs.values().filter(baked).map(|job| job.id).collect::<Vec<_>>()
        };
        for job in self.farm.read(is_baked).await.unwrap_or_default() {
            tracing::error!(%job, "its baked scene is damaged on the disk: it is baked again");
            if let Err(error) = self.farm.command(Command::SpoilBake { job, blend: film }).await {
                tracing::error!(%job, "{error}");
            }
        }
        let frames = move |farm: &Farm| {
            let tasks = farm.jobs.values().flat_map(|job| job.tasks.iter().map(|(frame, task)| (job.id, *frame, task)));
            let spoiled = tasks.filter(|(_, _, task)| {
                matches!(&task.state, TaskState::Done { result, .. } if result.needs(film))
                    || task.merged().is_some_and(|merged| merged.result.film == film)
            });
            spoiled.map(|(job, frame, _)| (job, frame)).collect::<Vec<_>>()
        };
        for (job, frame) in self.farm.read(frames).await.unwrap_or_default() {
            tracing::error!(%job, %frame, "its picture is damaged on the disk: it is rendered again");
            if let Err(error) = self.farm.command(Command::Spoil { job, frame, film }).await {
                tracing::error!(%job, %frame, "{error}");
            }
        }
    }
}
