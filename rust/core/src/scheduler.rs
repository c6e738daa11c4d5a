//! Decides: a command and the farm as it is give the events that follow. Changes nothing itself.

use crate::digest::Digest;
use crate::{
    balance::{self, Want},
    edit::{self, JobEdit},
    error::Refusal,
    event::Event,
    farm::Farm,
    frames::FrameList,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    job::{Job, JobSpec, JobState},
    lease::{Lease, LeaseEnd},
    more, poll,
    retry::RetryPolicy,
    rules::{self, Rules},
    settings::{self, SlaveEdit},
    share::{Merged, Part, Share, Unit},
    slave::{Duty, SlaveInfo, SlaveState},
    task::{Failure, TaskError, TaskResult, TaskState},
    wire::{HeldLease, PollReply},
};

/// What somebody wants of the farm.
#[derive(Clone, Debug)]
pub enum Command {
    /// A job whose files are all there.
    Submit(Box<JobSpec>),
    /// Lease no more of it.
    Pause(JobId),
    /// Go on.
    Resume(JobId),
    /// Stop it.
    Cancel(JobId),
    /// Try its failed frames again; a canceled job goes on.
    Requeue(JobId),
    /// Change its settings.
    Edit {
        /// Which job.
        job: JobId,
        /// How.
        edit: JobEdit,
        /// The last edit of it that is known to whoever edits; None: whatever happened meanwhile.
        seen: Option<u32>,
    },
    /// Render frames of it again, be they done or failed.
    RequeueFrames {
        /// Which job.
        job: JobId,
        /// Which of its frames.
        frames: FrameList,
    },
    /// Remove it with all its files.
    Delete(JobId),
    /// Its files are removed.
    Forget(JobId),
    /// Keep a slave from a job, or let it have it again.
    Blacklist {
        /// Which job.
        job: JobId,
        /// Which slave.
        slave: SlaveId,
        /// True: keep it away.
        listed: bool,
    },
    /// A slave came.
    Register {
        /// How it is known again.
        key: String,
        /// As shown in lists.
        name: String,
        /// What it can do.
        info: Box<SlaveInfo>,
        /// Whether it was just started, and does not only come back.
        started: bool,
    },
    /// Change a slave's settings.
    EditSlave {
        /// Which.
        slave: SlaveId,
        /// How.
        edit: Box<SlaveEdit>,
        /// The last edit of it that is known to whoever edits; None: whatever happened meanwhile.
        seen: Option<u32>,
    },
    /// Change who gets the next slave.
    ChangeRules {
        /// What shall hold.
        rules: Rules,
        /// The last change that is known to whoever changes them; None: whatever happened meanwhile.
        seen: Option<u32>,
    },
    /// Tell a slave to pause, to go on or to end.
    Order {
        /// Which.
        slave: SlaveId,
        /// What it shall do.
        duty: Duty,
    },
    /// A slave says what it holds and what it wants.
    Poll {
        /// Who.
        slave: SlaveId,
        /// Everything in its hands, so that both sides agree whatever got lost between them.
        held: Vec<HeldLease>,
        /// Whether it wants more.
        want: Want,
        /// The last edit of its settings that it knows; None: it does not know of settings.
        edits: Option<u32>,
    },
    /// A slave stopped.
    Leave(SlaveId),
    /// A slave was silent for too long.
    Lose(SlaveId),
    /// A believed picture.
    HandIn {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// What was handed in.
        result: Box<TaskResult>,
    },
    /// A believed film of a part of a frame.
    HandInPart {
        /// Of which job.
        job: JobId,
        /// Of which frame.
        frame: Frame,
        /// By which lease; it may be over.
        lease: LeaseId,
        /// What was handed in.
        part: Box<Part>,
    },
    /// A part is of no use: it can't be merged.
    RejectPart {
        /// Of which job.
        job: JobId,
        /// Of which frame.
        frame: Frame,
        /// Which samples.
        share: Share,
        /// Why.
        error: TaskError,
    },
    /// A film of the samples of a frame to which no more come.
    Merge {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// The film and what is in it.
        merged: Box<Merged>,
    },
    /// Hand shared frames over with the samples they have.
    Stop {
        /// Of which job.
        job: JobId,
        /// Which frames; None: all that have samples, and no other is begun.
        frames: Option<FrameList>,
    },
    /// Give finished frames that were shared more samples.
    More {
        /// Of which job.
        job: JobId,
        /// How many more; a frame that was stopped gets at least those it lacks.
        samples: u32,
        /// Which frames; None: all that can have more.
        frames: Option<FrameList>,
    },
    /// A picture that was believed is damaged on the master's disk, or a film of a frame's samples.
    Spoil {
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// The damaged picture; if the frame has another by now, nothing is wrong.
        film: Digest,
    },
    /// An attempt that failed.
    Fail {
        /// Who.
        slave: SlaveId,
        /// By which lease; a stale one is ignored.
        lease: LeaseId,
        /// Of which job.
        job: JobId,
        /// Which frame.
        frame: Frame,
        /// Why.
        error: TaskError,
        /// What Blender printed.
        log: Option<Digest>,
    },
}

