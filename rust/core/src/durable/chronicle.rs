//! The farm's history for people: activities (which slave rendered what when) and sentences.
//!
//! It follows from the events as they are applied. **Invariant:** nothing is decided by it.

use crate::model::{
    event::{Event, Record},
    farm::Farm,
    ids::{Frame, JobId, SlaveId, Timestamp},
    job::JobState,
    result::Failure,
    slave::{Duty, SlaveState},
    task::TaskState,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Work of a slave at a frame, from when until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct Activity {
    pub slave: SlaveId,
    pub job: JobId,
    pub frame: Frame,
    /// Begin: Blender's own time counted back from the end, but not before the end of the slave's
    /// previous activity.
    pub from_ms: Timestamp,
    /// End: the time of the result or the failure.
    pub to_ms: Timestamp,
    /// True if the attempt succeeded.
    pub ok: bool,
    /// Number of samples, for a part of a frame; 0 for a tile, whose lines have all samples.
    #[serde(default)]
    pub samples: Option<u32>,
}

/// Kind of an entry of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person changed a job.
    Job,
    /// A job ended.
    JobEnded,
    /// A slave came, went, or received an order.
    Slave,
    /// A setting of the whole farm changed.
    Farm,
    /// An attempt failed, or a film was found damaged.
    Failure,
}

/// An entry of the history: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Happening {
    /// Time of the event.
    pub at_ms: Timestamp,
    /// Kind of the entry.
    pub kind: Kind,
    /// The sentence.
    pub text: String,
    /// The job that it is about.
    pub job: Option<JobId>,
    /// The frame that it is about.
    pub frame: Option<Frame>,
    /// The slave that it is about.
    pub slave: Option<SlaveId>,
    /// Message of a failure, with the log's end.
    pub detail: Option<String>,
}

/// Entries that an event adds to the history; usually none or one of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the type says what they are")]
pub struct Notes {
    pub activities: Vec<Activity>,
    pub happenings: Vec<Happening>,
}

impl Notes {
    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.activities.is_empty() && self.happenings.is_empty()
    }

    /// Appends later entries.
    pub fn extend(&mut self, more: Self) {
        self.activities.extend(more.activities);
        self.happenings.extend(more.happenings);
    }
}

/// Writer of the history. It remembers when each slave's last activity ended, so that none overlaps
/// the next.
#[derive(Debug, Default)]
pub struct Chronicle {
    ended: BTreeMap<SlaveId, Timestamp>,
}

impl Chronicle {
    /// Returns the entries for an event, given the farm right before the event is applied.
    pub fn note(&mut self, farm: &Farm, record: &Record) -> Notes {
        let activities = self.activity(farm, record).into_iter().collect();
        let happenings = happening(farm, record).into_iter().chain(end_of_job(farm, record)).collect();
        Notes { activities, happenings }
    }

    fn activity(&mut self, farm: &Farm, Record { at, event }: &Record) -> Option<Activity> {
        let (slave, job, frame, begun, ok, samples) = match event {
            Event::TaskDone { job, frame, result } => {
                // A film that the master merged was rendered before, in parts.
                let task = farm.jobs.get(job)?.tasks.get(frame)?;
                if task.merged().is_some_and(|merged| merged.result == **result) {
                    return None;
                }
                (result.slave, *job, *frame, before(*at, result.seconds), true, None)
            }
            Event::ShareDone { job, frame, part, .. } => {
                let result = &part.result;
                let samples = farm.jobs.get(job)?.spec.samples_in(part.share);
                (result.slave, *job, *frame, before(*at, result.seconds), true, Some(samples))
            }
            Event::TaskFailed { job, frame, failure, .. } => {
                let leased = farm.leases_of(failure.slave).filter(|lease| lease.job == *job);
                let granted = leased.map(|lease| lease.granted).min().unwrap_or(*at);
                (failure.slave, *job, *frame, granted, false, None)
            }
            _ => return None,
        };
        let free_since = self.ended.insert(slave, *at).unwrap_or(Timestamp(0));
        let from_ms = begun.max(free_since).min(*at);
        Some(Activity { slave, job, frame, from_ms, to_ms: *at, ok, samples })
    }
}

