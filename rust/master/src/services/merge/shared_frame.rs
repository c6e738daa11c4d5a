//! Frames that several slaves render together, as far as the merge needs to know them.

use netrender_core::model::{
    cut::Span,
    digest::Digest,
    farm::Farm,
    ids::{Frame, JobId},
    job::{Job, JobState},
    result::TaskResult,
    sharing::{Merged, Part},
    spec::JobSpec,
    task::TaskState,
};
use std::collections::BTreeSet;

/// A frame of a job.
pub type FrameKey = (JobId, Frame);

/// A frame with parts that are not merged yet.
pub struct SharedFrame {
    pub job: JobId,
    pub frame: Frame,
    pub spec: JobSpec,
    /// Samples of the whole frame.
    pub units: u32,
    /// The sum that was merged before the frame was given more samples.
    pub before: Option<Box<Merged>>,
    pub parts: Vec<Part>,
    /// The samples of `before` and `parts`.
    pub done: Vec<Span>,
    /// True if no more parts are to come.
    pub is_complete: bool,
}

impl SharedFrame {
    pub fn key(&self) -> FrameKey {
        (self.job, self.frame)
    }

    /// True if a slave makes the final picture from the merged film.
    pub fn is_finished_by_slave(&self) -> bool {
        self.spec.cut.as_ref().is_some_and(|plan| plan.finishes)
    }

    /// The frame as the farm is to keep it once `film` is its sum; `None` if it has no parts.
    pub fn merged(&self, film: Digest, film_bytes: u64, preview: Option<Digest>) -> Option<Merged> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_by_key(|part| part.share.start);
        let before = self.before.iter().map(|before| (&before.result, before.view));
        let all: Vec<(&TaskResult, Option<Digest>)> =
            before.chain(parts.into_iter().map(|part| (&part.result, part.view))).collect();
        let (first, _) = all.first()?;
        let seconds = all.iter().map(|(result, _)| result.seconds).sum();
        let result =
            TaskResult { slave: first.slave, film, film_bytes, preview, log: first.log, seconds, outputs: Vec::new() };
        let builds = self.before.iter().map(|before| &before.build).chain(self.parts.iter().map(|part| &part.build));
        let build = builds.flatten().next().cloned();
        let view = all.iter().find_map(|(_, view)| *view);
        Some(Merged { spans: self.done.clone(), result, view, build })
    }

    /// The blobs that may be without use once the frame is merged.
    pub fn blobs(&self) -> Vec<Digest> {
        let before = self.before.iter().flat_map(|before| [Some(before.result.film), before.result.preview]);
        let of_part = |part: &Part| [Some(part.result.film), part.result.log, part.view];
        before.chain(self.parts.iter().flat_map(of_part)).flatten().collect()
    }
}

/// The frames that have something to merge.
pub fn shared_frames(farm: &Farm) -> Vec<SharedFrame> {
    let is_open = |job: &&Job| matches!(job.state, JobState::Active | JobState::Paused) && job.spec.cut.is_some();
    let mut all = Vec::new();
    for job in farm.jobs.values().filter(is_open) {
        for (frame, task) in &job.tasks {
            if let TaskState::Sharing(sharing) = &task.state
                && (!sharing.parts.is_empty() || sharing.is_complete())
            {
                all.push(SharedFrame {
                    job: job.id,
                    frame: *frame,
                    spec: job.spec.clone(),
                    units: task.units(&job.spec),
                    before: task.merged().cloned().map(Box::new),
                    parts: sharing.parts.clone(),
                    done: sharing.done(),
                    is_complete: sharing.is_complete(),
                });
            }
        }
    }
    all
}

/// The frames that are merged and whose final picture is still to be made by a slave.
pub fn unfinished_frames(farm: &Farm) -> BTreeSet<FrameKey> {
    let finishing = farm.jobs.values().filter(|job| job.spec.cut.as_ref().is_some_and(|plan| plan.finishes));
    let tasks = finishing.flat_map(|job| job.tasks.iter().map(|(frame, task)| ((job.id, *frame), task)));
    tasks.filter(|(_, task)| task.unfinished().is_some()).map(|(key, _)| key).collect()
}
