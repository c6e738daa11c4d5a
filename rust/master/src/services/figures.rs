//! Figures of the farm and its timeline, from the farm as it is and its history.

use crate::{
    blocking::blocking,
    error::MasterError,
    ledger::{clock::wall_clock, data_folder::DataFolder, farm_handle::FarmHandle, history::History},
};
use netrender_core::{
    durable::chronicle::{Activity, Happening},
    model::{
        farm::Farm,
        ids::{SlaveId, Timestamp},
        job::{Job, JobState},
        lease::Lease,
        slave::{Duty, SlaveState},
        task::{Task, TaskState},
    },
    wire::{ActivityView, DiskStats, JobSize, SlaveStats, Stats},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};
use tokio::sync::Mutex;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Most activities in one answer: more than a screen has columns for a hundred slaves.
const MOST_ACTIVITIES: u32 = 20_000;
/// Most entries of the history in one answer.
const MOST_HAPPENINGS: u32 = 1_000;
/// Figures are reused for this many times as long as they took to make. Many pages may be open, and
/// each asks again and again: so they take a small part of a core.
const REUSE: u32 = 20;

/// Makes figures, and keeps the last.
pub struct Figures {
    farm: FarmHandle,
    history: History,
    folder: DataFolder,
    /// The last figures, and the time until which they are reused.
    last: Mutex<Option<(Instant, Arc<Stats>)>>,
}

impl Figures {
    pub fn new(farm: FarmHandle, folder: DataFolder) -> Self {
        Self { farm, history: folder.history(), folder, last: Mutex::default() }
    }

    /// The figures of the farm.
    pub async fn stats(&self) -> Result<Arc<Stats>, MasterError> {
        let mut last = self.last.lock().await;
        let began = Instant::now();
        if let Some((until, stats)) = &*last
            && began < *until
        {
            return Ok(stats.clone());
        }
        let stats = Arc::new(self.count().await?);
        let ended = Instant::now();
        *last = Some((ended + REUSE * (ended - began), stats.clone()));
        Ok(stats)
    }

    async fn count(&self) -> Result<Stats, MasterError> {
        let now = self.farm.read(Now::of).await?;
        let to = wall_clock();
        let from = Timestamp(to.0.saturating_sub(HOUR_MS));
        let day = Timestamp(to.0.saturating_sub(DAY_MS));
        let activities = self.history.activities(from, to, None, u32::MAX).await?;
        let failures = self.history.failures(day, u32::MAX).await?.len();
        let frames_per_hour = activities
            .iter()
            .filter(|activity| activity.ok && activity.samples.is_none() && activity.to_ms >= from)
            .count();
        let folder = self.folder.clone();
        let disk = blocking(move || DiskStats {
            free_bytes: folder.free_bytes(),
            total_bytes: folder.total_bytes(),
            films_bytes: now.films_bytes,
            pieces_bytes: folder.pieces_bytes(),
        });
        Ok(Stats {
            utilisation: utilisation(&now.joined, &now.busy, &activities, from, to),
            frames_per_hour: u32::try_from(frames_per_hour).unwrap_or(u32::MAX),
            queue_frames: now.queue_frames,
            slaves_ready: now.ready.len(),
            slaves_busy: now.busy.len(),
            disk: disk.await?,
            errors_24h: failures,
            slaves: by_slave(&activities, from),
        })
    }

    /// The bytes that each job's films have on the disk.
    pub async fn sizes(&self) -> Result<Vec<JobSize>, MasterError> {
        let size = |job: &Job| JobSize { id: job.id, films_bytes: films_bytes(job) };
        let is_there = |job: &&Job| job.state != JobState::Deleted;
        self.farm.read(move |farm| farm.jobs.values().filter(is_there).map(size).collect()).await
    }

    /// Spans between two times, of one slave or all: the latest 20,000 in order of their ends, then
    /// those that have not ended. By default those of the last hour.
    pub async fn timeline(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        slave: Option<SlaveId>,
    ) -> Result<Vec<ActivityView>, MasterError> {
        let now = wall_clock();
        let to = to.unwrap_or(now);
        let from = from.unwrap_or(Timestamp(to.0.saturating_sub(HOUR_MS)));
        let held = if to < now { Vec::new() } else { self.farm.read(move |farm| running(farm, slave, now)).await? };
        let done = self.history.activities(from, to, slave, MOST_ACTIVITIES).await?;
        let ends: BTreeMap<_, _> = done.iter().map(|activity| (activity.slave, activity.to_ms)).collect();
        let held = held.into_iter().map(|mut activity| {
            // A chunk is held from its grant on, but its first frames may be done.
            activity.from_ms = activity.from_ms.max(ends.get(&activity.slave).copied().unwrap_or_default());
            ActivityView { activity, on_its_way: true }
        });
        let held: Vec<_> = held.collect();
        Ok(done.into_iter().map(|activity| ActivityView { activity, on_its_way: false }).chain(held).collect())
    }