fn before(at: Timestamp, seconds: f64) -> Timestamp {
    Timestamp(at.0.saturating_sub((seconds.clamp(0.0, 1e9) * 1000.0) as u64))
}

fn name_of(farm: &Farm, slave: SlaveId) -> String {
    farm.slaves.get(&slave).map_or_else(|| format!("slave {slave}"), |slave| slave.name().to_owned())
}

fn job_in_words(farm: &Farm, job: JobId) -> String {
    farm.jobs.get(&job).map_or_else(|| format!("Job {job}"), |known| format!("Job {job} ({})", known.spec.name))
}

fn happening(farm: &Farm, Record { at, event }: &Record) -> Option<Happening> {
    let one =
        |kind, text: String| Happening { at_ms: *at, kind, text, job: None, frame: None, slave: None, detail: None };
    let of_job = |job: &JobId, what: &str| {
        let text = format!("{} {what}", job_in_words(farm, *job));
        Some(Happening { job: Some(*job), ..one(Kind::Job, text) })
    };
    let of_slave = |slave: &SlaveId, what: &str| {
        let text = format!("Slave {} {what}", name_of(farm, *slave));
        Some(Happening { slave: Some(*slave), ..one(Kind::Slave, text) })
    };
    let failed = |job: &JobId, frame: &Frame, failure: &Failure, what: &str, retry: bool| {
        let first = failure.error.message.lines().next().unwrap_or_default();
        let then = if retry { "" } else { "; the frame is given up" };
        let text = format!("Frame {frame} of job {job}: {what} {}: {first}{then}", name_of(farm, failure.slave));
        Some(Happening {
            job: Some(*job),
            frame: Some(*frame),
            slave: Some(failure.slave),
            detail: Some(format!("{}: {}", failure.error.kind, failure.error.message)),
            ..one(Kind::Failure, text)
        })
    };
    match event {
        Event::JobAccepted { job, spec } => {
            let text = format!("Job {job} ({}) was sent, frames {}", spec.name, spec.frames);
            Some(Happening { job: Some(*job), ..one(Kind::Job, text) })
        }
        Event::JobPaused { job } => of_job(job, "was paused"),
        Event::JobResumed { job } => of_job(job, "goes on"),
        Event::JobCanceled { job } => of_job(job, "was canceled"),
        Event::JobRequeued { job } => of_job(job, "was requeued: its failed frames are tried again"),
        Event::FramesRequeued { job, frames } => of_job(job, &format!("renders frames {frames} again")),
        Event::JobEdited { job, edit } => of_job(job, &format!("was edited: {edit}")),
        Event::JobDeleted { job } => of_job(job, "was deleted"),
        Event::BlacklistChanged { job, slave, listed } => {
            let what = if *listed { "gets no more of" } else { "may have" };
            let text = format!("Slave {} {what} job {job}", name_of(farm, *slave));
            Some(Happening { job: Some(*job), slave: Some(*slave), ..one(Kind::Slave, text) })
        }
        Event::SlaveJoined { slave, name, .. } => {
            // A slave that lost its connection for a moment registers again, which is no news.
            let known = farm.slaves.get(slave).is_some_and(|slave| slave.state == SlaveState::Ready);
            let name = farm.slaves.get(slave).and_then(|slave| slave.set.name.as_ref()).unwrap_or(name);
            let text = format!("Slave {name} came");
            (!known).then(|| Happening { slave: Some(*slave), ..one(Kind::Slave, text) })
        }
        Event::SlaveReturned { slave } => of_slave(slave, "came back"),
        Event::SlaveLost { slave } => of_slave(slave, "fell silent; its frames go to others"),
        Event::SlaveLeft { slave } => of_slave(slave, "stopped"),
        Event::SlaveEdited { slave, edit } => of_slave(slave, &format!("was set to {edit}")),
        Event::PolicyChanged { policy } => Some(one(Kind::Farm, format!("The balance was changed: {policy}"))),
        Event::SlaveOrdered { slave, duty } => {
            let what = match duty {
                Duty::Work => "was told to work",
                Duty::Pause => "was paused",
                Duty::Drain => "was told to stop after what it has",
                Duty::Stop => "was told to stop at once",
            };
            of_slave(slave, what)
        }
        Event::JobBaked { job, baked } => {
            let text = format!(
                "{}: its simulations were baked by {} in {:.0} s",
                job_in_words(farm, *job),
                name_of(farm, baked.slave),
                baked.seconds
            );
            Some(Happening { job: Some(*job), slave: Some(baked.slave), ..one(Kind::Job, text) })
        }
        Event::BakeFailed { job, failure, retry } => {
            let first = failure.error.message.lines().next().unwrap_or_default();
            let then = if *retry { "" } else { "; the job is given up" };
            let name = name_of(farm, failure.slave);
            let text =
                format!("{}: its simulations could not be baked by {name}: {first}{then}", job_in_words(farm, *job));
            Some(Happening {
                job: Some(*job),
                slave: Some(failure.slave),
                detail: Some(format!("{}: {}", failure.error.kind, failure.error.message)),
                ..one(Kind::Failure, text)
            })
        }
        Event::BakeSpoiled { job } => {
            let text = format!(
                "{}: its baked scene was damaged on the master's disk and is baked again",
                job_in_words(farm, *job)
            );
            Some(Happening { job: Some(*job), ..one(Kind::Failure, text) })
        }
        Event::TaskFailed { job, frame, failure, retry } => failed(job, frame, failure, "failed on", *retry),
        Event::PartRejected { job, frame, failure, retry, .. } => {
            failed(job, frame, failure, "a part is of no use, from", *retry)
        }
        Event::TaskSpoiled { job, frame } | Event::MergedSpoiled { job, frame } => {
            let text = format!("Frame {frame} of job {job} was damaged on the master's disk and is rendered again");
            Some(Happening { job: Some(*job), frame: Some(*frame), ..one(Kind::Failure, text) })
        }
        _ => None,
    }
}

