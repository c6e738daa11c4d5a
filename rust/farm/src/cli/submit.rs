//! `netrender submit`: list the files, send them, and if asked stay until the frames are there.

use super::{
    Stop,
    arguments::{SplitMode, SubmitArguments},
    report::print_json,
};
use crate::{
    api::Api,
    blender::Blender,
    client::{ClientError, FetchWhat, JobRequest, Transfer, check, connect, fetch, submit as send},
};
use indicatif::{ProgressBar, ProgressStyle};
use netrender_core::{
    frames::FrameList,
    ids::{Frame, JobId},
    job::{JobState, Split},
    share::Unit,
    wire::{JobDetail, SpeedView},
};
use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

const LOOK_EVERY: Duration = Duration::from_millis(300);

pub async fn submit(arguments: SubmitArguments, address: &str, json: bool) -> Result<(), Stop> {
    // Both before Blender starts: a typing error or a missing master shall be said at once.
    if let Some(frames) = &arguments.frames {
        frames.parse::<FrameList>().map_err(|error| Stop::Usage(error.to_string()))?;
    }
    let transfer = Transfer::default();
    let request = request(&arguments)?;
    if arguments.dry_run {
        return dry_run(&request, address, &transfer, json).await;
    }
    let api = connect(address).await?;
    let job = {
        let showing = show_sending(&transfer);
        let sending = transfer.run(send(&api, request, &transfer));
        tokio::pin!(sending);
        tokio::select! {
            job = &mut sending => job.map_err(not_a_scene)?,
            never = showing => match never {},
        }
    };
    let seen = transfer.snapshot();
    let (all, new) = (indicatif::HumanBytes(seen.bytes_total), indicatif::HumanBytes(seen.bytes_sent));
    tracing::info!("sent {all}, of which {new} crossed the network, in {:.2} s", seen.seconds);
    // What was chosen for the frames comes last.
    if arguments.split != SplitMode::Off
        && let Some(note) = seen.report.as_ref().and_then(|report| report.notes.last())
    {
        say_aside!("{}", note.why);
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
        // The same key as without --wait, and everything else there is to know.
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

/// Lists what would be sent. Works without a farm, too.
async fn dry_run(request: &JobRequest, address: &str, transfer: &Transfer, json: bool) -> Result<(), Stop> {
    let api = connect(address).await.ok();
    let report = transfer.run(check(api.as_ref(), request, transfer)).await.map_err(not_a_scene)?;
    if json {
        print_json(&report)?;
    } else {
        say!("{} files, {}", report.files, indicatif::HumanBytes(report.bytes));
        for file in &report.largest {
            say!("  {:>10}  {}", indicatif::HumanBytes(file.bytes).to_string(), file.path);
        }
        for note in &report.notes {
            say!("note: {note}");
        }
        for problem in &report.problems {
            say!("problem: {problem}");
        }
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Stop::Said(2)) }
}

/// A file that is no scene is a slip at the keyboard, not a job that failed.
fn not_a_scene(error: ClientError) -> Stop {
    match error {
        ClientError::File { .. } => Stop::Usage(error.to_string()),
        error => error.into(),
    }
}

fn request(arguments: &SubmitArguments) -> Result<JobRequest, Stop> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Stop::Usage(error.to_string()));
    let file = absolute(&arguments.file)?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut added = Vec::new();
    for path in arguments.add.iter().filter(|path| !path.as_os_str().is_empty()) {
        added.push(absolute(path)?.to_string_lossy().into_owned());
    }
    Ok(JobRequest {
        name: arguments.name.clone().unwrap_or(stem),
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
        added,
        unsaved_images: Vec::new(),
        send_anyway: arguments.send_anyway,
    })
}

/// Draws a bar while the transfer runs; never ends by itself. In a pipe it says what is waited for.
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

