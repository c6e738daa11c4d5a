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
    share::{SampleSplit, Unit},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

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

/// What a job's frames are cut into, and what is told of that.
struct Choice {
    unit: Unit,
    grade: Grade,
    why: String,
}

/// By samples where that gives the very picture, by tiles where only those do; who asks for one of them gets it or none.
fn choose(wanted: Split, split: &trace::Split) -> Choice {
    let samples = Choice { unit: Unit::Samples, grade: split.grade, why: split.why.clone() };
    let tiles = Choice { unit: Unit::Lines, grade: split.tiles.grade, why: split.tiles.why.clone() };
    match wanted {
        Split::Off | Split::Samples => samples,
        Split::Tiles => tiles,
        Split::Auto => match (samples.grade, tiles.grade) {
            (Grade::Identical, _) | (Grade::Equivalent, Grade::Equivalent | Grade::None) => samples,
            // Of a frame that can't be shared at all, too: there is less in the way of tiles.
            _ => tiles,
        },
    }
}

/// How the slaves may cut a frame; None: not at all.
fn sample_split(wanted: Split, scene: &Description) -> Option<SampleSplit> {
    let split = &scene.split;
    let Choice { unit, grade, .. } = choose(wanted, split);
    let whole = SampleSplit {
        unit,
        samples: split.samples,
        overlap: 0,
        layers: split.layers.clone(),
        is_subset: split.is_subset,
        finishes: split.finishes,
        denoises: split.denoises,
        can_grow_to: split.can_grow_to,
    };
    match (grade, unit) {
        (Grade::None, _) => None,
        (_, Unit::Samples) => Some(whole),
        (_, Unit::Lines) => {
            let overlap = split.tiles.overlap;
            Some(SampleSplit { samples: scene.height, overlap, layers: BTreeMap::new(), can_grow_to: 0, ..whole })
        }
    }
}

/// What the artist is told of the choice.
fn split_note(wanted: Split, split: &trace::Split) -> Option<String> {
    let Choice { unit, grade, why } = choose(wanted, split);
    let together = match (grade, unit) {
        (Grade::None, _) => return (wanted != Split::Off).then(|| format!("frames are rendered whole: {why}")),
        (Grade::Identical, Unit::Samples) => {
            "the result is identical to what one machine renders, to float rounding".to_owned()
        }
        (Grade::Identical, Unit::Lines) if split.tiles.overlap > 0 => {
            "the result is identical to what one machine renders, but for a rare pixel at the edges of tiles".to_owned()
        }
        (Grade::Identical, Unit::Lines) => "the result is identical to what one machine renders".to_owned(),
        (Grade::Equivalent, _) => {
            format!("the result is equivalent to what one machine renders, not identical: {why}")
        }
    };
    let parts = match unit {
        Unit::Samples => "each some of its samples",
        Unit::Lines => "each some of its lines (tiles)",
    };
    match wanted {
        Split::Off => None,
        Split::Auto => {
            Some(format!("slaves share a frame, {parts}, while there are fewer frames than slaves; {together}"))
        }
        Split::Samples | Split::Tiles => Some(format!("slaves share every frame, {parts}; {together}")),
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
    let samples = sample_split(request.split, &scene);
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
        samples,
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