/// The entry for the end of a job, if the event ends its last open frame.
fn end_of_job(farm: &Farm, Record { at, event }: &Record) -> Option<Happening> {
    if let Event::BakeFailed { job, retry: false, .. } = event {
        let job = farm.jobs.get(job)?;
        let given_up = job.idle_frames().len() as u32;
        let open = job.counts.total() - job.counts.done - job.counts.failed;
        let is_open = matches!(job.state, JobState::Active | JobState::Paused);
        return (is_open && given_up == open && open > 0).then(|| ended(farm, *at, job.id, job.counts.failed + open));
    }
    let (id, frame, fails) = match event {
        Event::TaskDone { job, frame, .. } => (job, frame, false),
        Event::TaskFailed { job, frame, retry: false, .. } | Event::PartRejected { job, frame, retry: false, .. } => {
            (job, frame, true)
        }
        _ => return None,
    };
    let job = farm.jobs.get(id)?;
    let open = job.counts.total() - job.counts.done - job.counts.failed;
    let state = &job.tasks.get(frame)?.state;
    let was_failed = matches!(state, TaskState::Failed(_));
    let is_last = if state.has_ended() { open == 0 && was_failed } else { open == 1 };
    if !is_last || !matches!(job.state, JobState::Active | JobState::Paused | JobState::Failed) {
        return None;
    }
    Some(ended(farm, *at, *id, job.counts.failed + u32::from(fails) - u32::from(was_failed && !fails)))
}

fn ended(farm: &Farm, at: Timestamp, job: JobId, failed: u32) -> Happening {
    let what = match failed {
        0 => "is finished".to_owned(),
        1 => "has ended; 1 frame failed".to_owned(),
        many => format!("has ended; {many} frames failed"),
    };
    Happening {
        at_ms: at,
        kind: Kind::JobEnded,
        text: format!("{} {what}", job_in_words(farm, job)),
        job: Some(job),
        frame: None,
        slave: None,
        detail: None,
    }
}
