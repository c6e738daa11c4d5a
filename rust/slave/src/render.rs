//! The rendering loop: frames in order, one warm worker per job, the next frame begun as soon as
//! the last is rendered. Everything that can wait (inspecting films, sending, reporting) is left to
//! [`super::hand_in`].

use super::{
    bake::{self, BakedScene},
    drawing::try_to_draw,
    failure::failure,
    files::JobTree,
    hand_in::{self, LogSource, RenderedFilm},
    leases::Leases,
    shared::Shared,
    snapshot::SlaveStatus,
    task::{JobKey, Task},
    view::{View, view},
    worker::{
        AskError, Worker, last_lines,
        protocol::{self, Ask, Loaded, Rendered},
    },
};
use netrender_core::model::{
    digest::Digest,
    ids::LeaseId,
    result::{FailureKind, TaskError},
    spec::Simulations,
};
use netrender_film::{Expect, FilmError, Unfolded, UnfoldedPass};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Upper bound of films on disk that wait to be handed in, the one being rendered included. Beyond
/// it rendering pauses: a master that is away for a day must not fill the disk.
const PENDING_FILMS: usize = 32;
/// Interval at which a full disk is checked again.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);
/// Upper bound of a progress text.
const PROGRESS_CHARS: usize = 120;

/// Reason why a frame failed, and what Blender printed.
type Failed = (TaskError, String);

/// Result of a task.
enum Outcome {
    Film(RenderedFilm),
    Baked(BakedScene),
    /// The Blender can't draw what the scene needs.
    Unfit,
}

/// A worker with a job's scene loaded.
struct Current {
    key: JobKey,
    worker: Worker,
    view: Arc<View>,
    table: Option<PathBuf>,
}

/// The rendering loop and its own state.
pub struct RenderLoop {
    shared: Arc<Shared>,
    /// A started worker with nothing loaded.
    spare: Option<Worker>,
    current: Option<Current>,
    /// Files that the latest worker could write, and whether the scene's own Python ran in it.
    used: Option<(Arc<JobTree>, bool)>,
    /// Lease whose scene could not be loaded: its other frames fail without another try.
    unloadable: Option<(LeaseId, Failed)>,
    pending: Arc<Semaphore>,
    /// End of the last frame. The gap to the next one includes the wait for a lease: the machine
    /// does not render then.
    last_end: Option<Instant>,
}

impl RenderLoop {
    /// `spare` is the worker that was started to see what it can do.
    pub fn new(shared: Arc<Shared>, spare: Worker) -> Self {
        let pending = Arc::new(Semaphore::new(PENDING_FILMS));
        Self { shared, spare: Some(spare), current: None, used: None, unloadable: None, pending, last_end: None }
    }

