//! Frames that slaves render together: their parts become one film as soon as the last of them is there, and a picture of
//! what is there in the meantime. Parts are durable when they are handed in, so a crash here only means that the merge
//! is begun anew. The film is kept as the sum of its samples: a frame that is given more later goes on from it.

use super::{
    error::MasterError,
    http::{App, blocking},
    space,
};
use crate::blobs::{BlobStore, digest_of_file};
use netrender_core::{
    digest::Digest,
    farm::Farm,
    ids::{Frame, JobId},
    job::{Job, JobSpec, JobState},
    scheduler::Command,
    share::{Merged, Part, Share, Unit},
    task::{Task, TaskError, TaskResult, TaskState},
};
use netrender_film::{
    ViewTable,
    merge::{self, Coverage, MergeError, Merger, Output},
    preview_jpeg,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a picture of an unfinished frame is made anew.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Changes that come together are looked at together.
const GATHER: Duration = Duration::from_millis(100);
/// Of JPEG previews.
const PREVIEW_QUALITY: u8 = 90;
/// Parts in one merge; more become sums first.
const AT_ONCE: usize = 200;
/// A full disk is tried again after this time.
const LATER: Duration = Duration::from_secs(5);

/// A frame of a job.
type Of = (JobId, Frame);

/// Pictures of unfinished frames, for everybody who looks.
#[derive(Debug, Default)]
pub struct Pictures(Mutex<BTreeMap<Of, Picture>>);

/// What is there of a frame.
#[derive(Clone, Debug)]
pub struct Picture {
    /// To look at.
    pub jpeg: Arc<Vec<u8>>,
    /// With all passes, while more samples are to come. The file goes with the last who holds this.
    pub film: Option<Arc<tempfile::TempPath>>,
}

impl Pictures {
    /// The latest of a frame.
    pub fn get(&self, job: JobId, frame: Frame) -> Option<Picture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(job, frame)).cloned()
    }

    fn put(&self, of: Of, jpeg: Vec<u8>, film: Option<tempfile::TempPath>) {
        let picture = Picture { jpeg: Arc::new(jpeg), film: film.map(Arc::new) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of, picture);
    }

    fn keep_only(&self, kept: impl Fn(&Of) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|of, _| kept(of));
    }
}

/// A shared frame with parts.
struct Work {
    job: JobId,
    frame: Frame,
    spec: JobSpec,
    /// Of the whole frame.
    samples: u32,
    /// What was merged before it was given more samples.
    before: Option<Box<Merged>>,
    parts: Vec<Part>,
    /// The samples that are in these.
    done: Vec<Share>,
    complete: bool,
}

/// What a frame was when its picture was made.
struct Seen {
    parts: usize,
    at: Instant,
}

/// Merges, for ever.
pub async fn tend(app: App) {
    let mut view = app.owner.view();
    let mut seen: BTreeMap<Of, Seen> = BTreeMap::new();
    loop {
        view.borrow_and_update();
        let Ok(all) = app.owner.look(shared).await else { return };
        let Ok(merged) = app.owner.look(merged).await else { return };
        app.pictures.keep_only(|of| merged.contains(of) || all.iter().any(|work| (work.job, work.frame) == *of));
        seen.retain(|of, _| all.iter().any(|work| (work.job, work.frame) == *of));
        let mut later = None;
        for work in all {
            let of = (work.job, work.frame);
            if work.complete {
                if finish(&app, work).await.is_err() {
                    later = Some(LATER);
                }
                continue;
            }
            let new = seen.get(&of).is_none_or(|seen| seen.parts < work.parts.len() && seen.at.elapsed() >= LOOK_EVERY);
            if new {
                seen.insert(of, Seen { parts: work.parts.len(), at: Instant::now() });
                look(&app, work).await;
            } else if seen.get(&of).is_some_and(|seen| seen.parts < work.parts.len()) {
                later = later.or(Some(LOOK_EVERY));
            }
        }
        tokio::time::sleep(GATHER).await;
        let changed = view.changed();
        let ended = match later {
            Some(later) => tokio::time::timeout(later, changed).await.is_ok_and(|changed| changed.is_err()),
            None => changed.await.is_err(),
        };
        if ended {
            return;
        }
    }
}

fn shared(farm: &Farm) -> Vec<Work> {
    let open = |job: &&Job| matches!(job.state, JobState::Active | JobState::Paused) && job.spec.samples.is_some();
    let mut all = Vec::new();
    for job in farm.jobs.values().filter(open) {
        for (frame, task) in &job.tasks {
            if let TaskState::Sharing(sharing) = &task.state
                && (!sharing.parts.is_empty() || sharing.is_complete())
            {
                all.push(Work {
                    job: job.id,
                    frame: *frame,
                    spec: job.spec.clone(),
                    samples: task.samples(&job.spec),
                    before: task.merged.clone(),
                    parts: sharing.parts.clone(),
                    done: sharing.done(),
                    complete: sharing.is_complete(),
                });
            }
        }
    }
    all
}

