//! Submission of a job: the scene is traced, its files are planned and sent, then the job is
//! queued.

use super::{
    error::{ClientError, blocking},
    plan::{Plan, plan},
    report::{Report, size},
    send::Sender,
    split::{SplitChoice, choose},
    trace::{Description, describe},
    transfer::{Phase, Transfer},
};
use netrender_blender::Blender;
use netrender_core::{
    files::manifest::mirror,
    model::{
        frames::FrameList,
        ids::JobId,
        spec::{JobSpec, Simulations, Split},
        verdict::{Finding, Severity, Verdict, warnings},
    },
    wire::ErrorCode,
};
use netrender_net::{api::Api, random_hex};
use netrender_store::blobs::digest_of;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use tokio::runtime::Handle;

/// Upper bound of rounds in which pieces are sent again to a master that lost them in a crash.
const ROUNDS: usize = 4;
/// Upper bound of the note about the cut, in characters. The master refuses longer ones.
const MAX_NOTE: usize = 2000;
/// Upper bound of a job's name, in characters. The master refuses longer ones.
const MAX_NAME: usize = 200;

/// Request for a job, from the add-on or the command line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Name as shown in lists; `None` takes the file's own.
    #[serde(default)]
    pub name: Option<String>,
    /// The .blend that is sent: `source` itself or a copy of it.
    pub blend: PathBuf,
    /// Path of the .blend as the artist knows it. Relative paths in the scene are relative to it.
    pub source: PathBuf,
    /// Blender that traces the scene: a program, or a Python with `bpy`.
    pub program: PathBuf,
    /// Name of the scene to render; `None` takes the one that was open.
    #[serde(default)]
    pub scene: Option<String>,
    /// Blender id of the engine; `None` takes the scene's own.
    #[serde(default)]
    pub engine: Option<String>,
    /// Frames in the artist's notation; `None` takes the scene's own range.
    #[serde(default)]
    pub frames: Option<String>,
    /// Free text for grouping.
    #[serde(default)]
    pub category: String,
    /// Priority from 0 to 100; more is sooner.
    #[serde(default = "JobSpec::default_priority")]
    pub priority: u8,
    /// Number of frames in a lease.
    #[serde(default = "JobSpec::default_chunk")]
    pub chunk: u32,
    /// Tags that a slave must have.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Wish for sharing one frame among several slaves.
    #[serde(default)]
    pub split: Split,
    /// Allows slaves with different Blenders or devices to share one frame.
    #[serde(default)]
    pub mixed: bool,
    /// Treatment of simulations that are not baked.
    #[serde(default)]
    pub simulations: Simulations,
    /// Files and folders to send besides those that the scene names.
    #[serde(default)]
    pub added: Vec<String>,
    /// Painted images that are in no file yet. Only the session that painted them knows of them.
    #[serde(default)]
    pub unsaved_images: Vec<String>,
    /// Sends the job even if it has problems.
    #[serde(default)]
    pub send_anyway: bool,
}

impl JobRequest {
    /// Wish for sharing frames; frames in order are never shared.
    fn split(&self) -> Split {
        if self.simulations == Simulations::InOrder { Split::Off } else { self.split }
    }

