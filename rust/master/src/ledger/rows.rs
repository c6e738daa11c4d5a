//! Rows and details of the farm as lists and pages show them, made from its state and the last
//! reports of slaves.

use netrender_core::{
    decide::{why_kept_out, why_unfit, why_waiting},
    model::{
        cut::{Span, Unit},
        farm::Farm,
        frames::FrameList,
        ids::{Frame, JobId, SlaveId},
        job::{Job, JobState},
        lease::Lease,
        sharing::{Sharing, efficiency},
        slave::{Duty, Slave, SlaveInfo, SlaveState},
        slave_settings::SlaveReport,
        task::{Remaining, Task, TaskState},
    },
    wire::{
        AttemptView, FarmView, FrameDetail, JobDetail, JobProgress, JobSummary, JobView, Progress, SettingsView,
        ShareState, ShareView, SlaveView, SpeedView, TaskStatus, TaskView,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Leases by slave and slaves by job, looked up once for all rows of a list.
struct Index<'a> {
    farm: &'a Farm,
    by_slave: BTreeMap<SlaveId, Vec<&'a Lease>>,
    by_job: BTreeMap<JobId, BTreeSet<SlaveId>>,
}

impl<'a> Index<'a> {
    fn of(farm: &'a Farm) -> Self {
        let mut index = Self { farm, by_slave: BTreeMap::new(), by_job: BTreeMap::new() };
        for lease in farm.leases.values() {
            index.by_slave.entry(lease.slave).or_default().push(lease);
            index.by_job.entry(lease.job).or_default().insert(lease.slave);
        }
        index
    }
}

/// The last report of each slave, in memory only.
#[derive(Debug, Default)]
pub struct LastReports {
    pub progress: BTreeMap<SlaveId, Progress>,
    pub settings: BTreeMap<SlaveId, SlaveReport>,
}

/// The rows of all jobs and slaves.
pub fn farm(farm: &Farm, reports: &LastReports, revision: u64) -> FarmView {
    let index = Index::of(farm);
    let begun: Vec<_> = farm.jobs.values().filter(|job| is_begun(farm, job)).collect();
    FarmView {
        revision,
        jobs: farm
            .jobs
            .values()
            .filter(|job| job.state != JobState::Deleted)
            .map(|one| job(&index, one, reports))
            .collect(),
        slaves: farm.slaves.values().map(|one| slave(&index, &begun, one, reports)).collect(),
    }
}

fn job(index: &Index<'_>, job: &Job, reports: &LastReports) -> JobView {
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
        why: why_waiting(index.farm, job) + &bake_progress(index.farm, job, reports),
        left_s: job.seconds_left(index.by_job.get(&job.id).map_or(0, BTreeSet::len)),
        created_ms: job.created,
        edits: job.edits.count,
        scripts: job.spec.scripts,
    }
}