/// Frames that are merged and not finished.
fn merged(farm: &Farm) -> BTreeSet<Of> {
    let open = |task: &Task| task.lacks_finish();
    let splitting = farm.jobs.values().filter(|job| job.spec.samples.as_ref().is_some_and(|split| split.finishes));
    let tasks = splitting.flat_map(|job| job.tasks.iter().map(|(frame, task)| ((job.id, *frame), task)));
    tasks.filter(|(_, task)| open(task)).map(|(of, _)| of).collect()
}

/// Shows what is there so far. A part that is of no use is found out here, too.
async fn look(app: &App, work: Work) {
    let blobs = app.blobs.clone();
    let (job, frame) = (work.job, work.frame);
    let made = blocking(move || {
        let (film, merged) = merge(&blobs, &work, End::Look)?;
        let jpeg = merged.beauty.and_then(|beauty| preview(&blobs, &work, &beauty));
        Ok::<_, MergeError>(jpeg.map(|jpeg| (jpeg, film)))
    });
    match made.await {
        Ok(Ok(Some((jpeg, film)))) => app.pictures.put((job, frame), jpeg, Some(film)),
        Ok(Ok(None)) | Err(_) => {}
        Ok(Err(error)) => _ = reject(app, job, frame, error).await,
    }
}

/// Makes the frame's film, and hands it in, or gives it to a slave to be finished. An error: try again later.
async fn finish(app: &App, work: Work) -> Result<(), MasterError> {
    let blobs = app.blobs.clone();
    let (job, frame) = (work.job, work.frame);
    let began = Instant::now();
    let (parts, before, shares) = (work.parts.clone(), work.before.clone(), work.done.clone());
    let finishes = work.spec.samples.as_ref().is_some_and(|split| split.finishes);
    let made = blocking(move || {
        prove_before(&blobs, &work)?;
        let (film, merged) = merge(&blobs, &work, End::Film)?;
        let jpeg = merged.beauty.and_then(|beauty| preview(&blobs, &work, &beauty));
        let stored = (|| {
            let stored = jpeg.as_ref().filter(|_| !finishes).map(|jpeg| blobs.put(jpeg)).transpose()?;
            Ok((blobs.put_file(&film)?, stored, jpeg))
        })();
        Ok::<_, MergeError>(stored)
    });
    let (film, preview, jpeg) = match made.await? {
        Ok(stored) => stored.map_err(|error: crate::blobs::BlobError| MasterError::from(error))?,
        Err(error) => return reject(app, job, frame, error).await.map_or(Ok(()), Err),
    };
    let film_bytes = app.blobs.size(&film).unwrap_or(0);
    let earlier = before.iter().map(|before| (&before.result, before.view));
    let mut all: Vec<(&TaskResult, Option<Digest>)> = earlier.collect();
    let mut sorted: Vec<&Part> = parts.iter().collect();
    sorted.sort_by_key(|part| part.share.offset);
    all.extend(sorted.iter().map(|part| (&part.result, part.view)));
    let Some((first, _)) = all.first() else { return Ok(()) };
    let seconds = all.iter().map(|(result, _)| result.seconds).sum();
    let result = TaskResult { slave: first.slave, film, film_bytes, preview, log: first.log, seconds };
    let builds = before.iter().map(|before| &before.build).chain(parts.iter().map(|part| &part.build));
    let build = builds.flatten().next().cloned();
    let merged = Box::new(Merged { shares, result, view: all.iter().find_map(|(_, view)| *view), build });
    let _until_discarded = app.space.tidy().await;
    app.owner.command(Command::Merge { job, frame, merged }).await?;
    if let Some(jpeg) = jpeg.filter(|_| finishes) {
        app.pictures.put((job, frame), jpeg, None);
    }
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!(%job, %frame, parts = parts.len(), seconds, "merged");
    // What is referred to by now stays.
    let mut used = Vec::from_iter([Some(film), preview].into_iter().flatten());
    used.extend(before.iter().flat_map(|before| [Some(before.result.film), before.result.preview]).flatten());
    for part in &parts {
        used.extend([Some(part.result.film), part.result.log, part.view].into_iter().flatten());
    }
    space::discard(app, used).await;
    Ok(())
}

/// A part that can't be merged goes, and its samples are rendered again. Some: nobody's fault but the disk's.
async fn reject(app: &App, job: JobId, frame: Frame, error: MergeError) -> Option<MasterError> {
    let before = move |farm: &Farm| {
        let merged = farm.jobs.get(&job)?.tasks.get(&frame)?.merged.as_ref()?;
        Some((merged.shares.clone(), merged.result.film))
    };
    let before = app.owner.look(before).await.ok().flatten();
    if let (MergeError::Part { part, .. }, Some((shares, film))) = (&error, before)
        && *part == coverage(&shares)
    {
        tracing::error!(%job, %frame, "what was merged of it before is of no use and is rendered again: {error}");
        return app.owner.command(Command::Spoil { job, frame, film }).await.err();
    }
    let share = match &error {
        MergeError::Write(why) => {
            tracing::error!(%job, %frame, "its parts can't be merged yet: {why}");
            return Some(MasterError::Disk);
        }
        MergeError::Part { part, .. } => part.shares().first().copied(),
        _ => None,
    };
    let first = move |farm: &Farm| match &farm.jobs.get(&job)?.tasks.get(&frame)?.state {
        TaskState::Sharing(sharing) => sharing.parts.first().map(|part| part.share),
        _ => None,
    };
    let share = match share {
        Some(share) => Share { offset: share.offset, samples: share.samples },
        // No part in particular: by the frame's attempts it comes to an end.
        None => app.owner.look(first).await.ok().flatten()?,
    };
    let unit = move |farm: &Farm| farm.jobs.get(&job).map(|job| job.spec.unit()).unwrap_or_default();
    let why = match app.owner.look(unit).await.unwrap_or_default() {
        Unit::Samples => format!("a part of frame {frame} is of no use: {error}"),
        // What the merger counts as samples.
        Unit::Lines => format!("a tile of frame {frame} is of no use, counting its lines as samples: {error}"),
    };
    tracing::error!(%job, %frame, "{why}");
    let error = TaskError { kind: "bad_part".into(), message: why };
    app.owner.command(Command::RejectPart { job, frame, share, error }).await.err()
}

