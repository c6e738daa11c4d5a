//! Merging of frames that slaves render together: their parts become one film as soon as the last
//! of them is there, and a picture of what is there in the meantime.
//!
//! Parts are durable when they are handed in, so after a crash here the merge is only begun again.
//! The film is kept as the sum of its samples: a frame that is given more samples later goes on
//! from it.

mod film;
pub mod pictures;
mod shared_frame;

use super::gc::Gc;
use crate::{blocking::blocking, error::MasterError, ledger::farm_handle::FarmHandle};
use film::{Purpose, coverage, merge};
use netrender_core::{
    decide::Command,
    model::{
        cut::{Span, Unit},
        digest::Digest,
        farm::Farm,
        ids::{Frame, JobId},
        result::{FailureKind, TaskError},
        task::TaskState,
    },
};
use netrender_film::merge::MergeError;
use netrender_store::blobs::BlobStore;
use pictures::UnfinishedPictures;
use shared_frame::{FrameKey, SharedFrame, shared_frames, unfinished_frames};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempPath;

/// Shortest time between two pictures of an unfinished frame.
const PICTURE_EVERY: Duration = Duration::from_secs(3);
/// Time for which changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(100);
/// Time after which a merge is tried again for which the disk had no room.
const RETRY: Duration = Duration::from_secs(5);

/// Merges frames.
pub struct Merging {
    farm: FarmHandle,
    blobs: BlobStore,
    gc: Arc<Gc>,
    pictures: Arc<UnfinishedPictures>,
}

/// A frame as it was when its picture was made.
struct Pictured {
    parts: usize,
    at: Instant,
}

impl Merging {
    pub fn new(farm: FarmHandle, blobs: BlobStore, gc: Arc<Gc>, pictures: Arc<UnfinishedPictures>) -> Self {
        Self { farm, blobs, gc, pictures }
    }

    /// Merges until the farm's thread ends.
    pub async fn run(self) {
        let mut rows = self.farm.rows();
        let mut pictured = BTreeMap::new();
        loop {
            rows.borrow_and_update();
            let Ok(frames) = self.farm.read(shared_frames).await else { return };
            let Ok(unfinished) = self.farm.read(unfinished_frames).await else { return };
            let is_shared = |key: &FrameKey| frames.iter().any(|frame| frame.key() == *key);
            self.pictures.retain(|key| unfinished.contains(key) || is_shared(key));
            pictured.retain(|key, _| is_shared(key));
            let mut again_in = None;
            for frame in frames {
                if frame.is_complete {
                    if self.finish(frame).await.is_err() {
                        again_in = Some(RETRY);
                    }
                } else if let Some(wait) = self.picture_if_due(frame, &mut pictured).await {
                    again_in = again_in.or(Some(wait));
                }
            }
            tokio::time::sleep(GATHER).await;
            let changed = rows.changed();
            let has_ended = match again_in {
                Some(wait) => tokio::time::timeout(wait, changed).await.is_ok_and(|changed| changed.is_err()),
                None => changed.await.is_err(),
            };
            if has_ended {
                return;
            }
        }
    }

    /// Makes a picture of an unfinished frame if it has new parts. Returns how long to wait if the
    /// last picture is too young.
    async fn picture_if_due(
        &self,
        frame: SharedFrame,
        pictured: &mut BTreeMap<FrameKey, Pictured>,
    ) -> Option<Duration> {
        let last = pictured.get(&frame.key());
        if last.is_some_and(|last| last.parts >= frame.parts.len()) {
            return None;
        }
        if last.is_some_and(|last| last.at.elapsed() < PICTURE_EVERY) {
            return Some(PICTURE_EVERY);
        }
        pictured.insert(frame.key(), Pictured { parts: frame.parts.len(), at: Instant::now() });
        self.picture(frame).await;
        None
    }

    /// Makes a picture of what is there so far. A part that can't be merged is found out here, too.
    async fn picture(&self, frame: SharedFrame) {
        let blobs = self.blobs.clone();
        let (job, number) = frame.key();
        match blocking(move || merge(&blobs, &frame, Purpose::Preview)).await {
            Ok(Ok((film, Some(jpeg)))) => self.pictures.put((job, number), jpeg, Some(film)),
            Ok(Ok((_, None))) | Err(_) => {}
            Ok(Err(error)) => _ = self.reject(job, number, error).await,
        }
    }