/// How far the bake of a job's simulations is, as the last part of a sentence.
fn bake_progress(farm: &Farm, job: &Job, reports: &LastReports) -> String {
    let baker = farm.leases.values().find(|lease| lease.bake && lease.job == job.id).map(|lease| lease.slave);
    let report = baker.and_then(|slave| reports.progress.get(&slave));
    let text = report.filter(|report| report.job == job.id && !report.text.is_empty()).map(|report| &report.text);
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

/// A job with its frames.
pub fn detail(farm: &Farm, one: &Job, reports: &LastReports) -> JobDetail {
    let tasks = one.tasks.iter().map(|(frame, task)| view_task(farm, one, *frame, task)).collect();
    let blacklist = one.blacklist.iter().copied().collect();
    JobDetail {
        job: job(&Index::of(farm), one, reports),
        spec: one.spec.clone(),
        blacklist,
        speeds: speeds(one).collect(),
        tasks,
    }
}

/// How far a job is; with the frames that are done if `with_frames`.
pub fn progress(farm: &Farm, one: &Job, reports: &LastReports, with_frames: bool) -> JobProgress {
    let is_shared = |task: &Task| {
        let is_left = matches!(task.state, TaskState::Waiting(Remaining::Finish(_)) | TaskState::Finishing { .. });
        is_left || matches!(task.state, TaskState::Sharing(_))
    };
    let shared = one.tasks.iter().filter(|(_, task)| is_shared(task)).take(JobSummary::LISTED);
    let view = |(frame, task): (&Frame, &Task)| TaskView { error: None, ..view_task(farm, one, *frame, task) };
    let sharing: Vec<TaskView> = shared.map(view).collect();
    let at_work: BTreeSet<SlaveId> = sharing.iter().flat_map(|task| &task.slaves).copied().collect();
    let is_done = |(frame, task): (&Frame, &Task)| matches!(task.state, TaskState::Done { .. }).then_some(*frame);
    let row = job(&Index::of(farm), one, reports);
    JobProgress {
        state: row.state,
        status: row.status,
        why: row.why,
        total: row.total,
        done: row.done,
        failed: row.failed,
        rendering: row.rendering,
        sharing,
        speeds: speeds(one).filter(|speed| at_work.contains(&speed.slave)).collect(),
        done_frames: if with_frames { FrameList::of(one.tasks.iter().filter_map(is_done)) } else { None },
    }
}

/// Latest speeds of slaves with shares of the job's frames.
fn speeds(job: &Job) -> impl Iterator<Item = SpeedView> {
    let pixels = f64::from(job.spec.width)
        * match job.spec.unit() {
            Unit::Samples => f64::from(job.spec.height),
            Unit::Lines => 1.0,
        };
    job.speeds.iter().map(move |(slave, milli)| {
        let units_per_s = f64::from(*milli) / 1000.0;
        SpeedView { slave: *slave, units_per_s, kilopixels_per_s: units_per_s * pixels / 1000.0 }
    })
}

fn view_task(farm: &Farm, job: &Job, frame: Frame, task: &Task) -> TaskView {
    let failed = u32::try_from(task.failures.len()).unwrap_or(u32::MAX);
    let last = job.last_failure(task);
    let mut view = TaskView {
        frame,
        state: TaskStatus::Waiting,
        slave: last.map(|failure| failure.slave),
        attempts: failed,
        error: last.map(|failure| failure.error.clone()),
        seconds: None,
        film: None,
        film_bytes: None,
        preview: false,
        outputs: 0,
        units: task.merged().map(|merged| [merged.count(), task.units(&job.spec)]),
        unit: job.spec.unit(),
        slaves: Vec::new(),
        finishing: false,
        efficiency: None,
    };
    match &task.state {
        TaskState::Waiting(remaining) => view.finishing = matches!(remaining, Remaining::Finish(_)),
        TaskState::Failed(_) => view.state = TaskStatus::Failed,
        TaskState::Leased { lease } | TaskState::Finishing { lease, .. } => {
            view.state = TaskStatus::Leased;
            view.finishing = matches!(task.state, TaskState::Finishing { .. });
            view.slave = farm.leases.get(lease).map(|lease| lease.slave);
            view.attempts += 1;
        }
        TaskState::Sharing(sharing) => {
            view.state = TaskStatus::Sharing;
            view.attempts += 1;
            view.units = Some([sharing.done_count(), task.units(&job.spec)]);
            view.efficiency = efficiency(&sharing.parts);
            let leases = sharing.leased.keys().filter_map(|lease| farm.leases.get(lease));
            view.slaves = leases.map(|lease| lease.slave).collect();
        }
        TaskState::Done { result, .. } => {
            view.state = TaskStatus::Done;
            view.slave = Some(result.slave);
            view.attempts += 1;
            view.error = None;
            view.seconds = Some(result.seconds);
            view.film = Some(result.film);
            view.film_bytes = Some(result.film_bytes);
            view.preview = result.preview.is_some();
            view.outputs = u32::try_from(result.outputs.len()).unwrap_or(u32::MAX);
        }
    }
    view
}

/// A frame in detail.
pub fn frame(farm: &Farm, job: &Job, frame: Frame, task: &Task) -> FrameDetail {
    let shares = match &task.state {
        TaskState::Sharing(sharing) => shares(farm, sharing),
        _ => task.merged().map(|merged| merged.spans.iter().map(merged_share).collect()).unwrap_or_default(),
    };
    FrameDetail {
        job_state: job.state,
        task: view_task(farm, job, frame, task),
        attempts: attempts(farm, job, task),
        shares,
        warnings: job.spec.warnings.clone(),
    }
}

fn attempts(farm: &Farm, job: &Job, task: &Task) -> Vec<AttemptView> {
    let name = |slave: SlaveId| farm.slaves.get(&slave).map(|slave| slave.name().to_owned()).unwrap_or_default();
    let of_bake = job.bake_failures.iter().filter(|_| matches!(task.state, TaskState::Failed(_)));
    let failed = task.failures.iter().chain(of_bake).map(|failure| AttemptView {
        slave: failure.slave,
        slave_name: name(failure.slave),
        at_ms: Some(failure.at),
        seconds: None,
        ok: Some(false),
        error: Some(failure.error.clone()),
        has_log: failure.log.is_some(),
    });
    let last = match &task.state {
        TaskState::Done { result, .. } => Some(AttemptView {
            slave: result.slave,
            slave_name: name(result.slave),
            at_ms: None,
            seconds: Some(result.seconds),
            ok: Some(true),
            error: None,
            has_log: result.log.is_some(),
        }),
        TaskState::Leased { lease } | TaskState::Finishing { lease, .. } => {
            farm.leases.get(lease).map(|lease| AttemptView {
                slave: lease.slave,
                slave_name: name(lease.slave),
                at_ms: Some(lease.granted),
                seconds: None,
                ok: None,
                error: None,
                has_log: false,
            })
        }
        _ => None,
    };
    failed.chain(last).collect()
}

fn shares(farm: &Farm, sharing: &Sharing) -> Vec<ShareView> {
    let view =
        |slave, span: Span, state, seconds| ShareView { slave, start: span.start, count: span.count, state, seconds };
    let free = sharing.free.iter().map(|share| view(None, *share, ShareState::Free, None));
    let leased = sharing
        .leased
        .iter()
        .map(|(lease, share)| view(farm.leases.get(lease).map(|lease| lease.slave), *share, ShareState::Leased, None));
    let done = sharing
        .parts
        .iter()
        .map(|part| view(Some(part.result.slave), part.share, ShareState::Done, Some(part.result.seconds)));
    let mut all: Vec<_> = free.chain(leased).chain(done).chain(sharing.merged().iter().map(merged_share)).collect();
    all.sort_by_key(|share| share.start);
    all
}

fn merged_share(span: &Span) -> ShareView {
    ShareView { slave: None, start: span.start, count: span.count, state: ShareState::Merged, seconds: None }
}

/// True if all frames of a job that can be rendered now were begun. Only such a job keeps out
/// slaves that are not like those that began; there are few, so looking at them for each idle slave
/// is cheap.
fn is_begun(farm: &Farm, job: &Job) -> bool {
    let mut free = job.open_shares.iter().chain(&job.waiting).peekable();
    let begun = |frame| job.tasks.get(frame).is_some_and(|task| farm.build_of(task).is_some());
    job.state == JobState::Active && free.peek().is_some() && free.all(begun)
}

/// Status of an idle slave, with the reason if it is kept out of a job that has work.
fn idle(farm: &Farm, begun: &[&Job], slave: &Slave) -> String {
    let mut fit = begun.iter().filter(|job| why_unfit(job, slave).is_none());
    match fit.find_map(|job| why_kept_out(farm, job, slave).map(|why| (job.id, why))) {
        Some((job, why)) => format!("Ready, but can't help with job {job}: {why}"),
        None => "Ready".into(),
    }
}

fn slave(index: &Index<'_>, begun: &[&Job], slave: &Slave, reports: &LastReports) -> SlaveView {
    let (progress, report) = (reports.progress.get(&slave.id), reports.settings.get(&slave.id));
    let leases = index.by_slave.get(&slave.id).map_or(&[][..], Vec::as_slice);
    let lease = leases.first();
    let now = progress.filter(|progress| leases.iter().any(|lease| lease.job == progress.job));
    let status = match (slave.state, lease) {
        (SlaveState::Lost, _) => "Lost: not heard of for longer than the slave timeout".to_owned(),
        (SlaveState::Gone, _) => "Stopped".to_owned(),
        (SlaveState::Ready, None) => match slave.duty {
            Duty::Work => idle(index.farm, begun, slave),
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

/// The slave's description of itself at registration, with the settings that changed since.
fn info(slave: &Slave, report: Option<&SlaveReport>) -> SlaveInfo {
    let threads = report.and_then(|report| report.in_use.threads).unwrap_or(slave.info.threads);
    let (tags, upload_interval_s) = (slave.tags().clone(), slave.upload_interval_s());
    SlaveInfo { threads, tags, upload_interval_s, ..slave.info.clone() }
}

/// A slave's settings: set remotely, its own, and in use.
pub fn settings(slave: &Slave, report: Option<&SlaveReport>) -> SettingsView {
    SettingsView {
        edits: slave.edits.count,
        set: slave.set.clone(),
        own: slave.own(),
        in_use: report.map(|report| report.in_use.clone()),
        pending: slave.pending(report),
    }
}
