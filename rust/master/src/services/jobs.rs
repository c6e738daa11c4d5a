//! Jobs, as far as files are involved: submitted with their files, rendered again, deleted. All
//! other commands go straight to the farm.

use super::{gc::Gc, job_files::JobFiles};
use crate::{
    error::MasterError,
    ledger::{blob_refs::blobs_of_task, farm_handle::FarmHandle},
};
use netrender_core::{
    decide::{Command, Reply},
    model::{frames::FrameList, ids::JobId, spec::JobSpec},
};
use std::sync::Arc;

/// Submits, requeues and deletes jobs.
#[derive(Clone)]
pub struct Jobs {
    farm: FarmHandle,
    files: JobFiles,
    gc: Arc<Gc>,
}

impl Jobs {
    pub fn new(farm: FarmHandle, files: JobFiles, gc: Arc<Gc>) -> Self {
        Self { farm, files, gc }
    }

    /// Queues a job whose files are all here. The same key again is the same job.
    pub async fn submit(&self, spec: JobSpec) -> Result<JobId, MasterError> {
        let submit = async {
            self.files.check(spec.manifest).await?;
            match self.farm.command(Command::Submit(Box::new(spec))).await? {
                Reply::Accepted(job) => Ok(job),
                other => Err(MasterError::unexpected(&other)),
            }
        };
        self.gc.transact(async { (submit.await, Vec::new()) }).await
    }

    /// Renders frames again. The blobs they have now are collected.
    pub async fn requeue_frames(&self, job: JobId, frames: FrameList) -> Result<(), MasterError> {
        let chosen = frames.clone();
        let requeue = async {
            let blobs = self.farm.job(job, move |_, job| {
                let tasks = chosen.frames().into_iter().filter_map(|frame| job.tasks.get(&frame));
                tasks.flat_map(blobs_of_task).collect::<Vec<_>>()
            });
            let blobs = blobs.await?;
            self.farm.command(Command::RequeueFrames { job, frames }).await?;
            Ok(blobs)
        };
        let transaction = async {
            match requeue.await {
                Ok(blobs) => (Ok(()), blobs),
                Err(error) => (Err(error), Vec::new()),
            }
        };
        self.gc.transact(transaction).await
    }

    /// Deletes a job. Its files are collected in the background.
    pub async fn delete(&self, job: JobId) -> Result<(), MasterError> {
        self.farm.command(Command::Delete(job)).await?;
        self.gc.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_farm::{FILM, TestFarm, spec};
    use netrender_core::model::{digest::Digest, job::JobState};

    #[tokio::test]
    async fn a_job_without_its_list_of_files_is_refused() {
        let house = TestFarm::new();
        let refused = house.jobs.submit(spec("1", Digest([5; 32]))).await;
        assert!(matches!(refused, Err(MasterError::MissingPieces(1))), "{refused:?}");
        let list = house.blobs.put(b"no manifest").unwrap();
        let refused = house.jobs.submit(spec("1", list)).await;
        assert!(matches!(refused, Err(MasterError::Invalid(_))), "{refused:?}");
        assert!(house.farm.latest_rows().await.unwrap().jobs.is_empty());
    }

    #[tokio::test]
    async fn a_requeued_frame_loses_its_picture_and_the_others_keep_theirs() {
        let house = TestFarm::new();
        let (job, slave, film) = (house.job("1-2").await, house.slave("anna").await, house.film(FILM));
        for frame in [1, 2] {
            assert!(house.results.hand_in(house.result(slave, job, frame, film)).await.unwrap());
        }
        house.jobs.requeue_frames(job, "1".parse().unwrap()).await.unwrap();
        house.gc.settle().await;
        assert!(house.blobs.has(&film), "frame 2 still has it");
        house.jobs.requeue_frames(job, "2".parse().unwrap()).await.unwrap();
        house.gc.settle().await;
        assert!(!house.blobs.has(&film));
        assert!(house.task(job, 2).await.state.is_waiting());
    }

    #[tokio::test]
    async fn a_deleted_job_and_its_files_go_and_what_others_need_stays() {
        let house = TestFarm::new();
        let (job, other, slave) = (house.job("1").await, house.job("1").await, house.slave("anna").await);
        let (film, shared) = (house.blobs.put(b"log").unwrap(), house.film(FILM));
        for job in [job, other] {
            let result = house.result(slave, job, 1, shared);
            let log = if job == other { None } else { Some(film) };
            let request = netrender_core::wire::HandInRequest { log, ..result };
            assert!(house.results.hand_in(request).await.unwrap());
        }
        let collecting = tokio::spawn(house.gc.clone().run());
        house.jobs.delete(job).await.unwrap();
        let mut rows = house.farm.rows();
        loop {
            let state = house.farm.read(move |farm| farm.jobs.get(&job).map(|job| job.state)).await.unwrap();
            match state {
                None => break,
                Some(state) => assert_eq!(state, JobState::Deleted),
            }
            rows.changed().await.unwrap();
        }
        assert!(!house.blobs.has(&film) && house.blobs.has(&shared));
        collecting.abort();
    }
}