/// Parts are minutes old, but what was merged before may have lain on the disk for months.
fn prove_before(blobs: &BlobStore, work: &Work) -> Result<(), MergeError> {
    let Some(before) = &work.before else { return Ok(()) };
    let film = before.result.film;
    match digest_of_file(&blobs.path(&film)) {
        Ok(found) if found == film => Ok(()),
        _ => {
            // A damaged file must not be taken for the one that is made anew.
            if let Err(error) = blobs.quarantine(&film) {
                tracing::error!(%film, "{error}");
            }
            let reason = netrender_film::FilmError::Damaged("it changed on the disk".into()).into();
            Err(MergeError::Part { part: coverage(&before.shares), reason })
        }
    }
}

fn coverage(shares: &[Share]) -> Coverage {
    let each = shares.iter().map(|share| merge::Share { offset: share.offset, samples: share.samples });
    // The farm's own shares are apart.
    each.fold(Coverage::default(), |all, share| all.join(&Coverage::from(share)).unwrap_or(all))
}

/// What a merge is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// To show what is there.
    Look,
    /// The frame's film.
    Film,
}

/// The film, in a file that goes unless somebody takes it, and what is in it.
fn merge(blobs: &BlobStore, work: &Work, end: End) -> Result<(tempfile::TempPath, merge::Merged), MergeError> {
    let Some(split) = &work.spec.samples else { return Err(MergeError::Impossible("the job is not split".into())) };
    let picture = netrender_film::Expect { width: work.spec.width, height: work.spec.height };
    let mut expect = match split.unit {
        Unit::Samples => merge::Expect::new(picture, work.samples),
        Unit::Lines => merge::Expect::tiles(picture, split.overlap),
    };
    expect.layers.clone_from(&split.layers);
    expect.is_subset = split.is_subset;
    expect.can_grow = split.can_grow_to >= work.samples;
    expect.frame = Some(work.frame.0);
    let scratch = tempfile::tempdir_in(blobs.incoming_dir()).map_err(MergeError::Write)?;
    let before = work.before.iter().map(|before| (blobs.path(&before.result.film), coverage(&before.shares)));
    let parts = work.parts.iter().map(|part| (blobs.path(&part.result.film), coverage(&[part.share])));
    let mut films: Vec<(std::path::PathBuf, Coverage)> = before.chain(parts).collect();
    let output = Output { wants_beauty: true, ..Output::default() };
    let add = |films: &[(std::path::PathBuf, Coverage)]| {
        let mut merger = Merger::new(expect.clone())?;
        for (path, coverage) in films {
            merger.add(path, coverage.clone())?;
        }
        Ok::<_, MergeError>(merger)
    };
    while films.len() > AT_ONCE {
        let some: Vec<_> = films.drain(..AT_ONCE).collect();
        let sum = scratch.path().join(format!("{}.exr", films.len()));
        let merged = add(&some)?.sum(&sum, &output)?;
        films.push((sum, merged.coverage));
    }
    let merger = add(&films)?;
    let film = tempfile::Builder::new().suffix(".exr").tempfile_in(blobs.incoming_dir()).map_err(MergeError::Write)?;
    let film = film.into_temp_path();
    let merged = if end == End::Film && merger.coverage().gaps(work.samples).is_empty() {
        merger.finish(&film, &output)?
    } else {
        // It is unfinished, or somebody stopped it: the film says which samples it has.
        merger.sum(&film, &output)?
    };
    Ok((film, merged))
}

fn preview(blobs: &BlobStore, work: &Work, film: &netrender_film::Film) -> Option<Vec<u8>> {
    let views = work.before.iter().map(|before| before.view).chain(work.parts.iter().map(|part| part.view));
    let table = views.flatten().next().map(|view: Digest| blobs.path(&view));
    let view = table.and_then(|table| ViewTable::from_png(&table).ok()).unwrap_or_else(ViewTable::srgb);
    preview_jpeg(film, &view, PREVIEW_QUALITY)
        .inspect_err(|error| tracing::warn!(job = %work.job, frame = %work.frame, "no preview: {error}"))
        .ok()
}
