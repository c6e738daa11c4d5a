//! The farm as lists show it.

use netrender_core::{
    balance::{kept_out, unfit, why_waiting},
    farm::Farm,
    ids::{Frame, JobId, SlaveId},
    job::{Job, JobState},
    lease::Lease,
    settings::SlaveReport,
    share::{Share, Sharing, Unit, efficiency},
    slave::{Duty, Slave, SlaveInfo, SlaveState},
    task::{Task, TaskState},
    wire::{
        AttemptView, FarmView, FrameDetail, JobDetail, JobView, Progress, SettingsView, ShareState, ShareView,
        SlaveView, SpeedView, TaskView,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Who has what, looked up once for all rows of a list.
struct Hands<'a> {
    farm: &'a Farm,
    by_slave: BTreeMap<SlaveId, Vec<&'a Lease>>,
    by_job: BTreeMap<JobId, BTreeSet<SlaveId>>,
}

impl<'a> Hands<'a> {
    fn of(farm: &'a Farm) -> Self {
        let mut hands = Self { farm, by_slave: BTreeMap::new(), by_job: BTreeMap::new() };
        for lease in farm.leases.values() {
            hands.by_slave.entry(lease.slave).or_default().push(lease);
            hands.by_job.entry(lease.job).or_default().insert(lease.slave);
        }
        hands
    }
}

/// What slaves said of themselves lately.
#[derive(Debug, Default)]
pub struct Said {
    pub progress: BTreeMap<SlaveId, Progress>,
    pub reports: BTreeMap<SlaveId, SlaveReport>,
}

/// Everything a watcher shows.
pub fn farm(farm: &Farm, said: &Said, revision: u64) -> FarmView {
    let hands = Hands::of(farm);
    let begun: Vec<_> = farm.jobs.values().filter(|job| is_begun(farm, job)).collect();
    FarmView {
        revision,
        jobs: farm.jobs.values().filter(|job| job.state != JobState::Deleted).map(|one| job(&hands, one)).collect(),
        slaves: farm.slaves.values().map(|one| slave(&hands, &begun, one, said)).collect(),
    }
}

fn job(hands: &Hands<'_>, job: &Job) -> JobView {
    JobView {
        id: job.id,
        name: job.spec.name.clone(),
        category: job.spec.category.clone(),
        priority: job.spec.priority,
        state: job.state,
        status: job.status().to_owned(),
        frames: job.spec.frames.to_string(),
        total: job.counts.total(),
        done: job.counts.done,
        failed: job.counts.failed,
        rendering: job.counts.leased,
        why: why_waiting(hands.farm, job),
        left_s: job.seconds_left(hands.by_job.get(&job.id).map_or(0, BTreeSet::len)),
        created_ms: job.created,
        edits: job.edits.count,
        scripts: job.spec.scripts,
    }
}

/// A job with its frames.
pub fn detail(farm: &Farm, one: &Job) -> JobDetail {
    let tasks = one.tasks.iter().map(|(frame, task)| view_task(farm, one, *frame, task)).collect();
    let blacklist = one.blacklist.iter().copied().collect();
    let pixels = f64::from(one.spec.width)
        * match one.spec.unit() {
            Unit::Samples => f64::from(one.spec.height),
            Unit::Lines => 1.0,
        };
    let speeds = one.speeds.iter().map(|(slave, milli)| {
        let samples_per_s = f64::from(*milli) / 1000.0;
        SpeedView { slave: *slave, samples_per_s, kilosamples_per_s: samples_per_s * pixels / 1000.0 }
    });
    JobDetail { job: job(&Hands::of(farm), one), spec: one.spec.clone(), blacklist, speeds: speeds.collect(), tasks }
}

fn view_task(farm: &Farm, job: &Job, frame: Frame, task: &Task) -> TaskView {
    let failed = u32::try_from(task.failures.len()).unwrap_or(u32::MAX);
    let last = task.failures.last();
    let mut view = TaskView {
        frame,
        state: "waiting".into(),
        slave: last.map(|failure| failure.slave),
        attempts: failed,
        error: last.map(|failure| failure.error.clone()),
        seconds: None,
        film: None,
        film_bytes: None,
        preview: false,
        samples: task.merged.as_ref().map(|merged| [merged.samples(), task.samples(&job.spec)]),
        unit: job.spec.unit(),
        slaves: Vec::new(),
        finishing: false,
        efficiency: None,
    };
    match &task.state {
        TaskState::Waiting => view.finishing = task.lacks_finish(),
        TaskState::Failed => view.state = "failed".into(),
        TaskState::Leased { lease } => {
            view.state = "leased".into();
            view.finishing = task.lacks_finish();
            view.slave = farm.leases.get(lease).map(|lease| lease.slave);
            view.attempts += 1;
        }
        TaskState::Sharing(sharing) => {
            view.state = "sharing".into();
            view.attempts += 1;
            view.samples = Some([sharing.done_samples(), task.samples(&job.spec)]);
            view.efficiency = efficiency(&sharing.parts);
            let leases = sharing.leased.keys().filter_map(|lease| farm.leases.get(lease));
            view.slaves = leases.map(|lease| lease.slave).collect();
        }
        TaskState::Done(result) => {
            view.state = "done".into();
            view.slave = Some(result.slave);
            view.attempts += 1;
            view.error = None;
            view.seconds = Some(result.seconds);
            view.film = Some(result.film);
            view.film_bytes = Some(result.film_bytes);
            view.preview = result.preview.is_some();
        }
    }
    view
}

/// A frame looked at closely.
pub fn frame(farm: &Farm, job: &Job, frame: Frame, task: &Task) -> FrameDetail {
    let shares = match &task.state {
        TaskState::Sharing(sharing) => shares(farm, sharing),
        _ => task.merged.as_ref().map(|merged| merged.shares.iter().map(merged_share).collect()).unwrap_or_default(),
    };
    FrameDetail {
        job_state: job.state,
        task: view_task(farm, job, frame, task),
        attempts: attempts(farm, task),
        shares,
    }
}

fn attempts(farm: &Farm, task: &Task) -> Vec<AttemptView> {
    let name = |slave: SlaveId| farm.slaves.get(&slave).map(|slave| slave.name().to_owned()).unwrap_or_default();
    let failed = task.failures.iter().map(|failure| AttemptView {
        slave: failure.slave,
        slave_name: name(failure.slave),
        at_ms: Some(failure.at),
        seconds: None,
        ok: Some(false),
        error: Some(failure.error.clone()),
        has_log: failure.log.is_some(),
    });
    let last = match &task.state {
        TaskState::Done(result) => Some(AttemptView {
            slave: result.slave,
            slave_name: name(result.slave),
            at_ms: None,
            seconds: Some(result.seconds),
            ok: Some(true),
            error: None,
            has_log: result.log.is_some(),
        }),
        TaskState::Leased { lease } => farm.leases.get(lease).map(|lease| AttemptView {
            slave: lease.slave,
            slave_name: name(lease.slave),
            at_ms: Some(lease.granted),
            seconds: None,
            ok: None,
            error: None,
            has_log: false,
        }),
        _ => None,
    };
    failed.chain(last).collect()
}

fn shares(farm: &Farm, sharing: &Sharing) -> Vec<ShareView> {
    let view = |slave, share: Share, state, seconds| ShareView {
        slave,
        offset: share.offset,
        samples: share.samples,
        state,
        seconds,
    };
    let free = sharing.free.iter().map(|share| view(None, *share, ShareState::Free, None));
    let leased = sharing
        .leased
        .iter()
        .map(|(lease, share)| view(farm.leases.get(lease).map(|lease| lease.slave), *share, ShareState::Leased, None));
    let done = sharing
        .parts
        .iter()
        .map(|part| view(Some(part.result.slave), part.share, ShareState::Done, Some(part.result.seconds)));
    let mut all: Vec<_> = free.chain(leased).chain(done).chain(sharing.merged.iter().map(merged_share)).collect();
    all.sort_by_key(|share| share.offset);
    all
}

fn merged_share(share: &Share) -> ShareView {
    ShareView { slave: None, offset: share.offset, samples: share.samples, state: ShareState::Merged, seconds: None }
}

/// Whether everything there is to do of a job was begun: such a job keeps slaves out that are not like those that began. There
/// are few, so that many idle slaves need not look at many jobs each.
fn is_begun(farm: &Farm, job: &Job) -> bool {
    let mut free = job.open_shares.iter().chain(&job.waiting).peekable();
    let begun = |frame| job.tasks.get(frame).is_some_and(|task| farm.build_of(task).is_some());
    job.state == JobState::Active && free.peek().is_some() && free.all(begun)
}

/// A slave that has nothing to do although there is something to do says why.
fn idle(farm: &Farm, begun: &[&Job], slave: &Slave) -> String {
    let mut fit = begun.iter().filter(|job| unfit(job, slave).is_none());
    match fit.find_map(|job| kept_out(farm, job, slave).map(|why| (job.id, why))) {
        Some((job, why)) => format!("Ready, but can't help with job {job}: {why}"),
        None => "Ready".into(),
    }
}

fn slave(hands: &Hands<'_>, begun: &[&Job], slave: &Slave, said: &Said) -> SlaveView {
    let (progress, report) = (said.progress.get(&slave.id), said.reports.get(&slave.id));
    let leases = hands.by_slave.get(&slave.id).map_or(&[][..], Vec::as_slice);
    let lease = leases.first();
    let now = progress.filter(|progress| leases.iter().any(|lease| lease.job == progress.job));
    let status = match (slave.state, lease) {
        (SlaveState::Lost, _) => "Lost: not heard of for longer than the slave timeout".to_owned(),
        (SlaveState::Gone, _) => "Stopped".to_owned(),
        (SlaveState::Ready, None) => match slave.duty {
            Duty::Work => idle(hands.farm, begun, slave),
            Duty::Pause => "Paused: gets no work".to_owned(),
            Duty::Drain | Duty::Stop => "Stopping".to_owned(),
        },
        (SlaveState::Ready, Some(lease)) => match now {
            Some(progress) => format!("Rendering job {} frame {}", progress.job, progress.frame),
            None => format!("Rendering job {}", lease.job),
        },
    };
    let then = match (lease, slave.duty) {
        (Some(_), Duty::Pause) => ", then pauses",
        (Some(_), Duty::Drain | Duty::Stop) => ", then stops",
        _ => "",
    };
    let info = info(slave, report);
    SlaveView {
        id: slave.id,
        name: slave.name().to_owned(),
        state: slave.state,
        status: status + then,
        paused: slave.duty == Duty::Pause,
        draining: matches!(slave.duty, Duty::Drain | Duty::Stop),
        blender: slave.info.blender,
        job: now.map(|progress| progress.job).or(lease.map(|lease| lease.job)),
        frame: now.map(|progress| progress.frame),
        progress: now.map(|progress| progress.text.clone()).unwrap_or_default(),
        threads: info.threads,
        engines: slave.info.engines.iter().cloned().collect(),
        info,
        edits: slave.edits.count,
        pending: slave.pending(report),
    }
}

/// What it said when it came, but for what is otherwise now.
fn info(slave: &Slave, report: Option<&SlaveReport>) -> SlaveInfo {
    let threads = report.and_then(|report| report.in_use.threads).unwrap_or(slave.info.threads);
    let (tags, upload_interval_s) = (slave.tags().clone(), slave.upload_interval_s());
    SlaveInfo { threads, tags, upload_interval_s, ..slave.info.clone() }
}

/// A slave's settings: what people set, what it was started with, what it goes by.
pub fn settings(slave: &Slave, report: Option<&SlaveReport>) -> SettingsView {
    SettingsView {
        edits: slave.edits.count,
        set: slave.set.clone(),
        own: slave.own(),
        in_use: report.map(|report| report.in_use.clone()),
        pending: slave.pending(report),
    }
}