    /// Makes the frame's film and tells the farm, which has the frame or gives it to a slave to be
    /// finished. After an error it is to be tried again later.
    async fn finish(&self, frame: SharedFrame) -> Result<(), MasterError> {
        let blobs = self.blobs.clone();
        let frame = Arc::new(frame);
        let (job, number) = frame.key();
        let began = Instant::now();
        let merging = frame.clone();
        let (film, jpeg) = match blocking(move || merge(&blobs, &merging, Purpose::Final)).await? {
            Ok(made) => made,
            Err(error) => return self.reject(job, number, error).await,
        };
        let transaction = async {
            match self.hand_in(&frame, film, jpeg).await {
                Ok(unneeded) => (Ok(()), unneeded),
                Err(error) => (Err(error), Vec::new()),
            }
        };
        self.gc.transact(transaction).await?;
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(%job, frame = %number, parts = frame.parts.len(), seconds, "merged");
        Ok(())
    }

    /// Stores the film and its preview and tells the farm. Returns the blobs that may be without
    /// use now.
    async fn hand_in(
        &self,
        frame: &SharedFrame,
        film: TempPath,
        jpeg: Option<Vec<u8>>,
    ) -> Result<Vec<Digest>, MasterError> {
        let (blobs, is_final) = (self.blobs.clone(), !frame.is_finished_by_slave());
        let stored = blocking(move || {
            let preview = jpeg.as_ref().filter(|_| is_final).map(|jpeg| blobs.put(jpeg)).transpose()?;
            let film = blobs.put_file(&film)?;
            Ok::<_, MasterError>((film, blobs.size(&film).unwrap_or(0), preview, jpeg))
        });
        let (film, film_bytes, preview, jpeg) = stored.await??;
        let Some(merged) = frame.merged(film, film_bytes, preview) else { return Ok(Vec::new()) };
        let (job, number) = frame.key();
        self.farm.command(Command::Merge { job, frame: number, merged: Box::new(merged) }).await?;
        if let Some(jpeg) = jpeg.filter(|_| !is_final) {
            self.pictures.put(frame.key(), jpeg, None);
        }
        Ok([Some(film), preview].into_iter().flatten().chain(frame.blobs()).collect())
    }

    /// Rejects the part that can't be merged, so that its samples are rendered again. Fails if the
    /// disk is to blame; the caller then tries again.
    async fn reject(&self, job: JobId, frame: Frame, error: MergeError) -> Result<(), MasterError> {
        let before = move |farm: &Farm| {
            let merged = farm.jobs.get(&job)?.tasks.get(&frame)?.merged()?;
            Some((merged.spans.clone(), merged.result.film))
        };
        let before = self.farm.read(before).await.ok().flatten();
        if let (MergeError::Part { part, .. }, Some((spans, film))) = (&error, before)
            && *part == coverage(&spans)
        {
            tracing::error!(%job, %frame, "what was merged of it before is of no use and is rendered again: {error}");
            return self.farm.command(Command::Spoil { job, frame, film }).await.map(drop);
        }
        let span = match &error {
            MergeError::Write(why) => {
                tracing::error!(%job, %frame, "its parts can't be merged yet: {why}");
                return Err(MasterError::Disk);
            }
            MergeError::Part { part, .. } => part.spans().first().copied(),
            _ => None,
        };
        let share = match span {
            Some(span) => Some(Span { start: span.start, count: span.count }),
            // No part in particular. The first is rejected, and the frame ends once its attempts
            // are used up.
            None => self.first_part(job, frame).await,
        };
        let Some(share) = share else { return Ok(()) };
        let unit = move |farm: &Farm| farm.jobs.get(&job).map(|job| job.spec.unit()).unwrap_or_default();
        let why = match self.farm.read(unit).await.unwrap_or_default() {
            Unit::Samples => format!("a part of frame {frame} is of no use: {error}"),
            Unit::Lines => format!("a tile of frame {frame} is of no use: {error}"),
        };
        tracing::error!(%job, %frame, "{why}");
        let error = TaskError { kind: FailureKind::BadPart, message: why };
        self.farm.command(Command::RejectPart { job, frame, share, error }).await.map(drop)
    }

    async fn first_part(&self, job: JobId, frame: Frame) -> Option<Span> {
        let first = move |farm: &Farm| match &farm.jobs.get(&job)?.tasks.get(&frame)?.state {
            TaskState::Sharing(sharing) => sharing.parts.first().map(|part| part.share),
            _ => None,
        };
        self.farm.read(first).await.ok().flatten()
    }
}
