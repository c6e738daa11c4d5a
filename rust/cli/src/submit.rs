//! `netrender submit`: sends a job and, if asked, waits for it and fetches its frames.

use super::{
    arguments::{SimulationMode, SplitMode, SubmitArguments},
    output::print_json,
    stop::Stop,
};
use indicatif::{ProgressBar, ProgressStyle};
use netrender_blender::Blender;
use netrender_client::{ClientError, FetchWhat, JobRequest, Transfer, check, connect, fetch, submit as send};
use netrender_core::{
    model::{
        cut::Unit,
        frames::FrameList,
        ids::{Frame, JobId},
        job::JobState,
        spec::{Simulations, Split},
        verdict::{Severity, Verdict},
    },
    printable::printable,
    wire::{JobDetail, JobProgress, SpeedView, TaskStatus},
};
use netrender_net::{api::Api, retry::Retry};
use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// Number of findings of each kind that a look at a scene names.
const SHOWN: usize = 10;
/// Interval at which a job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Time by which the interval grows for each slave in the answer, so that the traffic does not.
const PER_SLAVE: Duration = Duration::from_millis(10);
/// Longest interval.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);
/// Traffic that the list of frames that are done may make, in bytes per second.
const LIST_BYTES_PER_S: f64 = 4000.0;
/// Number of frames that are fetched in one go.
const FETCHED_AT_ONCE: usize = 50;

pub async fn submit(arguments: SubmitArguments, address: &str, json: bool) -> Result<(), Stop> {
    // Before Blender starts, so that a typing error or a missing master is reported at once.
    if let Some(frames) = &arguments.frames {
        frames.parse::<FrameList>().map_err(|error| Stop::Usage(error.to_string()))?;
    }
    let transfer = Transfer::default();
    let request = request(&arguments)?;
    if arguments.dry_run {
        return dry_run(&request, address, &transfer, json).await;
    }
    let api = connect(address).await?;
    let starter = Handle::current();
    let job = {
        let showing = show_sending(&transfer);
        let sending = transfer.run(send(&api, request, &transfer, &starter));
        tokio::pin!(sending);
        tokio::select! {
            job = &mut sending => job.map_err(not_a_scene)?,
            never = showing => match never {},
        }
    };
    let seen = transfer.snapshot();
    let (all, new) = (indicatif::HumanBytes(seen.bytes_total), indicatif::HumanBytes(seen.bytes_sent));
    tracing::info!("sent {all}, of which {new} crossed the network, in {:.2} s", seen.seconds);
    if let Some(report) = &seen.report
        && report.verdict != Verdict::Ok
    {
        say_aside!("{}", report.in_words(Severity::MayDiffer, SHOWN).trim_start());
    }
    // The note about the cut of frames is the last one.
    if arguments.split != SplitMode::Off
        && let Some(note) =
            seen.report.as_ref().and_then(|report| report.findings.iter().rfind(|one| one.kind == "note"))
    {
        say_aside!("{}", note.message);
    }
    if !arguments.wait && arguments.output.is_none() {
        if json {
            return print_json(&serde_json::json!({ "job": job }));
        }
        say!("Job sent: number {job}");
        return Ok(());
    }
    if !json {
        say!("Job sent: number {job}");
    }
    let detail = wait(&api, job, arguments.output.as_deref()).await?;
    if json {
        // The same key as without --wait, and the job's details.
        let mut all = serde_json::to_value(&detail).map_err(|error| Stop::Failed(error.to_string()))?;
        all["job"] = serde_json::json!(job);
        print_json(&all)?;
    }
    match detail.job.state {
        JobState::Finished => {
            if let (Some(folder), false) = (&arguments.output, json) {
                say!("{} frames in {}", detail.job.done, folder.display());
            }
            Ok(())
        }
        _ if json => Err(Stop::Said(1)),
        JobState::Canceled => Err(Stop::Failed(format!("job {job} was canceled"))),
        _ => Err(Stop::Failed(first_error(&detail))),
    }
}

/// Lists what would be sent. Works without a farm too.
async fn dry_run(request: &JobRequest, address: &str, transfer: &Transfer, json: bool) -> Result<(), Stop> {
    let api = connect(address).await.ok();
    let report = transfer.run(check(api.as_ref(), request, transfer, &Handle::current())).await.map_err(not_a_scene)?;
    if json {
        print_json(&report)?;
    } else {
        say!("{} files, {}", report.files, indicatif::HumanBytes(report.bytes));
        for file in &report.largest {
            say!("  {:>10}  {}", indicatif::HumanBytes(file.bytes).to_string(), printable(&file.path));
        }
        say!("verdict: {}{}", report.verdict.in_words(), report.in_words(Severity::Info, SHOWN));
    }
    if report.verdict == Verdict::Wrong { Err(Stop::Said(2)) } else { Ok(()) }
}

