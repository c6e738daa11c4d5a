//! A frame in detail: its attempts and parts, its film, and its log, finished or as it is printed.

use super::slave_logs::{LogPart, SlaveLogs};
use crate::{
    blocking::blocking,
    error::MasterError,
    ledger::{farm_handle::FarmHandle, rows},
};
use netrender_core::{
    model::{
        digest::Digest,
        farm::Farm,
        ids::{Frame, JobId, SlaveId, Timestamp},
        job::Job,
        lease::Lease,
        result::OutputFile,
        task::{Task, TaskState},
    },
    wire::FrameDetail,
};
use netrender_film::Expect;
use netrender_store::blobs::BlobStore;
use std::{
    io::{Read, Seek, SeekFrom},
    sync::Arc,
    time::UNIX_EPOCH,
};

/// Most bytes of a log in one answer.
const MAX_LOG: u64 = 256 << 10;

/// Reads frames, their films and logs.
#[derive(Clone)]
pub struct Frames {
    farm: FarmHandle,
    blobs: BlobStore,
    logs: Arc<SlaveLogs>,
}

/// The part of a frame's log that is wanted.
pub struct LogWanted {
    /// Its first byte.
    pub offset: u64,
    /// The attempt, counted from 0. `None`: the one that is being rendered, or else the last that
    /// has a log.
    pub attempt: Option<usize>,
    /// One of several slaves that render it now.
    pub slave: Option<SlaveId>,
}

impl Frames {
    pub fn new(farm: FarmHandle, blobs: BlobStore, logs: Arc<SlaveLogs>) -> Self {
        Self { farm, blobs, logs }
    }

    /// A frame with its attempts and parts.
    pub async fn detail(&self, job: JobId, frame: Frame) -> Result<FrameDetail, MasterError> {
        let read = move |farm: &Farm, job: &Job, task: &Task| (rows::frame(farm, job, frame, task), film_of(task));
        let (mut detail, film) = self.farm.task(job, frame, read).await?;
        if let Some(film) = film
            && let Some(last) = detail.attempts.last_mut()
        {
            // The event log does not have the time at which a frame was done; its film came then.
            let path = self.blobs.path(&film);
            let made = blocking(move || std::fs::metadata(path).and_then(|film| film.modified()).ok()).await?;
            last.at_ms =
                made.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|since| Timestamp(since.as_millis() as u64));
        }
        Ok(detail)
    }

    /// The film of a frame that is done, and the size it must have.
    pub async fn film(&self, job: JobId, frame: Frame) -> Result<(Digest, Expect), MasterError> {
        let read = |_: &Farm, job: &Job, task: &Task| {
            film_of(task).map(|film| (film, Expect { width: job.spec.width, height: job.spec.height }))
        };
        let found = self.farm.task(job, frame, read).await?;
        found.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} is not rendered yet")))
    }

    /// The files that File Output nodes wrote for a frame that is done.
    pub async fn outputs(&self, job: JobId, frame: Frame) -> Result<Vec<OutputFile>, MasterError> {
        let read = |_: &Farm, _: &Job, task: &Task| match &task.state {
            TaskState::Done { result, .. } => Some(result.outputs.clone()),
            _ => None,
        };
        let found = self.farm.task(job, frame, read).await?;
        found.ok_or_else(|| MasterError::NotThere(format!("frame {frame} of job {job} is not rendered yet")))
    }

    /// Part of a frame's log, 256 KiB at most. Empty while the frame is being rendered and nothing
    /// was reported of it.
    pub async fn log(&self, job: JobId, frame: Frame, wanted: LogWanted) -> Result<LogPart, MasterError> {
        let LogWanted { offset, attempt, slave } = wanted;
        let read = move |farm: &Farm, owner: &Job, task: &Task| {
            let is_rendering =
                matches!(task.state, TaskState::Leased { .. } | TaskState::Sharing(_) | TaskState::Finishing { .. })
                    && attempt.is_none_or(|attempt| attempt == task.failures.len());
            let has_it =
                |lease: &Lease| Some(lease.slave) == slave && lease.job == job && lease.frames.contains(&frame);
            (logs(owner, task), is_rendering, slave.is_none() || farm.leases.values().any(has_it))
        };
        let (logs, is_rendering, slave_has_it) = self.farm.task(job, frame, read).await?;
        if is_rendering && let Some(part) = self.logs.read(job, frame, slave, offset) {
            return Ok(part);
        }
        let log = match attempt {
            Some(attempt) => logs.get(attempt).copied().flatten(),
            None => logs.iter().rev().find_map(|log| *log),
        };
        match log {
            Some(log) => self.read_log(job, frame, log, offset).await,
            None if is_rendering && slave_has_it => Ok(LogPart { text: Vec::new(), at: 0, size: 0 }),
            None => Err(MasterError::NotThere(format!("frame {frame} of job {job} has no such log yet"))),
        }
    }

    async fn read_log(&self, job: JobId, frame: Frame, log: Digest, offset: u64) -> Result<LogPart, MasterError> {
        let path = self.blobs.path(&log);
        let read = blocking(move || {
            let mut file = std::fs::File::open(path)?;
            let size = file.metadata()?.len();
            let at = offset.min(size);
            file.seek(SeekFrom::Start(at))?;
            let mut text = Vec::new();
            file.take(MAX_LOG).read_to_end(&mut text)?;
            Ok::<_, std::io::Error>(LogPart { text, at, size })
        });
        read.await?.map_err(|error| {
            tracing::error!(%log, "{error}");
            MasterError::NotThere(format!("the log of frame {frame} of job {job} can't be read"))
        })
    }
}

fn film_of(task: &Task) -> Option<Digest> {
    match &task.state {
        TaskState::Done { result, .. } => Some(result.film),
        _ => None,
    }
}

/// The log of each attempt, in the order of [`rows::frame`].
fn logs(job: &Job, task: &Task) -> Vec<Option<Digest>> {
    let mut logs: Vec<_> = task.failures.iter().map(|failure| failure.log).collect();
    match &task.state {
        TaskState::Failed(_) => logs.extend(job.bake_failures.iter().map(|failure| failure.log)),
        TaskState::Done { result, .. } => logs.push(result.log),
        TaskState::Sharing(sharing) => logs.extend(sharing.parts.last().map(|part| part.result.log)),
        _ => {}
    }
    logs
}