/// What the one who asked is told once the events are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done; nothing to add.
    Ok,
    /// The job's number.
    Accepted(JobId),
    /// The slave's number.
    Registered(SlaveId),
    /// What to drop and what to do; empty when there is nothing to say yet. Then the poll is held, and decided again
    /// after every change of the farm, its own events included.
    Poll(PollReply),
    /// The number of the last edit of what was edited.
    Edited(u32),
    /// Whether the result was new; false for a task that was done already.
    HandedIn(bool),
}

/// Events to persist and apply, and the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// In this order.
    pub events: Vec<Event>,
    /// To be given only after the events are durable.
    pub reply: Reply,
}

impl Decision {
    pub(crate) fn new(events: Vec<Event>, reply: Reply) -> Result<Self, Refusal> {
        Ok(Self { events, reply })
    }
}

/// Decides what a command does. `now` is for people to read and decides nothing.
pub fn decide(farm: &Farm, now: Timestamp, retry: RetryPolicy, command: Command) -> Result<Decision, Refusal> {
    match command {
        Command::Submit(spec) => submit(farm, spec),
        Command::Pause(id) => {
            let job = job(farm, id)?;
            match job.state {
                JobState::Active => Decision::new(vec![Event::JobPaused { job: id }], Reply::Ok),
                JobState::Paused => Decision::new(vec![], Reply::Ok),
                _ => Err(wrong_state(job, "paused")),
            }
        }
        Command::Resume(id) => {
            let job = job(farm, id)?;
            match job.state {
                JobState::Paused => Decision::new(vec![Event::JobResumed { job: id }], Reply::Ok),
                JobState::Active => Decision::new(vec![], Reply::Ok),
                _ => Err(wrong_state(job, "resumed")),
            }
        }
        Command::Cancel(id) => {
            let job = job(farm, id)?;
            match job.state {
                JobState::Active | JobState::Paused => {
                    let mut events = end_all(farm.leases.values().filter(|l| l.job == id), LeaseEnd::Revoked);
                    events.push(Event::JobCanceled { job: id });
                    Decision::new(events, Reply::Ok)
                }
                JobState::Canceled => Decision::new(vec![], Reply::Ok),
                JobState::Finished | JobState::Failed | JobState::Deleted => Err(wrong_state(job, "canceled")),
            }
        }
        Command::Requeue(id) => {
            let job = job(farm, id)?;
            let anything_left = job.counts.done < job.counts.total();
            let event = Event::JobRequeued { job: id };
            Decision::new(if anything_left { vec![event] } else { vec![] }, Reply::Ok)
        }
        Command::Edit { job, edit, seen } => edit::edit(farm, job, edit, seen),
        Command::RequeueFrames { job, frames } => edit::render_again(farm, job, frames),
        Command::Delete(id) => {
            job(farm, id)?;
            let mut events = end_all(farm.leases.values().filter(|l| l.job == id), LeaseEnd::Revoked);
            events.push(Event::JobDeleted { job: id });
            Decision::new(events, Reply::Ok)
        }
        Command::Forget(id) => {
            let deleted = farm.jobs.get(&id).is_some_and(|job| job.state == JobState::Deleted);
            Decision::new(if deleted { vec![Event::JobForgotten { job: id }] } else { vec![] }, Reply::Ok)
        }
        Command::Blacklist { job: id, slave, listed } => {
            let known = job(farm, id)?.blacklist.contains(&slave);
            if !farm.slaves.contains_key(&slave) {
                return Err(Refusal::UnknownSlave(slave));
            }
            let events = match (known, listed) {
                (false, true) => blacklist(farm, id, slave),
                (true, false) => vec![Event::BlacklistChanged { job: id, slave, listed }],
                _ => vec![],
            };
            Decision::new(events, Reply::Ok)
        }
        Command::Register { key, name, info, started } => {
            let slave = farm.slave_by_key(&key).map_or(SlaveId(farm.last_slave + 1), |known| known.id);
            Decision::new(vec![Event::SlaveJoined { slave, key, name, info, started }], Reply::Registered(slave))
        }
        Command::EditSlave { slave, edit, seen } => settings::edit(farm, slave, *edit, seen),
        Command::ChangeRules { rules, seen } => rules::change(farm, rules, seen),
        Command::Order { slave, duty } => order(farm, slave, duty),
        Command::Poll { slave, held, want, edits } => poll::decide(farm, slave, held, want, edits),
        Command::Leave(id) => leave(farm, id, LeaseEnd::Released, Event::SlaveLeft { slave: id }),
        Command::Lose(id) => leave(farm, id, LeaseEnd::Lost, Event::SlaveLost { slave: id }),
        Command::HandIn { job: id, frame, result } => {
            let job = job(farm, id)?;
            let task = job.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            // A late result of a lost or given-back lease is welcome as long as the frame is not done: work is
            // never wasted. A second one is dropped.
            let open = match &task.state {
                TaskState::Done(_) => false,
                // Of a frame that was given more samples it may be the finish of what it was before.
                TaskState::Leased { lease } if task.goal.is_some() => {
                    farm.leases.get(lease).is_some_and(|lease| lease.slave == result.slave)
                }
                _ => task.goal.is_none(),
            };
            let fresh = open && job.state != JobState::Canceled;
            let events = if fresh { vec![Event::TaskDone { job: id, frame, result }] } else { vec![] };
            Decision::new(events, Reply::HandedIn(fresh))
        }
        Command::HandInPart { job: id, frame, lease, mut part } => {
            let job = job(farm, id)?;
            let task = job.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            // What it was leased with: the slave may have another Blender by now.
            let leased = farm.leases.get(&lease).filter(|lease| lease.slave == part.result.slave);
            let known = || farm.slaves.get(&part.result.slave).map(|slave| slave.info.build());
            part.build = leased.and_then(|lease| lease.build.clone()).or_else(known);
            let fresh = job.state != JobState::Canceled
                && part.build.as_ref().is_none_or(|build| balance::other_build(farm, job, task, build).is_none())
                && match &task.state {
                    TaskState::Sharing(sharing) => sharing.welcomes(lease, part.share),
                    TaskState::Waiting if !task.lacks_finish() => task.sharing(&job.spec).is_free(part.share),
                    _ => false,
                };
            let events = if fresh { vec![Event::ShareDone { job: id, frame, lease, part }] } else { vec![] };
            Decision::new(events, Reply::HandedIn(fresh))
        }
        Command::RejectPart { job: id, frame, share, error } => {
            let task = job(farm, id)?.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            let TaskState::Sharing(sharing) = &task.state else { return Decision::new(vec![], Reply::Ok) };
            let Some(part) = sharing.parts.iter().find(|part| part.share == share) else {
                return Decision::new(vec![], Reply::Ok);
            };
            let slave = part.result.slave;
            let failure = Box::new(Failure { slave, at: now, error, log: part.result.log });
            let again = retry.tries_again(task);
            let mut events = vec![Event::PartRejected { job: id, frame, share, failure, retry: again }];
            if retry.gives_up_on(farm, job(farm, id)?, slave) {
                events.extend(blacklist(farm, id, slave));
            }
            Decision::new(events, Reply::Ok)
        }
        Command::Merge { job: id, frame, merged } => {
            let job = job(farm, id)?;
            let task = job.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            // Of other samples than there are now it is old news: the merge is begun anew.
            let fresh = job.state != JobState::Canceled
                && matches!(&task.state, TaskState::Sharing(sharing)
                    if sharing.is_complete() && sharing.done() == merged.shares);
            let mut events = Vec::new();
            if fresh {
                let result = Box::new(merged.result.clone());
                events.push(Event::FrameMerged { job: id, frame, merged });
                if !job.spec.samples.as_ref().is_some_and(|split| split.finishes) {
                    events.push(Event::TaskDone { job: id, frame, result });
                }
            }
            Decision::new(events, Reply::HandedIn(fresh))
        }
        Command::Stop { job: id, frames } => more::stop(farm, job(farm, id)?, frames),
        Command::More { job: id, samples, frames } => more::more(job(farm, id)?, samples, frames),
        Command::Spoil { job: id, frame, film } => {
            let task = job(farm, id)?.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            let mut events = Vec::new();
            if task.merged.as_ref().is_some_and(|merged| merged.result.film == film) {
                events.push(Event::MergedSpoiled { job: id, frame });
            }
            if matches!(&task.state, TaskState::Done(result) if result.film == film) {
                events.push(Event::TaskSpoiled { job: id, frame });
            }
            Decision::new(events, Reply::Ok)
        }
        Command::Fail { slave, lease, job: id, frame, error, log } => {
            let task = job(farm, id)?.tasks.get(&frame).ok_or(Refusal::UnknownFrame(id, frame))?;
            let is_share = matches!(&task.state, TaskState::Sharing(sharing) if sharing.leased.contains_key(&lease));
            let current = (is_share || task.state == (TaskState::Leased { lease }))
                && farm.leases.get(&lease).is_some_and(|lease| lease.slave == slave);
            if !current {
                return Decision::new(vec![], Reply::Ok);
            }
            let failure = Box::new(Failure { slave, at: now, error, log });
            let again = retry.tries_again(task);
            let mut events = Vec::new();
            if is_share {
                events.push(Event::LeaseEnded { lease, end: LeaseEnd::Released });
            }
            events.push(Event::TaskFailed { job: id, frame, failure, retry: again });
            if retry.gives_up_on(farm, job(farm, id)?, slave) {
                events.extend(blacklist(farm, id, slave));
            }
            Decision::new(events, Reply::Ok)
        }
    }
}

