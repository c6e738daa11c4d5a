//! Sending a job: what is the scene, what would go wrong, which pieces does the master lack; then the job enters the queue.

use super::{
    ClientError,
    report::{Finding, Plan, Report, plan, size},
    send::Sender,
    trace::{self, Description, Grade, describe},
    transfer::{Phase, Transfer},
};
use crate::{api::Api, blender::Blender, blobs::digest_of};
use netrender_core::{
    frames::FrameList,
    ids::JobId,
    job::{JobSpec, Split},
    manifest::{MAX_ASSETS, mirror},
    share::SampleSplit,
};
use serde::Deserialize;
use std::{collections::BTreeSet, path::PathBuf};

/// How often a master that lost pieces in a crash is sent them again.
const ROUNDS: usize = 4;

/// What to render, as the add-on or the command line asks for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// As shown in lists.
    pub name: String,
    /// The .blend whose bytes are sent; `source` itself or a copy of it.
    pub blend: PathBuf,
    /// The .blend's own path, against which its relative paths are meant.
    pub source: PathBuf,
    /// The Blender that lists the scene's files: a program, or a Python with `bpy`.
    pub program: PathBuf,
    /// The scene to render; None: the one that was open.
    #[serde(default)]
    pub scene: Option<String>,
    /// Blender id of the engine; None: the scene's own.
    #[serde(default)]
    pub engine: Option<String>,
    /// In the artist's notation; None: the scene's own range.
    #[serde(default)]
    pub frames: Option<String>,
    /// For grouping.
    #[serde(default)]
    pub category: String,
    /// 0 to 100.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// Frames per dispatch.
    #[serde(default = "default_chunk")]
    pub chunk: u32,
    /// A slave must have them.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Whether one frame may be shared out.
    #[serde(default)]
    pub split: Split,
    /// Whether slaves with different Blenders or devices may share one frame.
    #[serde(default)]
    pub mixed: bool,
    /// Files and folders beside those that the scene names.
    #[serde(default)]
    pub added: Vec<String>,
    /// Painted images that are in no file yet. Only the session that painted them can know.
    #[serde(default)]
    pub unsaved_images: Vec<String>,
    /// Send although something would go wrong.
    #[serde(default)]
    pub send_anyway: bool,
}

const fn default_priority() -> u8 {
    50
}

const fn default_chunk() -> u32 {
    1
}

impl JobRequest {
    /// Says at once what is plainly wrong, before anything is started.
    pub fn check(&self) -> Result<(), ClientError> {
        if let Some(frames) = &self.frames {
            frames.parse::<FrameList>().map_err(|error| ClientError::Usage(error.to_string()))?;
        }
        if mirror(&self.source.to_string_lossy()).is_empty() {
            return Err(ClientError::Usage("save the .blend first: a job needs a file".into()));
        }
        Ok(())
    }
}

/// Looks at what the job would send, and sends nothing.
pub async fn check(api: Option<&Api>, request: &JobRequest, transfer: &Transfer) -> Result<Report, ClientError> {
    let scripts = match api {
        Some(api) => api.info().await?.scripts,
        None => false,
    };
    Ok(look(request, scripts, transfer).await?.1.report)
}

/// The master takes no longer words.
const MAX_NOTE: usize = 2000;

/// How the slaves may cut a frame; None: not at all.
fn sample_split(split: &trace::Split) -> Option<SampleSplit> {
    (split.grade != Grade::None).then(|| SampleSplit {
        samples: split.samples,
        layers: split.layers.clone(),
        is_subset: split.is_subset,
        finishes: split.finishes,
        denoises: split.denoises,
        can_grow_to: split.can_grow_to,
    })
}

/// What the artist is told of the choice.
fn split_note(wanted: Split, split: &trace::Split) -> Option<String> {
    let together = match split.grade {
        Grade::None => return (wanted != Split::Off).then(|| format!("frames are rendered whole: {}", split.why)),
        Grade::Identical => "the result is identical to what one machine renders, to float rounding".to_owned(),
        Grade::Equivalent => {
            format!("the result is equivalent to what one machine renders, not identical: {}", split.why)
        }
    };
    match wanted {
        Split::Off => None,
        Split::Auto => Some(format!("slaves share a frame while there are fewer frames than slaves; {together}")),
        Split::Samples => Some(format!("slaves share every frame; {together}")),
    }
}