/// Reports a file that is not a scene as wrong usage, not as a failed job.
fn not_a_scene(error: ClientError) -> Stop {
    match error {
        ClientError::File { .. } => Stop::Usage(error.to_string()),
        error => error.into(),
    }
}

fn request(arguments: &SubmitArguments) -> Result<JobRequest, Stop> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Stop::Usage(error.to_string()));
    let file = absolute(&arguments.file)?;
    let mut added = Vec::new();
    for path in arguments.add.iter().filter(|path| !path.as_os_str().is_empty()) {
        added.push(absolute(path)?.to_string_lossy().into_owned());
    }
    Ok(JobRequest {
        name: arguments.name.clone(),
        blend: file.clone(),
        source: file,
        program: Blender::choose(arguments.blender.as_deref()).path().to_owned(),
        scene: arguments.scene.clone(),
        engine: arguments.engine.clone(),
        frames: arguments.frames.clone(),
        category: arguments.category.clone(),
        priority: arguments.priority,
        chunk: arguments.chunk,
        tags: arguments.tags.iter().filter(|tag| !tag.is_empty()).cloned().collect(),
        split: match arguments.split {
            SplitMode::Off => Split::Off,
            SplitMode::Auto => Split::Auto,
            SplitMode::Samples => Split::Samples,
            SplitMode::Tiles => Split::Tiles,
        },
        mixed: arguments.mixed,
        simulations: match arguments.simulations {
            SimulationMode::AsIs => Simulations::AsIs,
            SimulationMode::Bake => Simulations::Bake,
            SimulationMode::InOrder => Simulations::InOrder,
        },
        added,
        unsaved_images: Vec::new(),
        send_anyway: arguments.send_anyway,
    })
}

/// Shows a progress bar until dropped. In a pipe it prints only what the transfer waits for.
async fn show_sending(transfer: &Transfer) -> std::convert::Infallible {
    let bar = bar("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let plain = !std::io::stderr().is_terminal();
    let mut last_line = String::new();
    loop {
        let seen = transfer.snapshot();
        if seen.waiting.is_empty() {
            bar.set_message(format!("{:?}", seen.phase));
        } else {
            show_line(&bar, plain, &mut last_line, seen.waiting);
        }
        bar.set_length(seen.bytes_total);
        bar.set_position(seen.bytes_done);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the job ends and fetches its frames into `output`. Outlasts a master that is away
/// for a while.
async fn wait(api: &Api, job: JobId, output: Option<&Path>) -> Result<JobDetail, Stop> {
    let bar = bar("{msg} {wide_bar} {pos}/{len}");
    let plain = !std::io::stderr().is_terminal();
    let started = Instant::now();
    let mut fetching = output.map(Fetching::new);
    let mut last_line = String::new();
    loop {
        let pause =
            match look(api, job, &mut fetching, |seen| show_progress(&bar, plain, &mut last_line, job, seen)).await {
                Ok(Look::Again(pause)) => pause,
                Ok(Look::Ended(detail)) => {
                    bar.finish_and_clear();
                    tracing::info!("job {job} took {:.1} s", started.elapsed().as_secs_f64());
                    return Ok(*detail);
                }
                Err(ClientError::Api(error)) if error.retry() == Retry::Later => {
                    show_line(&bar, plain, &mut last_line, format!("reconnecting: {error}"));
                    Duration::from_secs(1)
                }
                Err(error) => return Err(error.into()),
            };
        tokio::time::sleep(pause).await;
    }
}

/// Result of one look at a job.
enum Look {
    /// It goes on; the next look comes after this time.
    Again(Duration),
    /// It has ended, and all of its frames are fetched.
    Ended(Box<JobDetail>),
}

/// Looks at the job once and fetches frames that are new. Only its end is fetched as a whole: the
/// list of a long job's frames has megabytes.
async fn look(
    api: &Api,
    job: JobId,
    fetching: &mut Option<Fetching<'_>>,
    mut show: impl FnMut(&JobProgress),
) -> Result<Look, ClientError> {
    let with_frames = fetching.as_ref().is_some_and(Fetching::is_due);
    let seen = api.progress(job, with_frames).await?;
    show(&seen);
    if matches!(seen.state, JobState::Active | JobState::Paused) {
        if let Some(fetching) = fetching {
            fetching.follow(api, job, &seen).await?;
        }
        let listed = seen.speeds.len() + seen.sharing.iter().map(|task| task.slaves.len()).sum::<usize>();
        let more = PER_SLAVE * u32::try_from(listed).unwrap_or(u32::MAX);
        return Ok(Look::Again((LOOK_EVERY + more).min(LOOK_AT_LEAST_EVERY)));
    }
    let detail = api.job(job).await?;
    if let Some(fetching) = fetching {
        let done = detail.tasks.iter().filter(|task| task.film.is_some()).map(|task| task.frame);
        fetching.fetch(api, job, done.collect()).await?;
    }
    Ok(Look::Ended(Box::new(detail)))
}

/// Frames that are fetched while their job is rendered.
struct Fetching<'a> {
    folder: &'a Path,
    fetched: BTreeSet<Frame>,
    /// Number of frames that were done when it was seen last.
    done: u32,
    /// Time before which the frames that are done are not asked for again.
    not_before: Instant,
}

impl<'a> Fetching<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, fetched: BTreeSet::new(), done: 0, not_before: Instant::now() }
    }

    /// True if there are frames to ask for.
    fn is_due(&self) -> bool {
        self.done as usize > self.fetched.len() && Instant::now() >= self.not_before
    }

    async fn follow(&mut self, api: &Api, job: JobId, seen: &JobProgress) -> Result<(), ClientError> {
        self.done = seen.done;
        if let Some(frames) = &seen.done_frames {
            let seconds = frames.to_string().len() as f64 / LIST_BYTES_PER_S;
            self.not_before = Instant::now() + Duration::from_secs_f64(seconds);
            let new = frames.frames().into_iter().filter(|frame| !self.fetched.contains(frame));
            self.fetch(api, job, new.collect()).await?;
        }
        Ok(())
    }

    async fn fetch(&mut self, api: &Api, job: JobId, frames: Vec<Frame>) -> Result<(), ClientError> {
        let new: Vec<Frame> = frames.into_iter().filter(|frame| !self.fetched.contains(frame)).collect();
        for some in new.chunks(FETCHED_AT_ONCE) {
            let list = FrameList::of(some.iter().copied());
            let transfer = Transfer::default();
            transfer.run(fetch(api, job, list.as_ref(), FetchWhat::Exr, self.folder, &transfer)).await?;
            self.fetched.extend(some);
        }
        Ok(())
    }
}