/// In characters.
const MAX_NOTE: usize = 2000;

/// Lines around a tile; more would be rendered in vain.
const MAX_OVERLAP: u32 = 64;
/// Cycles' own limit.
pub(crate) const MAX_SAMPLES: u32 = 1 << 24;

/// What the artist may ask for.
pub(crate) fn check_spec(spec: &JobSpec) -> Result<(), Refusal> {
    let bad = |what: &str| Err(Refusal::BadSpec(what.to_owned()));
    if spec.priority > 100 {
        return bad("the priority is 0 to 100");
    }
    if spec.name.trim().is_empty() || spec.name.chars().count() > 200 {
        return bad("a job's name has 1 to 200 characters");
    }
    let too_long = |text: &str| text.chars().count() > 200;
    if too_long(&spec.category) || too_long(&spec.engine) || spec.scene.as_deref().is_some_and(too_long) {
        return bad("a category, an engine and a scene have at most 200 characters each");
    }
    if spec.tags.len() > 100 || spec.tags.iter().any(|tag| too_long(tag)) {
        return bad("a job has at most 100 tags of at most 200 characters each");
    }
    if !(1..=10_000).contains(&spec.chunk) {
        return bad("the chunk size is 1 to 10000 frames");
    }
    if !(1..=65_536).contains(&spec.width) || !(1..=65_536).contains(&spec.height) {
        return bad("the picture's size is 1 to 65536 pixels each way");
    }
    if spec.engine.is_empty() || spec.engine == "NET_RENDER" {
        return bad("name the engine the slaves shall render with; NET_RENDER only hands work out");
    }
    if let Some(split) = &spec.samples {
        let right = |samples: &u32| (1..=MAX_SAMPLES).contains(samples);
        if !right(&split.samples) || split.layers.len() > 1000 || !split.layers.values().all(right) {
            return bad("a frame and each view layer have 1 to 16777216 samples");
        }
        let fits = split.samples == spec.height && split.can_grow_to == 0 && split.layers.is_empty();
        if split.unit == Unit::Lines && !(fits && split.overlap <= MAX_OVERLAP) {
            return bad(
                "a frame that is cut into lines has as many as it is high, in all layers, and few around a tile",
            );
        }
    }
    if spec.split_note.chars().count() > MAX_NOTE {
        return bad("what is said of sharing has at most 2000 characters");
    }
    if too_long(&spec.key) {
        return bad("a submission's key has at most 200 characters");
    }
    Ok(())
}