    /// Renders until the slave stops. No worker is left then.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        while stop.run_until_cancelled(self.step()).await.is_some() {}
        let workers = [self.spare.take(), self.current.take().map(|current| current.worker)];
        futures_util::future::join_all(workers.into_iter().flatten().map(Worker::kill)).await;
    }

    async fn step(&mut self) {
        let Ok(permit) = Arc::clone(&self.pending).acquire_owned().await else { return };
        let task = self.next().await;
        let (job, frame) = (task.key.job, task.frame);
        self.shared.snapshot.send_modify(|shown| {
            (shown.job, shown.frame) = (Some(job.0), Some(frame.0));
            shown.progress.clear();
            shown.message = format!("renders frame {frame} of job {job}");
            if shown.state == SlaveStatus::Idle {
                shown.state = SlaveStatus::Rendering;
            }
        });
        let mut leases = self.shared.leases.subscribe();
        let outcome = tokio::select! {
            biased;
            outcome = self.work(&task) => Some(outcome),
            _ = leases.wait_for(|leases| !leases.is_rendering(&task)) => None,
        };
        let shared = Arc::clone(&self.shared);
        shared.log.end();
        shared.leases.send_modify(|leases| leases.settle(&task));
        if !matches!(outcome, Some(Ok(_))) {
            // A film may have been finished in the same moment.
            let _ = shared.folder.spool.remove(&task);
        }
        match outcome {
            Some(Ok(Outcome::Film(film))) => {
                self.shared.spawn_until_stop("hand-in", hand_in::hand_in(shared, task, film, Some(permit)));
            }
            Some(Ok(Outcome::Baked(baked))) => {
                self.shared.spawn_until_stop("hand-in", async move {
                    bake::hand_in(&shared, &task, baked).await;
                    drop(permit);
                });
            }
            Some(Ok(Outcome::Unfit)) => {
                tracing::info!(%job, %frame, "given back: Blender can't draw here");
                shared.leases.send_modify(|leases| leases.give_back(&task));
            }
            Some(Err((error, _))) if shared.folder.is_nearly_full() => {
                // The fault is this machine's and must not count as an attempt of the frame.
                tracing::warn!(%job, %frame, why = %error.message, "given back: the disk is full");
                shared.leases.send_modify(|leases| leases.give_back(&task));
            }
            Some(Err((error, log))) => self.shared.spawn_until_stop("failure report", async move {
                hand_in::report_failure(&shared, &task, error, &log).await;
                drop(permit);
            }),
            None => {
                tracing::info!(%job, %frame, "dropped while it was rendered");
                // Only a worker in the middle of the dropped request is ended; a scene loaded
                // before stays warm.
                if let Some(busy) = self.current.take_if(|current| current.worker.is_busy()) {
                    busy.worker.kill().await;
                    self.last_end = None;
                }
            }
        }
    }

    /// Waits for the next frame.
    async fn next(&mut self) -> Task {
        let mut leases = self.shared.leases.subscribe();
        loop {
            self.wait_for_room().await;
            let mut task = None;
            self.shared.leases.send_if_modified(|leases| {
                task = leases.begin();
                task.is_some()
            });
            if let Some(task) = task {
                return task;
            }
            self.shared.snapshot.send_if_modified(|shown| {
                let was_busy = shown.frame.is_some();
                (shown.job, shown.frame) = (None, None);
                shown.progress.clear();
                if shown.state == SlaveStatus::Rendering {
                    shown.state = SlaveStatus::Idle;
                    shown.message = "waits for work".into();
                }
                was_busy
            });
            if leases.wait_for(Leases::has_waiting).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes no work while the disk is nearly full, because the next film might not fit.
    async fn wait_for_room(&self) {
        if !self.shared.folder.is_nearly_full() {
            return;
        }
        let why =
            format!("the disk with {} is nearly full: waits until there is room", self.shared.options.data.display());
        tracing::warn!("{why}");
        self.shared.leases.send_modify(|leases| leases.close(true));
        self.shared.snapshot.send_modify(|shown| {
            (shown.job, shown.frame) = (None, None);
            shown.progress.clear();
            shown.message.clone_from(&why);
            shown.error = Some(why);
        });
        while self.shared.folder.is_nearly_full() {
            tokio::time::sleep(LOOK_FOR_ROOM).await;
        }
        tracing::info!("there is room on the disk again");
        self.shared.leases.send_modify(|leases| leases.close(false));
        self.shared.snapshot.send_modify(|shown| {
            shown.error = None;
            shown.message = "waits for work".into();
        });
    }

    async fn work(&mut self, task: &Task) -> Result<Outcome, Failed> {
        if task.spec.draws && !self.can_draw().await {
            return Ok(Outcome::Unfit);
        }
        if task.bake { self.bake(task).await.map(Outcome::Baked) } else { self.render(task).await.map(Outcome::Film) }
    }

    /// True if the Blender can draw. It is tried once, when the first scene needs it, so that a slave
    /// starts as fast as it can.
    async fn can_draw(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        if let Some(known) = *shared.can_draw.borrow() {
            return known;
        }
        show(&shared, "Trying whether Blender can draw");
        self.end_current().await;
        let can = try_to_draw(&shared.launch).await;
        shared.can_draw.send_replace(Some(can));
        can
    }

    /// Bakes the job's simulations. The worker is ended afterwards: its scene is not the one that
    /// is rendered.
    async fn bake(&mut self, task: &Task) -> Result<BakedScene, Failed> {
        let shared = Arc::clone(&self.shared);
        self.last_end = None;
        show(&shared, "Fetching files");
        let tree = self.files(task).await?;
        let worker = self.fresh_worker(tree.color_configuration()).await?;
        self.used = Some((Arc::clone(&tree), task.scripts));
        let plain = Arc::new(view(None));
        let current = self.current.insert(Current { key: task.key.clone(), worker, view: plain, table: None });
        let scene = TempDir::with_prefix_in("baked-", shared.folder.spool.dir())
            .map_err(|error| (failure(FailureKind::Internal, format!("no room to bake in: {error}")), String::new()))?;
        let output = scene.path().join("baked.blend");
        let request = bake_request(task, &tree, shared.settings.threads_for_scene(), &output);
        show(&shared, "Loading the scene");
        shared.log.begin(task.key.job, task.frame, current.worker.log());
        let asked = current.worker.ask::<Rendered>(request, |text| show(&shared, text)).await;
        let log = LogSource::Worker(current.worker.log(), current.worker.last_id());
        match asked {
            Ok(Rendered { seconds }) => {
                self.end_current().await;
                tracing::info!("baked job={} seconds={seconds:.3}", task.key.job);
                Ok(BakedScene { _folder: scene, path: output, seconds, log })
            }
            Err(error) => {
                let failed = self.broken(error, "baking the simulations").await;
                self.end_current().await;
                Err(failed)
            }
        }
    }

    async fn render(&mut self, task: &Task) -> Result<RenderedFilm, Failed> {
        let shared = Arc::clone(&self.shared);
        let warm =
            self.current.as_mut().is_some_and(|c| c.key == task.key && !c.worker.is_busy() && c.worker.is_alive());
        let began = Instant::now();
        if !warm {
            self.load(task).await?;
        }
        let warm_up_s = if warm { 0.0 } else { began.elapsed().as_secs_f64() };
        let merged = match task.merged {
            Some(merged) => Some(unfold(&shared, task, merged).await.map_err(|error| (error, String::new()))?),
            None => None,
        };
        let Some(current) = &mut self.current else {
            return Err((failure(FailureKind::Internal, "no worker is there after a load".into()), String::new()));
        };
        let path = shared.folder.spool.film(task);
        let output = path.to_string_lossy();
        let gap_ms = self.last_end.map(|end| end.elapsed().as_secs_f64() * 1000.0);
        let share = task.share.map(|share| protocol::Part::of(share, &task.spec));
        let frame = task.frame.0;
        let ask = match &merged {
            Some((_, passes, words)) => Ask::Finish { frame, output: &output, passes, words },
            None => Ask::Render { frame, output: &output, share, play: task.spec.simulations == Simulations::InOrder },
        };
        shared.log.begin(task.key.job, task.frame, current.worker.log());
        let asked = current.worker.ask::<Rendered>(ask, |text| show(&shared, text)).await;
        self.last_end = Some(Instant::now());
        let log = LogSource::Worker(current.worker.log(), current.worker.last_id());
        match asked {
            Ok(Rendered { seconds }) => {
                let (job, frame) = (task.key.job, task.frame);
                let gap = gap_ms.map(|gap_ms| format!(" gap_ms={gap_ms:.1}")).unwrap_or_default();
                let part = share.map(|share| format!(" {share}")).unwrap_or_default();
                tracing::info!("rendered job={job} frame={frame}{gap} seconds={seconds:.3}{part}");
                let (view, table) = (Arc::clone(&current.view), current.table.clone());
                Ok(RenderedFilm { path, seconds, warm_up_s, view, table, log })
            }
            Err(error) => Err(self.broken(error, &format!("rendering frame {}", task.frame)).await),
        }
    }

    /// Puts a worker with the job's scene into `current`.
    async fn load(&mut self, task: &Task) -> Result<(), Failed> {
        if let Some((lease, failed)) = &self.unloadable
            && *lease == task.lease
        {
            return Err(failed.clone());
        }
        self.last_end = None;
        let shared = Arc::clone(&self.shared);
        show(&shared, "Fetching files");
        let tree = self.files(task).await?;
        let mut in_use = shared.leases.borrow().jobs();
        in_use.insert(task.key.clone());
        shared.files.tidy(&in_use);
        let started = Instant::now();
        let worker = self.fresh_worker(tree.color_configuration()).await?;
        self.used = Some((Arc::clone(&tree), task.scripts));
        let plain = Arc::new(view(None));
        let current = self.current.insert(Current { key: task.key.clone(), worker, view: plain, table: None });
        show(&shared, "Loading the scene");
        let view_table = shared.folder.spool.view(&task.key);
        let threads = shared.settings.threads_for_scene();
        let request = load_request(task, &tree, &shared, threads, view_table.to_str());
        match current.worker.ask::<Loaded>(request, |_| ()).await {
            Ok(loaded) => {
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!(job = %task.key.job, seconds, "scene loaded");
                current.table = loaded.view_table.as_ref().map(PathBuf::from);
                current.view = Arc::new(view(loaded.view_table));
                show(&shared, "");
                Ok(())
            }
            Err(error) => {
                let refused = matches!(error, AskError::Refused(_));
                let failed = self.broken(error, "loading the scene").await;
                self.end_current().await;
                if refused {
                    self.unloadable = Some((task.lease, failed.clone()));
                }
                Err(failed)
            }
        }
    }

    /// Returns the job's files in place, as they were sent. A worker that could write them is ended
    /// and what it could write is proved before.
    async fn files(&mut self, task: &Task) -> Result<Arc<JobTree>, Failed> {
        let shared = Arc::clone(&self.shared);
        let mut tree = shared.files.prepare(&task.key, &task.spec).await.map_err(|error| (error, String::new()))?;
        self.end_current().await;
        if let Some((written, scripts)) = self.used.take() {
            shared.files.prove(written, scripts).await;
            tree = shared.files.prepare(&task.key, &task.spec).await.map_err(|error| (error, String::new()))?;
        }
        Ok(tree)
    }

    async fn end_current(&mut self) {
        if let Some(old) = self.current.take() {
            old.worker.end().await;
        }
    }

    /// Returns a worker with nothing loaded. The old one has ended, so that two scenes are never in
    /// memory together. A colour configuration counts from the start of a Blender on.
    async fn fresh_worker(&mut self, color_configuration: Option<&str>) -> Result<Worker, Failed> {
        self.end_current().await;
        if let Some(mut spare) = self.spare.take() {
            if color_configuration.is_none() && spare.is_alive() {
                return Ok(spare);
            }
            spare.kill().await;
        }
        Worker::start(&self.shared.launch, color_configuration)
            .await
            .map_err(|error| (failure(FailureKind::WorkerCrashed, error.to_string()), String::new()))
    }

    /// Describes why a request failed, and forgets a worker that died.
    async fn broken(&mut self, error: AskError, doing: &str) -> Failed {
        let log = match &self.current {
            Some(current) => current.worker.log().take(current.worker.last_id()).await,
            None => String::new(),
        };
        match error {
            AskError::Refused(complaint) => (failure(complaint.kind, complaint.message), log),
            AskError::Hung(silent) => {
                self.current = None;
                self.last_end = None;
                let seconds = silent.as_secs_f64();
                tracing::warn!(seconds, "blender hung and was killed");
                let why = format!(
                    "Blender printed nothing and used no processor time for {seconds:.0} s while {doing}, and was killed"
                );
                (failure(FailureKind::WorkerHung, why), log)
            }
            AskError::Died { status } => {
                self.current = None;
                self.last_end = None;
                let last = last_lines(&log, 1, 300);
                tracing::warn!(%status, %last, "blender died");
                (failure(FailureKind::WorkerCrashed, format!("Blender ended ({status}) while {doing}")), log)
            }
        }
    }
}

/// Passes and header texts of a merged film. The passes are files that are removed with the folder.
type Merged = (TempDir, Vec<protocol::Unfolded>, BTreeMap<String, String>);

/// Fetches the merged film of a frame to be finished and unpacks its passes.
async fn unfold(shared: &Shared, task: &Task, merged: Digest) -> Result<Merged, TaskError> {
    let failed =
        |why: String| failure(FailureKind::FetchFailed, format!("the merged film of frame {}: {why}", task.frame));
    show(shared, "Fetching the merged frame");
    let lists = &shared.folder.lists;
    match shared.connection.ask(&task.key.farm, |link| async move { link.api.fetch_blob(merged, lists).await }).await {
        // The frame is dropped soon, and this future with it.
        None => std::future::pending().await,
        Some(fetched) => fetched.map_err(|error| failed(error.to_string()))?,
    }
    show(shared, "Unpacking the merged frame");
    let dir = shared.folder.spool.dir().to_owned();
    let film = lists.path(&merged);
    let expect = Expect { width: task.spec.width, height: task.spec.height };
    let unfolding = tokio::task::spawn_blocking(move || {
        let folder = TempDir::with_prefix_in("merged-", dir)?;
        let unfolded = netrender_film::unfold(&film, &expect, folder.path())?;
        Ok::<_, FilmError>((folder, unfolded))
    });
    let unfolded = unfolding.await.map_err(|error| failed(error.to_string()))?;
    let _ = tokio::task::block_in_place(|| lists.remove(&merged));
    let (folder, Unfolded { passes, words }) = unfolded.map_err(|error| failed(error.to_string()))?;
    let pass =
        |UnfoldedPass { layer, view, pass, channels, file }| protocol::Unfolded { layer, view, pass, channels, file };
    Ok((folder, passes.into_iter().map(pass).collect(), words))
}

fn load_request<'a>(
    task: &'a Task,
    tree: &'a JobTree,
    shared: &'a Shared,
    threads: u32,
    view_table: Option<&'a str>,
) -> Ask<'a> {
    Ask::Load {
        blend: &tree.blend,
        source: &tree.source,
        scripts: task.scripts,
        files: &tree.files,
        scene: task.spec.scene.as_deref(),
        engine: Some(&task.spec.engine),
        threads,
        device: &shared.device,
        paths: &tree.paths,
        scratch: &tree.scratch,
        view_table,
    }
}

fn bake_request<'a>(task: &'a Task, tree: &'a JobTree, threads: u32, output: &'a Path) -> Ask<'a> {
    Ask::Bake {
        blend: &tree.blend,
        source: &tree.source,
        scripts: task.scripts,
        files: &tree.files,
        scene: task.spec.scene.as_deref(),
        threads,
        paths: &tree.paths,
        scratch: &tree.scratch,
        until: task.spec.frames.frames().last().map_or(task.frame.0, |frame| frame.0),
        output: output.to_str().unwrap_or_default(),
    }
}

fn show(shared: &Shared, text: &str) {
    shared.snapshot.send_modify(|shown| shown.progress = text.chars().take(PROGRESS_CHARS).collect());
}