async fn look(
    request: &JobRequest,
    scripts_allowed: bool,
    transfer: &Transfer,
) -> Result<(Description, Plan), ClientError> {
    request.check()?;
    transfer.enter(Phase::Tracing);
    let blender = Blender::at(&request.program);
    let (named, engine) = (request.scene.as_deref(), request.engine.as_deref());
    let scene = describe(&blender, &request.blend, &request.source, named, engine).await?;
    transfer.enter(Phase::Checking);
    let (looking, request, wanted) = (scene.clone(), request.clone(), request.split);
    let plan = tokio::task::spawn_blocking(move || {
        plan(&looking, &request.blend, &request.added, &request.unsaved_images, scripts_allowed)
    })
    .await
    .map_err(|error| ClientError::Usage(format!("looking at the files ended: {error}")))?;
    let mut plan = plan;
    plan.report.notes.extend(split_note(wanted, &scene.split).map(Finding::note));
    transfer.report(&plan.report);
    Ok((scene, plan))
}

/// Sends the job; its number is durable when this returns. What the master has is not sent again, so that a second try
/// goes on where the first broke off.
pub async fn submit(api: &Api, request: JobRequest, transfer: &Transfer) -> Result<JobId, ClientError> {
    let info = api.info().await?;
    let (scene, Plan { files, mut manifest, report }) = look(&request, info.scripts, transfer).await?;
    if !scene.has_camera {
        let why = format!("the scene {:?} has no camera to render from: add one and send again", scene.scene);
        return Err(ClientError::Usage(why));
    }
    let frames = request.frames.unwrap_or(scene.frames);
    let frames: FrameList = frames.parse().map_err(|error| ClientError::Usage(format!("{error}")))?;
    if files.len() > MAX_ASSETS {
        return Err(ClientError::Usage(format!("a job may have at most {MAX_ASSETS} files, this has {}", files.len())));
    }
    if !report.problems.is_empty() && !request.send_anyway {
        return Err(ClientError::Incomplete(Box::new(report)));
    }

    transfer.enter(Phase::Sending);
    let mut sender = Sender::new(api, transfer, files).await?;
    if let Some(free) = info.free_bytes.filter(|_| !request.send_anyway) {
        let new = sender.new_bytes().await?;
        if new > free {
            return Err(ClientError::NoRoom { new: size(new), free: size(free) });
        }
    }
    let mut spec = JobSpec {
        name: request.name,
        category: request.category,
        priority: request.priority,
        chunk: request.chunk,
        tags: request.tags,
        frames,
        scene: Some(scene.scene),
        engine: request.engine.unwrap_or(scene.engine),
        blender: scene.blender,
        width: scene.width,
        height: scene.height,
        split: request.split,
        samples: sample_split(&scene.split),
        split_note: split_note(request.split, &scene.split).unwrap_or_default().chars().take(MAX_NOTE).collect(),
        mixed: request.mixed,
        scripts: !scene.scripts.is_empty(),
        manifest: digest_of(&[]),
        key: crate::random_hex(),
    };
    for round in 0..ROUNDS {
        transfer.enter(Phase::Sending);
        manifest.assets = sender.send(round > 0).await?;
        manifest.check().map_err(|error| ClientError::Usage(error.to_string()))?;
        let text = serde_json::to_vec(&manifest).map_err(|error| ClientError::Usage(error.to_string()))?;
        spec.manifest = digest_of(&text);
        let list = [spec.manifest];
        let missing = sender.patiently(|| api.missing(&list)).await?;
        if !missing.is_empty() {
            sender.patiently(|| api.put_blob(spec.manifest, text.clone())).await?;
            transfer.sent(text.len() as u64);
        }
        transfer.enter(Phase::Queueing);
        match sender.patiently(|| api.submit(&spec)).await {
            // A master that crashed meanwhile may have lost what it received last.
            Err(ClientError::Api(error)) if error.is_code("missing_pieces") && round + 1 < ROUNDS => {}
            queued => {
                let job = queued?.job;
                transfer.accepted(job.0);
                return Ok(job);
            }
        }
    }
    Err(ClientError::Usage("the master loses what it is sent: see its log, its disk may be failing".into()))
}
