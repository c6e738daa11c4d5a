//! What happened, for people: who rendered what when, and the farm's story in sentences. Follows from the events as they are
//! applied; decides nothing, and a farm without it is the same farm.

use crate::{
    event::{Event, Record},
    farm::Farm,
    ids::{Frame, JobId, SlaveId, Timestamp},
    job::JobState,
    slave::{Duty, SlaveState},
    task::{Failure, TaskState},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A slave was at a frame from here to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Span {
    /// Who.
    pub slave: SlaveId,
    /// Of which job.
    pub job: JobId,
    /// Which frame.
    pub frame: Frame,
    /// From when. Blender's own time counted back from when the result came, as far as the one before allows.
    pub from_ms: Timestamp,
    /// Until when.
    pub to_ms: Timestamp,
    /// Whether it came to something.
    pub ok: bool,
    /// Of a part of a frame: how many samples; 0 of a tile, which has all of them in some lines.
    #[serde(default)]
    pub samples: Option<u32>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody did something to a job.
    Job,
    /// A job came to its end.
    JobEnded,
    /// A slave came, went, or was told something.
    Slave,
    /// The farm as a whole was set otherwise.
    Farm,
    /// An attempt failed, or a picture went bad.
    Failure,
}

/// One sentence of the farm's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Happening {
    /// When.
    pub at_ms: Timestamp,
    /// What kind of thing.
    pub kind: Kind,
    /// What, in one sentence.
    pub text: String,
    /// Which job it is about.
    pub job: Option<JobId>,
    /// Which frame.
    pub frame: Option<Frame>,
    /// Which slave.
    pub slave: Option<SlaveId>,
    /// Of a failure: all that is known, the log's end included.
    pub detail: Option<String>,
}

/// What an event adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Usually none or one.
    pub spans: Vec<Span>,
    /// Usually none or one.
    pub happenings: Vec<Happening>,
}

impl Notes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.happenings.is_empty()
    }

    /// Takes over what follows.
    pub fn extend(&mut self, more: Self) {
        self.spans.extend(more.spans);
        self.happenings.extend(more.happenings);
    }
}

/// Follows the events. Remembers when each slave's last span ended, so that none overlaps the next.
#[derive(Debug, Default)]
pub struct Chronicle {
    ended: BTreeMap<SlaveId, Timestamp>,
}

impl Chronicle {
    /// What an event means, in the farm as it is right before it is applied.
    pub fn note(&mut self, farm: &Farm, record: &Record) -> Notes {
        let spans = self.span(farm, record).into_iter().collect();
        let happenings = happening(farm, record).into_iter().chain(end_of_job(farm, record)).collect();
        Notes { spans, happenings }
    }

    fn span(&mut self, farm: &Farm, Record { at, event }: &Record) -> Option<Span> {
        let (slave, job, frame, begun, ok, samples) = match event {
            Event::TaskDone { job, frame, result } => {
                // What the master merged was rendered before, in parts.
                let task = farm.jobs.get(job)?.tasks.get(frame)?;
                if task.merged.as_ref().is_some_and(|merged| merged.result == **result) {
                    return None;
                }
                (result.slave, *job, *frame, before(*at, result.seconds), true, None)
            }
            Event::ShareDone { job, frame, part, .. } => {
                let result = &part.result;
                let samples = farm.jobs.get(job)?.spec.sampled(part.share);
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
        Some(Span { slave, job, frame, from_ms, to_ms: *at, ok, samples })
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
            // One that lost its line for a moment registers again: that is no news.
            let known = farm.slaves.get(slave).is_some_and(|slave| slave.state == SlaveState::Ready);
            let name = farm.slaves.get(slave).and_then(|slave| slave.set.name.as_ref()).unwrap_or(name);
            let text = format!("Slave {name} came");
            (!known).then(|| Happening { slave: Some(*slave), ..one(Kind::Slave, text) })
        }
        Event::SlaveReturned { slave } => of_slave(slave, "came back"),
        Event::SlaveLost { slave } => of_slave(slave, "fell silent; its frames go to others"),
        Event::SlaveLeft { slave } => of_slave(slave, "stopped"),
        Event::SlaveEdited { slave, edit } => of_slave(slave, &format!("was set to {edit}")),
        Event::RulesChanged { rules } => Some(one(Kind::Farm, format!("The balance was changed: {rules}"))),
        Event::SlaveOrdered { slave, duty } => {
            let what = match duty {
                Duty::Work => "was told to work",
                Duty::Pause => "was paused",
                Duty::Drain => "was told to stop after what it has",
                Duty::Stop => "was told to stop at once",
            };
            of_slave(slave, what)
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

/// Whether this is the last of a job's frames.
fn end_of_job(farm: &Farm, Record { at, event }: &Record) -> Option<Happening> {
    let (id, frame, fails) = match event {
        Event::TaskDone { job, frame, .. } => (job, frame, false),
        Event::TaskFailed { job, frame, retry: false, .. } | Event::PartRejected { job, frame, retry: false, .. } => {
            (job, frame, true)
        }
        _ => return None,
    };
    let job = farm.jobs.get(id)?;
    let ends = |state: &TaskState| matches!(state, TaskState::Done(_) | TaskState::Failed);
    let open = job.counts.total() - job.counts.done - job.counts.failed;
    let was_failed = job.tasks.get(frame)?.state == TaskState::Failed;
    let is_last = if ends(&job.tasks.get(frame)?.state) { open == 0 && was_failed } else { open == 1 };
    if !is_last || !matches!(job.state, JobState::Active | JobState::Paused | JobState::Failed) {
        return None;
    }
    let failed = job.counts.failed + u32::from(fails) - u32::from(was_failed && !fails);
    let what = match failed {
        0 => "is finished".to_owned(),
        1 => "has ended; 1 frame failed".to_owned(),
        many => format!("has ended; {many} frames failed"),
    };
    Some(Happening {
        at_ms: *at,
        kind: Kind::JobEnded,
        text: format!("{} {what}", job_in_words(farm, *id)),
        job: Some(*id),
        frame: None,
        slave: None,
        detail: None,
    })
}
