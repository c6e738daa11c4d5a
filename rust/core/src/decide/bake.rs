//! Baking of a job's simulations, before its frames are leased: by one slave at a time, whose lease
//! holds a frame's place in the queue.

use crate::{
    decide::{
        command::{Decided, Reply, answer, events},
        eligibility::fit_slaves,
        leases, lookup, retry,
    },
    model::{
        digest::Digest,
        event::Event,
        farm::Farm,
        ids::JobId,
        job::{Job, JobState},
        lease::{Lease, LeaseEnd},
        result::{Baked, Failure},
        retry::RetryPolicy,
        slave::Slave,
    },
};

/// True if the slave may bake the job now. One that failed to may again only if no other slave
/// could.
pub(super) fn may_bake(farm: &Farm, job: &Job, slave: &Slave) -> bool {
    let untried = |other: &Slave| job.bake_failures.iter().all(|failure| failure.slave != other.id);
    lookup::bake_lease(farm, job.id).is_none() && (untried(slave) || !fit_slaves(farm, job).any(untried))
}

/// The first result counts, also a late one of a lease that was lost. Others are dropped: all
/// frames come from one bake.
pub(super) fn hand_in(farm: &Farm, id: JobId, baked: Box<Baked>) -> Decided {
    let job = lookup::job(farm, id)?;
    let is_fresh = job.needs_bake() && job.state != JobState::Canceled;
    if !is_fresh {
        return answer([], Reply::HandedIn(false));
    }
    let ended = leases::end_all(lookup::bake_lease(farm, id).into_iter(), LeaseEnd::Released);
    answer(ended.into_iter().chain([Event::JobBaked { job: id, baked }]), Reply::HandedIn(true))
}

pub(super) fn fail(farm: &Farm, policy: RetryPolicy, job: &Job, lease: &Lease, failure: Failure) -> Decided {
    let slave = failure.slave;
    let retry = job.bake_failures.len() as u32 + 1 < policy.attempts;
    let mut all = leases::end_all([lease].into_iter(), LeaseEnd::Released);
    all.push(Event::BakeFailed { job: job.id, failure: Box::new(failure), retry });
    if retry::gives_up_on(policy, farm, job, slave) {
        all.extend(leases::blacklist(farm, job.id, slave));
    }
    events(all)
}

pub(super) fn spoil(farm: &Farm, id: JobId, blend: Digest) -> Decided {
    let job = lookup::job(farm, id)?;
    let is_baked = job.baked.as_ref().is_some_and(|baked| baked.blend == blend);
    events(is_baked.then_some(Event::BakeSpoiled { job: id }))
}