/// Until the job is over. A master that is away for a while is waited for.
async fn wait(api: &Api, job: JobId, output: Option<&Path>) -> Result<JobDetail, Stop> {
    let bar = bar("{msg} {wide_bar} {pos}/{len}");
    let plain = !std::io::stderr().is_terminal();
    let started = Instant::now();
    let mut fetched: BTreeSet<Frame> = BTreeSet::new();
    let mut last_line = String::new();
    loop {
        let detail = match api.job(job).await {
            Ok(detail) => detail,
            Err(error) if error.is_transient() => {
                show_line(&bar, plain, &mut last_line, format!("reconnecting: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        bar.set_length(u64::from(detail.job.total));
        bar.set_position(u64::from(detail.job.done));
        let why = if detail.job.why.is_empty() { String::new() } else { format!(" ({})", detail.job.why) };
        let failed = if detail.job.failed > 0 { format!(", {} failed", detail.job.failed) } else { String::new() };
        let line = format!(
            "job {job}: {}{why}, {} of {} frames done, {} rendering{failed}{}",
            detail.job.status,
            detail.job.done,
            detail.job.total,
            detail.job.rendering,
            shared_frames(&detail)
        );
        show_line(&bar, plain, &mut last_line, line);
        if let Some(folder) = output {
            fetch_new(api, job, &detail, folder, &mut fetched).await?;
        }
        if !matches!(detail.job.state, JobState::Active | JobState::Paused) {
            bar.finish_and_clear();
            tracing::info!("job {job} took {:.1} s", started.elapsed().as_secs_f64());
            return Ok(detail);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How far the frames are that slaves render together.
fn shared_frames(detail: &JobDetail) -> String {
    let shared = detail.tasks.iter().filter_map(|task| {
        let [done, all] = task.samples.filter(|_| task.finishing || task.state == "sharing")?;
        if task.finishing {
            let doing = if task.state == "leased" { "is denoised and composited" } else { "waits to be finished" };
            return Some(format!("; frame {}: all {all} {} are there, it {doing}", task.frame, task.unit.word()));
        }
        let percent = 100 * u64::from(done) / u64::from(all.max(1));
        let at_it = |speed: &&SpeedView| task.slaves.contains(&speed.slave);
        let speeds: Vec<&SpeedView> = detail.speeds.iter().filter(at_it).collect();
        let (samples, thousands) =
            speeds.iter().fold((0.0, 0.0), |sum, speed| (sum.0 + speed.samples_per_s, sum.1 + speed.kilosamples_per_s));
        let left =
            if samples > 0.0 { format!(", {:.0} s left", f64::from(all - done) / samples) } else { String::new() };
        let each = speeds.iter().map(|speed| format!("slave {} {:.0}", speed.slave, speed.kilosamples_per_s));
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

async fn fetch_new(
    api: &Api,
    job: JobId,
    detail: &JobDetail,
    folder: &Path,
    fetched: &mut BTreeSet<Frame>,
) -> Result<(), Stop> {
    let new: Vec<Frame> =
        detail.tasks.iter().filter(|t| t.film.is_some() && !fetched.contains(&t.frame)).map(|t| t.frame).collect();
    for some in new.chunks(100) {
        let list = some.iter().map(Frame::to_string).collect::<Vec<_>>().join(",");
        let list: FrameList = list.parse().map_err(|error| Stop::Failed(format!("{error}")))?;
        let transfer = Transfer::default();
        match transfer.run(fetch(api, job, Some(&list), FetchWhat::Exr, folder, &transfer)).await {
            Ok(_) => fetched.extend(some),
            // Next time round.
            Err(ClientError::Api(error)) if error.is_transient() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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

/// A message beside the bar on a terminal; a line of its own in a pipe, where it changed.
fn show_line(bar: &ProgressBar, plain: bool, last: &mut String, line: String) {
    if plain && *last != line {
        say_aside!("{line}");
        *last = line;
    } else {
        bar.set_message(line);
    }
}
