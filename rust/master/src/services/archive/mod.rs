//! A job's pictures in one zip archive that is made while it is sent. A film is not worth
//! compressing again, so files are stored as they are and the length is known before the first
//! byte.

mod zip;

use super::blob_reader::{BlobReader, WINDOW};
use crate::{blocking::blocking, error::MasterError, ledger::farm_handle::FarmHandle};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use netrender_core::model::{
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId},
    job::Job,
    task::TaskState,
};
use netrender_store::blobs::BlobStore;
use serde::Deserialize;
use std::{io, time::SystemTime};
use tokio::{
    io::AsyncSeekExt,
    sync::mpsc::{self, Sender},
};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;
use zip::{Directory, Entry};

/// Packs the pictures of jobs.
#[derive(Clone)]
pub struct Archive {
    farm: FarmHandle,
    blobs: BlobStore,
    reader: BlobReader,
}

/// The kinds of pictures wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PictureKinds {
    Exr,
    Jpg,
    #[default]
    All,
}

/// A picture of a frame that is done.
pub struct Picture {
    /// The name of its file, and its plain address.
    pub name: String,
    pub digest: Digest,
}

/// An archive whose files are measured and not yet read.
pub struct Zip {
    entries: Vec<(Entry, Digest)>,
}

impl Archive {
    pub fn new(farm: FarmHandle, blobs: BlobStore, reader: BlobReader) -> Self {
        Self { farm, blobs, reader }
    }

    /// The pictures of these frames, or of all, that are done, in order of frames; at least one.
    pub async fn pictures(
        &self,
        job: JobId,
        frames: Option<FrameList>,
        kinds: PictureKinds,
    ) -> Result<Vec<Picture>, MasterError> {
        let pictures = self.farm.job(job, move |_, job| pictures(job, frames.as_ref(), kinds)).await?;
        if pictures.is_empty() {
            return Err(MasterError::NotThere(format!("none of these frames of job {job} is rendered yet")));
        }
        Ok(pictures)
    }

    /// Measures the pictures' files.
    pub async fn zip(&self, pictures: Vec<Picture>) -> Result<Zip, MasterError> {
        let blobs = self.blobs.clone();
        let measure = move |Picture { name, digest }| match std::fs::metadata(blobs.path(&digest)) {
            Ok(found) => {
                let at = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                Ok((Entry { name, bytes: found.len(), at }, digest))
            }
            Err(_) => Err(digest),
        };
        match blocking(move || pictures.into_iter().map(measure).collect::<Result<Vec<_>, _>>()).await? {
            Ok(entries) => Ok(Zip { entries }),
            // Opening it tells what is wrong, and has its frame rendered again.
            Err(digest) => Err(self.reader.open(digest).await.err().unwrap_or(MasterError::Disk)),
        }
    }

    /// The archive's bytes, made no faster than they are taken.
    pub fn stream(&self, zip: Zip) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (pipe, out) = mpsc::channel(4);
        let reader = self.reader.clone();
        tokio::spawn(async move {
            if let Err(error) = pack(&reader, zip, &pipe).await {
                // The length was promised, so the receiver sees that the archive is not whole.
                let _ = pipe.send(Err(error)).await;
            }
        });
        stream::unfold(out, |mut out| async move { out.recv().await.map(|bytes| (bytes, out)) })
    }
}

impl Zip {
    /// Bytes of the archive.
    pub fn length(&self) -> u64 {
        zip::length(self.entries.iter().map(|(entry, _)| entry))
    }
}

fn pictures(job: &Job, frames: Option<&FrameList>, kinds: PictureKinds) -> Vec<Picture> {
    let frames = frames.map(FrameList::frames);
    let chosen = job.tasks.iter().filter(|(frame, _)| frames.as_ref().is_none_or(|all| all.contains(frame)));
    let mut pictures = Vec::new();
    for (frame, task) in chosen {
        let TaskState::Done { result, .. } = &task.state else { continue };
        if kinds != PictureKinds::Jpg {
            pictures.push(Picture { name: render_name(job.id, *frame), digest: result.film });
        }
        if let Some(digest) = result.preview.filter(|_| kinds != PictureKinds::Exr) {
            pictures.push(Picture { name: thumb_name(job.id, *frame), digest });
        }
    }
    pictures
}

fn render_name(job: JobId, frame: Frame) -> String {
    format!("render_{job}_{frame}.exr")
}

fn thumb_name(job: JobId, frame: Frame) -> String {
    format!("thumb_{job}_{frame}.jpg")
}

async fn pack(reader: &BlobReader, zip: Zip, pipe: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let mut directory = Directory::default();
    for (entry, digest) in zip.entries {
        let mut file = reader.open(digest).await.map_err(io::Error::other)?;
        // A checksum stands before the bytes. So each file is read to its end first, which proves
        // it before any of it leaves; the second time it mostly comes from memory.
        let first = file.try_clone().await?;
        let sum = reader
            .stream(digest, first, 0)
            .try_fold(crc32fast::Hasher::new(), |mut sum, bytes| async move {
                sum.update(&bytes);
                Ok(sum)
            })
            .await?;
        file.rewind().await?;
        let head = directory.add(&entry, sum.finalize());
        pipe.send(Ok(head.into())).await.map_err(gone)?;
        let mut bytes = ReaderStream::with_capacity(file, WINDOW);
        while let Some(bytes) = bytes.next().await {
            pipe.send(Ok(bytes?)).await.map_err(gone)?;
        }
    }
    pipe.send(Ok(directory.end().into())).await.map_err(gone)
}
