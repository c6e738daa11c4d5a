//! The blobs that jobs refer to. All others are garbage.

use netrender_core::model::{
    digest::Digest,
    farm::Farm,
    job::{Job, JobState},
    sharing::{Merged, Part},
    task::{Task, TaskState},
};
use std::collections::HashSet;

/// The jobs that are not deleted.
pub fn kept_jobs(farm: &Farm) -> impl Iterator<Item = &Job> {
    farm.jobs.values().filter(|job| job.state != JobState::Deleted)
}

/// The blobs that a job refers to.
pub fn blobs_of_job(job: &Job) -> HashSet<Digest> {
    let mut all = HashSet::from([job.spec.manifest]);
    all.extend(job.baked.iter().flat_map(|baked| [Some(baked.blend), baked.log]).flatten());
    all.extend(job.bake_failures.iter().filter_map(|failure| failure.log));
    all.extend(job.tasks.values().flat_map(blobs_of_task));
    all
}

/// The blobs that a frame refers to.
pub fn blobs_of_task(task: &Task) -> Vec<Digest> {
    let mut all: Vec<Digest> = task.failures.iter().filter_map(|failure| failure.log).collect();
    let of_part = |part: &Part| [Some(part.result.film), part.result.log, part.view];
    if let Some(Merged { result, view, .. }) = task.merged() {
        all.extend([Some(result.film), result.preview, result.log, *view].into_iter().flatten());
    }
    match &task.state {
        TaskState::Done { result, .. } => {
            all.extend([Some(result.film), result.preview, result.log].into_iter().flatten());
            all.extend(result.outputs.iter().map(|output| output.digest));
        }
        TaskState::Sharing(sharing) => all.extend(sharing.parts.iter().flat_map(of_part).flatten()),
        _ => {}
    }
    all
}