fn submit(farm: &Farm, spec: Box<JobSpec>) -> Result<Decision, Refusal> {
    check_spec(&spec)?;
    let known = farm.jobs.values().find(|job| !spec.key.is_empty() && job.spec.key == spec.key);
    if let Some(job) = known {
        return Decision::new(vec![], Reply::Accepted(job.id));
    }
    let job = JobId(farm.last_job + 1);
    Decision::new(vec![Event::JobAccepted { job, spec }], Reply::Accepted(job))
}

/// Keeps a slave from a job; what it holds of it goes back.
fn blacklist(farm: &Farm, job: JobId, slave: SlaveId) -> Vec<Event> {
    let mut events = end_all(farm.leases_of(slave).filter(|lease| lease.job == job), LeaseEnd::Revoked);
    events.push(Event::BlacklistChanged { job, slave, listed: true });
    events
}

fn leave(farm: &Farm, id: SlaveId, end: LeaseEnd, last: Event) -> Result<Decision, Refusal> {
    let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
    if slave.state != SlaveState::Ready {
        return Decision::new(vec![], Reply::Ok);
    }
    let mut events = end_all(farm.leases_of(id), end);
    events.push(last);
    Decision::new(events, Reply::Ok)
}

fn order(farm: &Farm, id: SlaveId, duty: Duty) -> Result<Decision, Refusal> {
    let slave = farm.slaves.get(&id).ok_or(Refusal::UnknownSlave(id))?;
    if slave.state == SlaveState::Gone && matches!(duty, Duty::Drain | Duty::Stop) {
        return Err(Refusal::SlaveIsGone { slave: id, name: slave.name().to_owned() });
    }
    if slave.duty == duty {
        return Decision::new(vec![], Reply::Ok);
    }
    let gives_back = if duty == Duty::Stop { end_all(farm.leases_of(id), LeaseEnd::Released) } else { vec![] };
    let order = Event::SlaveOrdered { slave: id, duty };
    Decision::new(gives_back.into_iter().chain([order]).collect(), Reply::Ok)
}

pub(crate) fn end_all<'a>(leases: impl Iterator<Item = &'a Lease>, end: LeaseEnd) -> Vec<Event> {
    leases.map(|lease| Event::LeaseEnded { lease: lease.id, end }).collect()
}

pub(crate) fn job(farm: &Farm, id: JobId) -> Result<&Job, Refusal> {
    farm.jobs.get(&id).filter(|job| job.state != JobState::Deleted).ok_or(Refusal::UnknownJob(id))
}

pub(crate) fn wrong_state(job: &Job, verb: &'static str) -> Refusal {
    Refusal::WrongState { job: job.id, status: job.status(), verb }
}