fn show_progress(bar: &ProgressBar, plain: bool, last: &mut String, job: JobId, seen: &JobProgress) {
    bar.set_length(u64::from(seen.total));
    bar.set_position(u64::from(seen.done));
    let why = if seen.why.is_empty() { String::new() } else { format!(" ({})", printable(&seen.why)) };
    let failed = if seen.failed > 0 { format!(", {} failed", seen.failed) } else { String::new() };
    let line = format!(
        "job {job}: {}{why}, {} of {} frames done, {} rendering{failed}{}",
        seen.status,
        seen.done,
        seen.total,
        seen.rendering,
        shared_frames(seen)
    );
    show_line(bar, plain, last, line);
}

/// Progress of the frames that slaves render together.
fn shared_frames(seen: &JobProgress) -> String {
    let shared = seen.sharing.iter().filter_map(|task| {
        let [done, all] = task.units.filter(|_| task.finishing || task.state == TaskStatus::Sharing)?;
        if task.finishing {
            let doing =
                if task.state == TaskStatus::Leased { "is denoised and composited" } else { "waits to be finished" };
            return Some(format!("; frame {}: all {all} {} are there, it {doing}", task.frame, task.unit.word()));
        }
        let percent = 100 * u64::from(done) / u64::from(all.max(1));
        let at_it = |speed: &&SpeedView| task.slaves.contains(&speed.slave);
        let speeds: Vec<&SpeedView> = seen.speeds.iter().filter(at_it).collect();
        let (units, thousands) =
            speeds.iter().fold((0.0, 0.0), |sum, speed| (sum.0 + speed.units_per_s, sum.1 + speed.kilopixels_per_s));
        let left = if units > 0.0 { format!(", {:.0} s left", f64::from(all - done) / units) } else { String::new() };
        let each = speeds.iter().map(|speed| format!("slave {} {:.0}", speed.slave, speed.kilopixels_per_s));
        let each = each.collect::<Vec<_>>().join(", ");
        let unit = match task.unit {
            Unit::Samples => "kS/s",
            Unit::Lines => "kpx/s",
        };
        let speed = if speeds.is_empty() { String::new() } else { format!(", {thousands:.0} {unit} ({each}){left}") };
        let busy = task.efficiency.map(|busy| format!(", slaves {:.0} % busy", busy * 100.0)).unwrap_or_default();
        let word = task.unit.word();
        Some(format!("; frame {}: {done} of {all} {word} ({percent} %){speed}{busy}", task.frame))
    });
    shared.collect()
}

fn first_error(detail: &JobDetail) -> String {
    let failed = detail.tasks.iter().find_map(|task| task.error.as_ref().map(|error| (task.frame, error)));
    match failed {
        Some((frame, error)) => format!(
            "job {} failed: {} of {} frames; frame {frame}: {}",
            detail.job.id, detail.job.failed, detail.job.total, error.message
        ),
        None => format!("job {} failed", detail.job.id),
    }
}

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Shows a message beside the bar on a terminal. In a pipe it prints a line, if the message has
/// changed.
fn show_line(bar: &ProgressBar, plain: bool, last: &mut String, line: String) {
    if plain && *last != line {
        say_aside!("{line}");
        *last = line;
    } else {
        bar.set_message(printable(&line).into_owned());
    }
}
