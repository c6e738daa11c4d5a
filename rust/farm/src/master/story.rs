//! What the farm did and how it does, over HTTP: the timeline, the story, failures, figures.

use super::{
    error::MasterError,
    http::{App, Asked, blocking},
    owner::wall_clock,
};
use axum::{Json, extract::State};
use netrender_core::{
    chronicle::{Happening, Span},
    farm::Farm,
    ids::{SlaveId, Timestamp},
    job::{Job, JobState},
    lease::Lease,
    slave::{Duty, SlaveState},
    task::{Task, TaskState},
    wire::{DiskStats, JobSize, SlaveStats, SpanView, Stats},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Instant,
};
use tokio::sync::Mutex;
use utoipa::IntoParams;

const HOUR_MS: u64 = 3_600_000;
/// Most spans in one answer: more than a screen has columns for a hundred slaves.
const MOST_SPANS: u32 = 20_000;
const MOST_HAPPENINGS: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    from_ms: Option<u64>,
    to_ms: Option<u64>,
    slave: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    limit: Option<u32>,
}

/// Who rendered what when: the last hour unless told otherwise, the latest 20,000 in order of their ends, then what is on its way.
#[utoipa::path(get, path = "/timeline", tag = "farm", params(TimelineQuery), responses((status = OK, body = [SpanView])))]
pub async fn timeline(
    State(app): State<App>,
    Asked(asked): Asked<TimelineQuery>,
) -> Result<Json<Vec<SpanView>>, MasterError> {
    let now = wall_clock();
    let to = asked.to_ms.map_or(now, Timestamp);
    let from = Timestamp(asked.from_ms.unwrap_or(to.0.saturating_sub(HOUR_MS)));
    let slave = asked.slave.map(SlaveId);
    let held = if to < now { Vec::new() } else { app.owner.look(move |farm| held(farm, slave, now)).await? };
    let done = read(&app, move |app| app.history.spans(from, to, slave, MOST_SPANS)).await?;
    let ends: BTreeMap<_, _> = done.iter().map(|span| (span.slave, span.to_ms)).collect();
    let held = held.into_iter().map(|mut span| {
        // A chunk is held from its grant on, but its first frames may be done.
        span.from_ms = span.from_ms.max(ends.get(&span.slave).copied().unwrap_or_default());
        SpanView { span, on_its_way: true }
    });
    let held: Vec<_> = held.collect();
    Ok(Json(done.into_iter().map(|span| SpanView { span, on_its_way: false }).chain(held).collect()))
}

/// What slaves are at. Whoever has two leases has the second for later.
fn held(farm: &Farm, slave: Option<SlaveId>, now: Timestamp) -> Vec<Span> {
    let mut first = BTreeMap::<SlaveId, &Lease>::new();
    for lease in farm.leases.values().filter(|lease| slave.is_none_or(|slave| slave == lease.slave)) {
        let known = first.entry(lease.slave).or_insert(lease);
        if (lease.granted, lease.id) < (known.granted, known.id) {
            *known = lease;
        }
    }
    let span = |lease: &Lease| {
        let frame = *lease.frames.first()?;
        let samples = lease.share.map(|share| farm.jobs.get(&lease.job).map_or(0, |job| job.spec.sampled(share)));
        Some(Span { slave: lease.slave, job: lease.job, frame, from_ms: lease.granted, to_ms: now, ok: true, samples })
    };
    first.into_values().filter_map(span).collect()
}

/// What happened, newest first.
#[utoipa::path(
    get, path = "/history", tag = "farm",
    params(HistoryQuery),
    responses((status = OK, body = [Happening])),
)]
pub async fn history(
    State(app): State<App>,
    Asked(asked): Asked<HistoryQuery>,
) -> Result<Json<Vec<Happening>>, MasterError> {
    let most = asked.limit.unwrap_or(100).min(MOST_HAPPENINGS);
    read(&app, move |app| app.history.happenings(most)).await.map(Json)
}

