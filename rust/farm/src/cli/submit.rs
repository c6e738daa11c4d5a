//! `netrender submit`: list the files, send them, and if asked stay until the frames are there.

use super::{
    Stop,
    arguments::{SplitMode, SubmitArguments},
    report::print_json,
};
use crate::{
    api::Api,
    blender::Blender,
    client::{ClientError, Description, FetchWhat, JobRequest, Transfer, connect, describe, fetch, submit as send},
};
use indicatif::{ProgressBar, ProgressStyle};
use netrender_core::{
    frames::FrameList,
    ids::{Frame, JobId},
    job::{JobState, Split},
    wire::JobDetail,
};
use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

const LOOK_EVERY: Duration = Duration::from_millis(300);

pub async fn submit(arguments: SubmitArguments, address: &str, json: bool) -> Result<(), Stop> {
    if arguments.split != SplitMode::Off {
        return Err(Stop::Usage("sharing one frame among slaves is not there yet: use --split off".into()));
    }
    // Both before Blender starts: a typing error or a missing master shall be said at once.
    if let Some(frames) = &arguments.frames {
        frames.parse::<FrameList>().map_err(|error| Stop::Usage(error.to_string()))?;
    }
    let api = connect(address).await?;
    let blender = Blender::choose(arguments.blender.as_deref());
    let scene = describe(&blender, &arguments.file, arguments.scene.as_deref()).await.map_err(not_a_scene)?;
    let request = request(&arguments, scene)?;
    let transfer = Transfer::default();
    let job = {
        let showing = show_sending(&transfer);
        let sending = transfer.run(send(&api, request, &transfer));
        tokio::pin!(sending);
        tokio::select! {
            job = &mut sending => job?,
            never = showing => match never {},
        }
    };
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

/// A file that is no scene is a slip at the keyboard, not a job that failed.
fn not_a_scene(error: ClientError) -> Stop {
    match error {
        ClientError::File { .. } => Stop::Usage(error.to_string()),
        error => error.into(),
    }
}

fn request(arguments: &SubmitArguments, scene: Description) -> Result<JobRequest, Stop> {
    for warning in &scene.warnings {
        tracing::warn!("{warning}");
    }
    if !scene.has_camera {
        return Err(Stop::Usage(format!("the scene {:?} has no camera: add one and send again", scene.scene)));
    }
    if !scene.missing.is_empty() && !arguments.send_anyway {
        let some: Vec<String> =
            scene.missing.iter().take(10).map(|one| format!("  {} ({} {})", one.path, one.kind, one.user)).collect();
        return Err(Stop::Usage(format!(
            "{} files of the scene are missing:\n{}\nfind them, or send without them with --send-anyway",
            scene.missing.len(),
            some.join("\n")
        )));
    }
    let engine = match (&arguments.engine, scene.engine.as_str()) {
        (Some(engine), _) => engine.clone(),
        (None, "NET_RENDER") => "CYCLES".into(),
        (None, own) => own.into(),
    };
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(JobRequest {
        name: arguments.name.clone().unwrap_or(stem),
        blend: arguments.file.clone(),
        source: scene.source,
        files: scene.files,
        scene: Some(scene.scene),
        engine,
        frames: arguments.frames.clone().unwrap_or(scene.frames),
        width: scene.width,
        height: scene.height,
        blender: scene.blender,
        category: arguments.category.clone(),
        priority: arguments.priority,
        chunk: arguments.chunk,
        tags: arguments.tags.iter().filter(|tag| !tag.is_empty()).cloned().collect(),
        split: Split::Off,
    })
}

/// Draws a bar while the transfer runs; never ends by itself.
async fn show_sending(transfer: &Transfer) -> std::convert::Infallible {
    let bar = bar("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    loop {
        let seen = transfer.snapshot();
        bar.set_message(format!("{:?}", seen.phase));
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
            "job {job}: {}{why}, {} of {} frames done, {} rendering{failed}",
            detail.job.status, detail.job.done, detail.job.total, detail.job.rendering
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