    /// Checks what can be checked without starting Blender.
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

/// Reports what the job would send, and sends nothing. `starter` starts the Blender that traces the
/// scene, which inherits its threads' priority.
pub async fn check(
    api: Option<&Api>,
    request: &JobRequest,
    transfer: &Transfer,
    starter: &Handle,
) -> Result<Report, ClientError> {
    let scripts = match api {
        Some(api) => api.info().await?.scripts,
        None => false,
    };
    Ok(look(request, scripts, transfer, starter).await?.plan.report)
}

/// Everything that is known about a job before something is sent.
struct Preview {
    plan: Plan,
    /// The submission; the manifest's digest is not known yet.
    spec: JobSpec,
}

/// Traces the scene, plans the transfer, draws the verdict and shows it in `transfer`.
async fn look(
    request: &JobRequest,
    scripts_allowed: bool,
    transfer: &Transfer,
    starter: &Handle,
) -> Result<Preview, ClientError> {
    request.check()?;
    transfer.enter(Phase::Tracing);
    let blender = Blender::at(&request.program);
    let (named, engine) = (request.scene.as_deref(), request.engine.as_deref());
    let (copy, source, frames) = (&request.blend, &request.source, request.frames.as_deref());
    let scene = describe(starter, &blender, copy, source, named, engine, frames).await?;
    transfer.enter(Phase::Checking);
    let split = choose(request.split(), &scene);
    let asked = request.clone();
    let planning = move || {
        let plan = plan(&scene, &asked.blend, &asked.added, &asked.unsaved_images, scripts_allowed);
        (plan, scene)
    };
    let (mut plan, scene) = blocking("looking at the files", planning).await?;
    let mut findings = std::mem::take(&mut plan.findings);
    findings.iter_mut().filter(|finding| is_cured(finding, request.simulations)).for_each(cure);
    if !scene.has_camera && !findings.iter().any(|finding| finding.kind == "no_camera") {
        let why = "the scene has no camera to render from";
        findings.push(Finding::new("no_camera", Severity::Wrong, &scene.scene, why));
    }
    let mut spec = spec_of(request, &scene, &split)?;
    spec.warnings = warnings(&findings);
    findings.extend(spec.refusals().into_iter().map(|why| Finding::new("refused", Severity::Wrong, "", why)));
    // The note about the cut of frames is the last one.
    findings.extend(split.note.map(Finding::note));
    plan.report.judge(findings);
    transfer.report(&plan.report);
    Ok(Preview { plan, spec })
}

/// True if the choice makes a simulation right. Baking does where the finding's hint offers it: a
/// slave refuses to bake what a .blend does not keep.
fn is_cured(finding: &Finding, choice: Simulations) -> bool {
    finding.kind == "simulation"
        && finding.severity != Severity::Info
        && match choice {
            Simulations::AsIs => false,
            Simulations::Bake => finding.hint.contains("--simulations bake"),
            Simulations::InOrder => true,
        }
}

/// Makes a note of a simulation that the farm bakes first, or plays in order.
fn cure(finding: &mut Finding) {
    finding.severity = Severity::Info;
    "The farm simulates it in order, as this job asks for.".clone_into(&mut finding.hint);
}

/// The submission of a scene, as far as it is known before its files are read.
fn spec_of(request: &JobRequest, scene: &Description, split: &SplitChoice) -> Result<JobSpec, ClientError> {
    let frames = request.frames.as_ref().unwrap_or(&scene.frames);
    let frames: FrameList = frames.parse().map_err(|error| ClientError::Usage(format!("{error}")))?;
    Ok(JobSpec {
        name: request.name.clone().unwrap_or_else(|| own_name(&request.source)),
        category: request.category.clone(),
        priority: request.priority,
        chunk: request.chunk,
        tags: request.tags.clone(),
        frames,
        scene: Some(scene.scene.clone()),
        engine: request.engine.clone().unwrap_or_else(|| scene.engine.clone()),
        blender: scene.blender,
        width: scene.width,
        height: scene.height,
        split: request.split(),
        cut: split.cut.clone(),
        split_note: split.note.as_deref().unwrap_or_default().chars().take(MAX_NOTE).collect(),
        mixed: request.mixed,
        scripts: !scene.scripts.is_empty(),
        draws: scene.draws,
        simulations: request.simulations,
        warnings: Vec::new(),
        manifest: digest_of(&[]),
        key: random_hex(),
    })
}

/// Name of a job for which none is chosen: the file's, as far as a job's name may be long.
fn own_name(source: &Path) -> String {
    let stem = source.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = stem.chars().take(MAX_NAME).collect();
    if name.trim().is_empty() { "untitled".into() } else { name }
}

/// Sends the job; it is durable once this returns its number. Pieces that the master has are not
/// sent again, so a second try continues where the first broke off. `starter` as in [`check`].
pub async fn submit(
    api: &Api,
    request: JobRequest,
    transfer: &Transfer,
    starter: &Handle,
) -> Result<JobId, ClientError> {
    let info = api.info().await?;
    let Preview { plan, mut spec } = look(&request, info.scripts, transfer, starter).await?;
    let Plan { files, mut manifest, report, .. } = plan;
    if report.is_final() || (report.verdict == Verdict::Wrong && !request.send_anyway) {
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
            // A master that crashed meanwhile may have lost the pieces that it received last.
            Err(ClientError::Api(error)) if error.is_code(ErrorCode::MissingPieces) && round + 1 < ROUNDS => {}
            queued => {
                let job = queued?.job;
                transfer.accepted(job.0);
                return Ok(job);
            }
        }
    }
    Err(ClientError::PiecesLost)
}
