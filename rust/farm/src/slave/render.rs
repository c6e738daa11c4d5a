//! The render loop: one frame after another in a warm Blender, one Blender per job.

use super::{
    SlaveStatus,
    assets::JobTree,
    handin::{self, Rendered},
    shared::Shared,
    worker::{Answer, Died, Worker, last_lines},
};
use netrender_core::{
    ids::{Frame, JobId},
    task::TaskError,
    wire::{LeaseGrant, Progress},
};
use netrender_film::ViewTable;
use serde_json::json;
use std::{sync::Arc, time::Instant};
use tokio::sync::{Semaphore, watch};

/// Films that wait to be handed in before rendering pauses: bounds disk and memory when the line is slow.
const UNSENT: usize = 8;

/// A Blender with a job's scene in it.
struct Loaded {
    job: JobId,
    worker: Worker,
    view: Arc<ViewTable>,
}

enum Blenders {
    /// Started, nothing in it yet.
    Spare(Worker),
    Loaded(Loaded),
    None,
}

/// Why a frame did not come out.
enum NoFrame {
    /// Somebody took it back.
    Interrupted,
    /// It failed, with what Blender printed.
    Failed(TaskError, String),
}

/// Renders until `stop`; then no Blender is left.
pub async fn run(shared: Arc<Shared>, spare: Worker, mut stop: watch::Receiver<bool>) {
    let mut blenders = Blenders::Spare(spare);
    let unsent = Arc::new(Semaphore::new(UNSENT));
    let mut changed = shared.changed.subscribe();
    let mut last_end: Option<Instant> = None;
    loop {
        changed.borrow_and_update();
        let next = shared.change(|hands| hands.next());
        let Some((grant, frame)) = next else {
            shared.progress.send_replace(None);
            shared.show(|seen| {
                (seen.job, seen.frame, seen.progress) = (None, None, String::new());
                if seen.state == SlaveStatus::Rendering {
                    seen.state = SlaveStatus::Idle;
                }
            });
            // The change that `next` itself made must not wake us.
            changed.borrow_and_update();
            let waiting = async {
                while shared.look(|hands| !hands.has_work()) {
                    if changed.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = waiting => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            }
        };
        let mut interrupt = shared.interrupt.subscribe();
        interrupt.borrow_and_update();
        // A frame that was taken back between `next` and here is still found out.
        let outcome = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            _ = interrupt.changed() => Err(NoFrame::Interrupted),
            outcome = one(&shared, &mut blenders, &grant, frame, last_end) => outcome,
        };
        last_end = Some(Instant::now());
        shared.change(|hands| hands.rendered());
        match outcome {
            Ok(rendered) => {
                let Ok(place) = unsent.clone().acquire_owned().await else { break };
                let shared = shared.clone();
                tokio::spawn(async move {
                    handin::hand_in(&shared, rendered).await;
                    drop(place);
                });
            }
            Err(NoFrame::Interrupted) => {
                tracing::info!(job = %grant.job, %frame, "taken back while it rendered");
                end(std::mem::replace(&mut blenders, Blenders::None)).await;
            }
            Err(NoFrame::Failed(error, log)) => {
                // Told in turn, not in the background: the master may give the frame elsewhere at once, and a scene
                // that kills Blender must not spin.
                tokio::select! {
                    () = handin::fail(&shared, &grant, frame, error, log) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
                shared.change(|hands| hands.settled(grant.lease, frame));
            }
        }
    }
    end(blenders).await;
}

async fn end(blenders: Blenders) {
    match blenders {
        Blenders::Spare(worker) | Blenders::Loaded(Loaded { worker, .. }) => worker.kill().await,
        Blenders::None => {}
    }
}

async fn one(
    shared: &Arc<Shared>,
    blenders: &mut Blenders,
    grant: &Arc<LeaseGrant>,
    frame: Frame,
    last_end: Option<Instant>,
) -> Result<Rendered, NoFrame> {
    let job = grant.job;
    shared.show(|seen| {
        seen.state = SlaveStatus::Rendering;
        (seen.job, seen.frame, seen.progress) = (Some(job.0), Some(frame.0), String::new());
    });
    shared.progress.send_replace(Some(Progress { job, frame, text: String::new() }));
    if !shared.look(|hands| hands.holds(grant.lease, frame)) {
        return Err(NoFrame::Interrupted);
    }
    if !matches!(blenders, Blenders::Loaded(loaded) if loaded.job == job) {
        let api = shared.master().await.api;
        let tree = shared.assets.prepare(&api, job, grant.spec.manifest).await;
        let tree = tree.map_err(|error| NoFrame::Failed(error, String::new()))?;
        let worker = match std::mem::replace(blenders, Blenders::None) {
            Blenders::Spare(worker) => worker,
            other => {
                end(other).await;
                Worker::start(&shared.blender, &shared.script, shared.console).await.map_err(|died| crashed(&died))?
            }
        };
        *blenders = Blenders::Loaded(load(shared, worker, grant, &tree).await?);
    }
    let Blenders::Loaded(Loaded { worker, view, .. }) = blenders else { return Err(NoFrame::Interrupted) };
    let film = shared.spool.join(format!("{job}_{frame}_{}.exr", grant.lease));
    let began = Instant::now();
    let gap_ms = last_end.map(|end| (began - end).as_secs_f64() * 1000.0);
    let mut words = worker.progress();
    words.borrow_and_update();
    let rendering = worker.ask(json!({ "op": "render", "frame": frame, "output": film }));
    let watching = async {
        while words.changed().await.is_ok() {
            let text = words.borrow_and_update().clone();
            shared.show(|seen| seen.progress.clone_from(&text));
            shared.progress.send_replace(Some(Progress { job, frame, text }));
        }
        std::future::pending().await
    };
    let answer = tokio::select! {
        answer = rendering => answer,
        () = watching => return Err(NoFrame::Interrupted),
    };
    let Answer { result, log } = match answer {
        Ok(answer) => answer,
        Err(died) => {
            *blenders = Blenders::None;
            return Err(crashed(&died));
        }
    };
    match result {
        Ok(answer) => {
            let seconds = answer["seconds"].as_f64().unwrap_or_else(|| began.elapsed().as_secs_f64());
            tracing::info!(
                "rendered job={job} frame={frame} gap_ms={} seconds={seconds:.3}",
                gap_ms.map_or_else(|| "-".to_owned(), |gap| format!("{gap:.1}"))
            );
            Ok(Rendered { grant: grant.clone(), frame, film, view: view.clone(), log, seconds })
        }
        Err(refusal) => {
            let _ = std::fs::remove_file(&film);
            Err(NoFrame::Failed(explained(refusal.kind, &refusal.message, &log), log))
        }
    }
}

async fn load(shared: &Arc<Shared>, mut worker: Worker, grant: &LeaseGrant, tree: &JobTree) -> Result<Loaded, NoFrame> {
    let job = grant.job;
    let table = shared.spool.join(format!("view_{job}.png"));
    let scratch = shared.spool.join(format!("scratch_{job}"));
    let _ = std::fs::create_dir_all(&scratch);
    let request = json!({
        "op": "load",
        "blend": tree.blend,
        "scene": grant.spec.scene,
        "engine": grant.spec.engine,
        "threads": shared.threads,
        "paths": tree.paths,
        "scratch": scratch,
        "view_table": table,
    });
    let Answer { result, log } = worker.ask(request).await.map_err(|died| crashed(&died))?;
    match result {
        Ok(loaded) => {
            let baked = loaded["view_table"].as_str().map(|path| ViewTable::from_png(path.as_ref()));
            let view = match baked {
                Some(Ok(view)) => view,
                Some(Err(error)) => {
                    tracing::warn!("previews will be plain sRGB: {error}");
                    ViewTable::srgb()
                }
                None => ViewTable::srgb(),
            };
            let _ = std::fs::remove_file(&table);
            Ok(Loaded { job, worker, view: Arc::new(view) })
        }
        Err(refusal) => {
            worker.kill().await;
            Err(NoFrame::Failed(explained(refusal.kind, &refusal.message, &log), log))
        }
    }
}

fn explained(kind: String, message: &str, log: &str) -> TaskError {
    let end = last_lines(log);
    let message = if end.is_empty() { message.to_owned() } else { format!("{message}\n{end}") };
    TaskError { kind, message }
}

fn crashed(died: &Died) -> NoFrame {
    let error = TaskError { kind: "worker_crashed".into(), message: died.message() };
    NoFrame::Failed(error, died.log.clone())
}
