//! The rendering loop: frames in order, one warm worker per job, the next frame asked for as soon as the last is done.
//! Everything that can wait (looking, sending, telling) is left to [`super::handin`].

use super::{
    Shared, SlaveStatus,
    assets::{JobTree, failure},
    backoff::{Backoff, may_work_later},
    desk::{JobKey, Task},
    handin::{self, Film, Printed, View},
    worker::{
        AskError, Worker, last_lines,
        protocol::{self, Ask, Loaded, Rendered},
    },
};
use netrender_core::{digest::Digest, task::TaskError};
use netrender_film::{Expect, FilmError, Unfolded, UnfoldedPass};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Films on disk that wait for their hand-in, the one being rendered included. Beyond that rendering pauses: a master
/// away for a day must not fill the disk.
const PENDING_FILMS: usize = 32;
/// How often a full disk is looked at again.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);
/// Longest progress text passed on.
const PROGRESS_CHARS: usize = 120;

/// A frame that failed: why, and what Blender printed.
type Failed = (TaskError, String);

/// A worker with a job's scene in it.
struct Current {
    key: JobKey,
    worker: Worker,
    view: Arc<View>,
    table: Option<PathBuf>,
}

/// The loop's own state.
pub struct Stage {
    shared: Arc<Shared>,
    /// Started and with nothing loaded yet.
    spare: Option<Worker>,
    current: Option<Current>,
    /// A scene that could not be loaded fails all frames of the lease without being tried again.
    unloadable: Option<(netrender_core::ids::LeaseId, Failed)>,
    pending: Arc<Semaphore>,
    /// Waiting for the next lease counts into the gap: it is time the machine did not render.
    last_end: Option<Instant>,
}

impl Stage {
    /// `spare`: the worker the slave asked for what it can do.
    pub fn new(shared: Arc<Shared>, spare: Worker) -> Self {
        let pending = Arc::new(Semaphore::new(PENDING_FILMS));
        Self { shared, spare: Some(spare), current: None, unloadable: None, pending, last_end: None }
    }

