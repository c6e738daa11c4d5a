//! Commands about whole frames: rendered, failed, or found damaged later.

use crate::{
    decide::{
        bake,
        command::{Decided, Reply, answer, events},
        leases, lookup, retry,
    },
    model::{
        digest::Digest,
        event::Event,
        farm::Farm,
        ids::{Frame, JobId, LeaseId},
        job::JobState,
        lease::LeaseEnd,
        result::{Failure, TaskResult},
        retry::RetryPolicy,
        task::TaskState,
    },
};

/// A late result of a lease that was lost or given back is accepted as long as the frame is not
/// done, so that work is never wasted. A second result is dropped.
pub(super) fn hand_in(farm: &Farm, id: JobId, frame: Frame, result: Box<TaskResult>) -> Decided {
    let job = lookup::job(farm, id)?;
    let task = lookup::task(job, frame)?;
    let is_open = match &task.state {
        TaskState::Done { .. } => false,
        // After a frame was given more samples, a late result may be the finish of its earlier,
        // smaller film.
        TaskState::Finishing { lease, unfinished } if unfinished.goal.is_some() => {
            farm.leases.get(lease).is_some_and(|lease| lease.slave == result.slave)
        }
        _ => task.goal().is_none(),
    };
    let is_fresh = is_open && job.state != JobState::Canceled;
    answer(is_fresh.then_some(Event::TaskDone { job: id, frame, result }), Reply::HandedIn(is_fresh))
}

pub(super) fn fail(
    farm: &Farm,
    policy: RetryPolicy,
    id: JobId,
    frame: Frame,
    lease: LeaseId,
    failure: Failure,
) -> Decided {
    let job = lookup::job(farm, id)?;
    let task = lookup::task(job, frame)?;
    let slave = failure.slave;
    if let Some(lease) = farm.leases.get(&lease).filter(|lease| lease.bake && lease.slave == slave && lease.job == id) {
        return bake::fail(farm, policy, job, lease, failure);
    }
    let is_share = matches!(&task.state, TaskState::Sharing(sharing) if sharing.leased.contains_key(&lease));
    let is_whole =
        matches!(&task.state, TaskState::Leased { lease: of } | TaskState::Finishing { lease: of, .. } if *of == lease);
    let is_slaves = farm.leases.get(&lease).is_some_and(|lease| lease.slave == slave);
    if !(is_share || is_whole) || !is_slaves {
        return events([]);
    }
    let mut all = Vec::new();
    if is_share {
        all.push(Event::LeaseEnded { lease, end: LeaseEnd::Released });
    }
    let retry = policy.tries_again(task);
    all.push(Event::TaskFailed { job: id, frame, failure: Box::new(failure), retry });
    if retry::gives_up_on(policy, farm, job, slave) {
        all.extend(leases::blacklist(farm, id, slave));
    }
    events(all)
}

pub(super) fn spoil(farm: &Farm, id: JobId, frame: Frame, film: Digest) -> Decided {
    let task = lookup::task(lookup::job(farm, id)?, frame)?;
    let is_merged = task.merged().is_some_and(|merged| merged.result.film == film);
    let is_result = matches!(&task.state, TaskState::Done { result, .. } if result.needs(film));
    let merged = is_merged.then_some(Event::MergedSpoiled { job: id, frame });
    events(merged.into_iter().chain(is_result.then_some(Event::TaskSpoiled { job: id, frame })))
}