/// What failed in the last day, newest first.
#[utoipa::path(get, path = "/errors", tag = "farm", responses((status = OK, body = [Happening])))]
pub async fn errors(State(app): State<App>) -> Result<Json<Vec<Happening>>, MasterError> {
    let since = Timestamp(wall_clock().0.saturating_sub(24 * HOUR_MS));
    read(&app, move |app| app.history.failures(since, MOST_HAPPENINGS)).await.map(Json)
}

async fn read<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&App) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, MasterError> {
    let app = app.clone();
    blocking(move || read(&app)).await?.map_err(|error| {
        tracing::error!("the history can't be read: {error}");
        MasterError::Disk
    })
}

/// Of the farm as it is.
struct Now {
    ready: BTreeSet<SlaveId>,
    joined: BTreeMap<SlaveId, Timestamp>,
    /// Since when they are at what they have.
    busy: BTreeMap<SlaveId, Timestamp>,
    queue_frames: u64,
    films_bytes: u64,
}

impl Now {
    fn of(farm: &Farm) -> Self {
        let ready = farm.slaves.values().filter(|slave| slave.state == SlaveState::Ready);
        let open = farm.jobs.values().filter(|job| job.state == JobState::Active);
        let mut busy = BTreeMap::<SlaveId, Timestamp>::new();
        for lease in farm.leases.values() {
            let since = busy.entry(lease.slave).or_insert(lease.granted);
            *since = (*since).min(lease.granted);
        }
        Self {
            ready: ready.clone().filter(|slave| slave.duty == Duty::Work).map(|slave| slave.id).collect(),
            joined: ready.map(|slave| (slave.id, slave.joined)).collect(),
            busy,
            queue_frames: open.map(|job| u64::from(job.counts.waiting)).sum(),
            films_bytes: farm.jobs.values().map(films_bytes).fold(0, u64::saturating_add),
        }
    }
}

/// The figures as somebody asked for them last. A page that stays open asks all the time, and many may be open: what was slow
/// to make is told again for so long that making it takes a small part of a core.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Option<(Instant, Arc<Stats>)>>);

/// So many times what they cost, figures are told again.
const TOLD_AGAIN: u32 = 20;

/// How the farm does.
#[utoipa::path(get, path = "/stats", tag = "farm", responses((status = OK, body = Stats)))]
pub async fn stats(State(app): State<App>) -> Result<Json<Arc<Stats>>, MasterError> {
    let mut last = app.figures.0.lock().await;
    let began = Instant::now();
    if let Some((until, stats)) = &*last
        && began < *until
    {
        return Ok(Json(stats.clone()));
    }
    let stats = Arc::new(count(&app).await?);
    let ended = Instant::now();
    *last = Some((ended + TOLD_AGAIN * (ended - began), stats.clone()));
    Ok(Json(stats))
}

async fn count(app: &App) -> Result<Stats, MasterError> {
    let now = app.owner.look(Now::of).await?;
    let to = wall_clock();
    let from = Timestamp(to.0.saturating_sub(HOUR_MS));
    let (spans, failures) = read(app, move |app| {
        let day = Timestamp(to.0.saturating_sub(24 * HOUR_MS));
        Ok((app.history.spans(from, to, None, u32::MAX)?, app.history.failures(day, u32::MAX)?.len()))
    })
    .await?;
    let frames_per_hour = spans.iter().filter(|span| span.ok && span.samples.is_none() && span.to_ms >= from).count();
    let data = app.data.clone();
    let disk = blocking(move || DiskStats {
        free_bytes: fs4::available_space(&data).ok(),
        total_bytes: fs4::total_space(&data).ok(),
        films_bytes: now.films_bytes,
        pieces_bytes: bytes_in(&data.join("pieces")),
    });
    Ok(Stats {
        utilisation: utilisation(&now.joined, &now.busy, &spans, from, to),
        frames_per_hour: u32::try_from(frames_per_hour).unwrap_or(u32::MAX),
        queue_frames: now.queue_frames,
        slaves_ready: now.ready.len(),
        slaves_busy: now.busy.len(),
        disk: disk.await?,
        errors_24h: failures,
        slaves: by_slave(&spans, from),
    })
}