    /// Renders until the slave stops; then no worker is left.
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
        let mut desk = self.shared.desk.subscribe();
        let outcome = tokio::select! {
            biased;
            outcome = self.render(&task) => Some(outcome),
            _ = desk.wait_for(|desk| !desk.is_rendering(&task)) => None,
        };
        let shared = Arc::clone(&self.shared);
        shared.tail.end();
        shared.desk.send_modify(|desk| desk.settle(&task));
        if !matches!(outcome, Some(Ok(_))) {
            // A film may have been finished in the same moment.
            let _ = shared.folder.spool.remove(&task);
        }
        match outcome {
            Some(Ok(film)) => self.shared.spawn("hand-in", async move {
                let stop = shared.stop.clone();
                stop.run_until_cancelled(handin::film(shared, task, film, Some(permit))).await;
            }),
            Some(Err((error, _))) if shared.folder.is_nearly_full() => {
                // That is this machine's trouble and no attempt of the frame's.
                tracing::warn!(target: "netrender::slave", %job, %frame, why = %error.message, "given back: the disk is full");
                shared.desk.send_modify(|desk| desk.give_back(&task));
            }
            Some(Err((error, log))) => self.shared.spawn("failure report", async move {
                let stop = shared.stop.clone();
                stop.run_until_cancelled(handin::failed(&shared, &task, error, &log)).await;
                drop(permit);
            }),
            None => {
                tracing::info!(target: "netrender::slave", %job, %frame, "dropped while it was rendered");
                // Only what is in the midst of a dropped request is ended; a scene loaded before stays warm.
                if let Some(busy) = self.current.take_if(|current| current.worker.is_busy()) {
                    busy.worker.kill().await;
                    self.last_end = None;
                }
            }
        }
    }

    /// The next frame, as soon as there is one.
    async fn next(&mut self) -> Task {
        let mut desk = self.shared.desk.subscribe();
        loop {
            self.wait_for_room().await;
            let mut task = None;
            self.shared.desk.send_if_modified(|desk| {
                task = desk.begin();
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
            if desk.wait_for(super::desk::Desk::has_waiting).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes no work while a film might not fit on the disk.
    async fn wait_for_room(&self) {
        if !self.shared.folder.is_nearly_full() {
            return;
        }
        let why =
            format!("the disk with {} is nearly full: waits until there is room", self.shared.options.data.display());
        tracing::warn!(target: "netrender::slave", "{why}");
        self.shared.desk.send_modify(|desk| desk.close(true));
        self.shared.snapshot.send_modify(|shown| {
            (shown.job, shown.frame) = (None, None);
            shown.progress.clear();
            shown.message.clone_from(&why);
            shown.error = Some(why);
        });
        while self.shared.folder.is_nearly_full() {
            tokio::time::sleep(LOOK_FOR_ROOM).await;
        }
        tracing::info!(target: "netrender::slave", "there is room on the disk again");
        self.shared.desk.send_modify(|desk| desk.close(false));
        self.shared.snapshot.send_modify(|shown| {
            shown.error = None;
            shown.message = "waits for work".into();
        });
    }

    async fn render(&mut self, task: &Task) -> Result<Film, Failed> {
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
            return Err((failure("internal", "no worker is there after a load".into()), String::new()));
        };
        let path = shared.folder.spool.film(task);
        let output = path.to_string_lossy();
        let gap_ms = self.last_end.map(|end| end.elapsed().as_secs_f64() * 1000.0);
        let share = task.share.map(|share| protocol::Share::of(share, &task.spec));
        let frame = task.frame.0;
        let ask = match &merged {
            Some((_, passes, words)) => Ask::Finish { frame, output: &output, passes, words },
            None => Ask::Render { frame, output: &output, share },
        };
        shared.tail.begin(task.key.job, task.frame, current.worker.log());
        let asked = current.worker.ask::<Rendered>(ask, |text| show(&shared, text)).await;
        self.last_end = Some(Instant::now());
        let log = Printed::Book(current.worker.log(), current.worker.last_id());
        match asked {
            Ok(Rendered { seconds }) => {
                let (job, frame) = (task.key.job, task.frame);
                let gap = gap_ms.map(|gap_ms| format!(" gap_ms={gap_ms:.1}")).unwrap_or_default();
                let part = share.map(|share| format!(" {share}")).unwrap_or_default();
                tracing::info!(target: "netrender::slave", "rendered job={job} frame={frame}{gap} seconds={seconds:.3}{part}");
                let (view, table) = (Arc::clone(&current.view), current.table.clone());
                Ok(Film { path, seconds, warm_up_s, view, table, log })
            }
            Err(error) => Err(self.broken(error, &format!("rendering frame {}", task.frame)).await),
        }
    }

    /// Gets a worker with the job's scene in it.
    async fn load(&mut self, task: &Task) -> Result<(), Failed> {
        if let Some((lease, failed)) = &self.unloadable
            && *lease == task.lease
        {
            return Err(failed.clone());
        }
        self.last_end = None;
        let shared = Arc::clone(&self.shared);
        show(&shared, "Fetching files");
        let preparation = shared.assets.prepare(&shared, &task.key, &task.spec);
        let tree = preparation.await.map_err(|error| (error, String::new()))?;
        let mut in_use = shared.desk.borrow().jobs();
        in_use.insert(task.key.clone());
        shared.assets.tidy(&shared, &in_use);
        let started = Instant::now();
        let worker = self.fresh_worker().await?;
        let view = Arc::new(handin::view(None));
        let current = self.current.insert(Current { key: task.key.clone(), worker, view, table: None });
        show(&shared, "Loading the scene");
        let view = shared.folder.spool.view(&task.key);
        let threads = shared.settings.threads_from_now();
        let request = load_request(task, &tree, &shared, threads, view.to_str());
        match current.worker.ask::<Loaded>(request, |_| ()).await {
            Ok(loaded) => {
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!(target: "netrender::slave", job = %task.key.job, seconds, "scene loaded");
                current.table = loaded.view_table.as_ref().map(PathBuf::from);
                current.view = Arc::new(handin::view(loaded.view_table));
                show(&shared, "");
                Ok(())
            }
            Err(error) => {
                let refused = matches!(error, AskError::Refused(_));
                let failed = self.broken(error, "loading the scene").await;
                if let Some(old) = self.current.take() {
                    old.worker.end().await;
                }
                if refused {
                    self.unloadable = Some((task.lease, failed.clone()));
                }
                Err(failed)
            }
        }
    }

    /// The spare one, or a new one; the old one is ended first, so that two scenes are never in memory together.
    async fn fresh_worker(&mut self) -> Result<Worker, Failed> {
        if let Some(old) = self.current.take() {
            old.worker.end().await;
        }
        if let Some(mut spare) = self.spare.take()
            && spare.is_alive()
        {
            return Ok(spare);
        }
        Worker::start(&self.shared.launch)
            .await
            .map_err(|error| (failure("worker_crashed", error.to_string()), String::new()))
    }

    /// Why a request was not met. A worker that died is gone afterwards.
    async fn broken(&mut self, error: AskError, doing: &str) -> Failed {
        let log = match &self.current {
            Some(current) => current.worker.log().take(current.worker.last_id()).await,
            None => String::new(),
        };
        match error {
            AskError::Refused(complaint) => (failure(&complaint.kind, complaint.message), log),
            AskError::Hung(silent) => {
                self.current = None;
                self.last_end = None;
                let seconds = silent.as_secs_f64();
                tracing::warn!(target: "netrender::slave", seconds, "blender hung and was killed");
                let why = format!(
                    "Blender printed nothing and used no processor time for {seconds:.0} s while {doing}, and was killed"
                );
                (failure("worker_hung", why), log)
            }
            AskError::Died { status } => {
                self.current = None;
                self.last_end = None;
                let last = last_lines(&log, 1, 300);
                tracing::warn!(target: "netrender::slave", %status, %last, "blender died");
                (failure("worker_crashed", format!("Blender ended ({status}) while {doing}")), log)
            }
        }
    }
}

/// The merged film of a frame, its passes in files that go with the folder.
type Merged = (TempDir, Vec<protocol::Unfolded>, BTreeMap<String, String>);

/// Fetches what is to be finished and takes it apart.
async fn unfold(shared: &Shared, task: &Task, merged: Digest) -> Result<Merged, TaskError> {
    let failed = |why: String| failure("fetch_failed", format!("the merged film of frame {}: {why}", task.frame));
    show(shared, "Fetching the merged frame");
    let lists = &shared.folder.lists;
    let mut backoff = Backoff::new();
    loop {
        let Some(link) = shared.link_to(&task.key.farm).await else { std::future::pending().await };
        match link.api.fetch_blob(merged, lists).await {
            Ok(()) => break,
            Err(error) if may_work_later(&error) => backoff.wait().await,
            Err(error) => return Err(failed(error.to_string())),
        }
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

fn show(shared: &Shared, text: &str) {
    shared.snapshot.send_modify(|shown| shown.progress = text.chars().take(PROGRESS_CHARS).collect());
}