    /// The latest entries of the history, newest first; at most 1,000.
    pub async fn happenings(&self, most: u32) -> Result<Vec<Happening>, MasterError> {
        self.history.happenings(most.min(MOST_HAPPENINGS)).await
    }

    /// The failures of the last day, newest first; at most 1,000.
    pub async fn failures(&self) -> Result<Vec<Happening>, MasterError> {
        let since = Timestamp(wall_clock().0.saturating_sub(DAY_MS));
        self.history.failures(since, MOST_HAPPENINGS).await
    }
}

/// The activities under way: for each slave that renders, that of its first lease.
fn running(farm: &Farm, slave: Option<SlaveId>, now: Timestamp) -> Vec<Activity> {
    let mut first = BTreeMap::<SlaveId, &Lease>::new();
    for lease in farm.leases.values().filter(|lease| slave.is_none_or(|slave| slave == lease.slave)) {
        let known = first.entry(lease.slave).or_insert(lease);
        if (lease.granted, lease.id) < (known.granted, known.id) {
            *known = lease;
        }
    }
    let activity = |lease: &Lease| {
        let frame = *lease.frames.first()?;
        let samples = lease.share.map(|share| farm.jobs.get(&lease.job).map_or(0, |job| job.spec.samples_in(share)));
        Some(Activity {
            slave: lease.slave,
            job: lease.job,
            frame,
            from_ms: lease.granted,
            to_ms: now,
            ok: true,
            samples,
        })
    };
    first.into_values().filter_map(activity).collect()
}

/// Figures of the farm as it is.
struct Now {
    ready: BTreeSet<SlaveId>,
    joined: BTreeMap<SlaveId, Timestamp>,
    /// The times at which busy slaves were granted what they render.
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

fn by_slave(activities: &[Activity], from: Timestamp) -> Vec<SlaveStats> {
    let mut found = BTreeMap::<SlaveId, SlaveStats>::new();
    for activity in activities.iter().filter(|activity| activity.ok && activity.to_ms >= from) {
        let none = SlaveStats { id: activity.slave, frames_per_hour: 0, samples_per_hour: 0, tiles_per_hour: 0 };
        let one = found.entry(activity.slave).or_insert(none);
        match activity.samples {
            None => one.frames_per_hour += 1,
            Some(0) => one.tiles_per_hour += 1,
            Some(samples) => one.samples_per_hour += u64::from(samples),
        }
    }
    found.into_values().collect()
}

fn films_bytes(job: &Job) -> u64 {
    let film = |task: &Task| match &task.state {
        TaskState::Done { result, .. } => result.film_bytes,
        _ => 0,
    };
    job.tasks.values().map(film).fold(0, u64::saturating_add)
}

/// The part of their time since `from` or since they joined for which slaves rendered; `None` if
/// that time is zero.
fn utilisation(
    there: &BTreeMap<SlaveId, Timestamp>,
    busy: &BTreeMap<SlaveId, Timestamp>,
    activities: &[Activity],
    from: Timestamp,
    to: Timestamp,
) -> Option<f64> {
    let mut of_slave = BTreeMap::<SlaveId, Vec<&Activity>>::new();
    for activity in activities {
        of_slave.entry(activity.slave).or_default().push(activity);
    }
    let (mut rendered, mut all) = (0, 0);
    for (slave, joined) in there {
        let begin = from.max(*joined).min(to);
        all += to.0 - begin.0;
        // In order of their ends; the activity that has not ended is the last.
        let done = of_slave.get(slave).into_iter().flatten().map(|activity| (activity.from_ms, activity.to_ms));
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
    use netrender_core::model::ids::{Frame, JobId};

    #[test]
    fn utilisation_counts_no_second_twice() {
        let slave = SlaveId(1);
        let activity = |from, to| Activity {
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
        let activities = [activity(50, 110), activity(105, 130)];
        let (none, from, to) = (BTreeMap::new(), Timestamp(100), Timestamp(200));
        assert_eq!(utilisation(&there, &none, &activities, from, to), Some(30.0 / 150.0));
        assert_eq!(utilisation(&there, &busy, &activities, from, to), Some(100.0 / 150.0));
        assert_eq!(utilisation(&none, &busy, &activities, from, to), None);
    }
}