fn by_slave(spans: &[Span], from: Timestamp) -> Vec<SlaveStats> {
    let mut found = BTreeMap::<SlaveId, SlaveStats>::new();
    for span in spans.iter().filter(|span| span.ok && span.to_ms >= from) {
        let none = SlaveStats { id: span.slave, frames_per_hour: 0, samples_per_hour: 0, tiles_per_hour: 0 };
        let one = found.entry(span.slave).or_insert(none);
        match span.samples {
            None => one.frames_per_hour += 1,
            Some(0) => one.tiles_per_hour += 1,
            Some(samples) => one.samples_per_hour += u64::from(samples),
        }
    }
    found.into_values().collect()
}

/// What each job keeps on the disk, for whoever makes room there.
#[utoipa::path(get, path = "/sizes", tag = "farm", responses((status = OK, body = [JobSize])))]
pub async fn sizes(State(app): State<App>) -> Result<Json<Vec<JobSize>>, MasterError> {
    let size = |job: &Job| JobSize { id: job.id, films_bytes: films_bytes(job) };
    let is_there = |job: &&Job| job.state != JobState::Deleted;
    app.owner.look(move |farm| farm.jobs.values().filter(is_there).map(size).collect()).await.map(Json)
}

fn films_bytes(job: &Job) -> u64 {
    let film = |task: &Task| match &task.state {
        TaskState::Done(result) => result.film_bytes,
        _ => 0,
    };
    job.tasks.values().map(film).fold(0, u64::saturating_add)
}

/// Of all files below; packs of pieces are few and large.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// The part of their time that the slaves that are there rendered, from when they first came; None when that is no time.
fn utilisation(
    there: &BTreeMap<SlaveId, Timestamp>,
    busy: &BTreeMap<SlaveId, Timestamp>,
    spans: &[Span],
    from: Timestamp,
    to: Timestamp,
) -> Option<f64> {
    let mut of_slave = BTreeMap::<SlaveId, Vec<&Span>>::new();
    for span in spans {
        of_slave.entry(span.slave).or_default().push(span);
    }
    let (mut rendered, mut all) = (0, 0);
    for (slave, joined) in there {
        let begin = from.max(*joined).min(to);
        all += to.0 - begin.0;
        // In order of their ends; what is on its way now is the last.
        let done = of_slave.get(slave).into_iter().flatten().map(|span| (span.from_ms, span.to_ms));
        let mut reached = begin;
        for (since, until) in done.chain(busy.get(slave).map(|since| (*since, to))) {
            let since = since.max(reached);
            rendered += until.0.saturating_sub(since.0);
            reached = reached.max(until);
        }
    }
    (all > 0).then(|| rendered as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netrender_core::ids::{Frame, JobId};

    #[test]
    fn utilisation_counts_no_second_twice() {
        let slave = SlaveId(1);
        let span = |from, to| Span {
            slave,
            job: JobId(1),
            frame: Frame(1),
            from_ms: Timestamp(from),
            to_ms: Timestamp(to),
            ok: true,
            samples: None,
        };
        let there = [(slave, Timestamp(0)), (SlaveId(2), Timestamp(150))].into();
        let busy = [(slave, Timestamp(120))].into();
        let spans = [span(50, 110), span(105, 130)];
        let (none, from, to) = (BTreeMap::new(), Timestamp(100), Timestamp(200));
        assert_eq!(utilisation(&there, &none, &spans, from, to), Some(30.0 / 150.0));
        assert_eq!(utilisation(&there, &busy, &spans, from, to), Some(100.0 / 150.0));
        assert_eq!(utilisation(&none, &busy, &spans, from, to), None);
    }
}
