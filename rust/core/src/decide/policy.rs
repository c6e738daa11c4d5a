//! Scheduling policy: its change, and the order of jobs that follows from it.

use crate::{
    decide::{
        command::{Decided, Reply, answer},
        refusal::Refusal,
    },
    model::{
        event::Event,
        farm::Farm,
        ids::{JobId, SlaveId},
        job::Job,
        policy::Policy,
    },
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn change(farm: &Farm, policy: Policy, seen: Option<u32>) -> Decided {
    if seen.is_some_and(|seen| seen != farm.policy_edits) {
        return Err(Refusal::edited_meanwhile("the balance".into(), vec![farm.policy.to_string()]));
    }
    if policy == farm.policy {
        return answer([], Reply::Edited(farm.policy_edits));
    }
    policy.check().map_err(Refusal::BadSetting)?;
    answer([Event::PolicyChanged { policy }], Reply::Edited(farm.policy_edits + 1))
}

/// Sorts jobs by points, the most first: the order in which this slave gets them.
pub(super) fn in_order<'a>(farm: &Farm, jobs: impl Iterator<Item = &'a Job>, slave: SlaveId) -> Vec<&'a Job> {
    let jobs: Vec<&Job> = jobs.collect();
    let Policy { new_job, hour, category_slave } = farm.policy;
    // An hour is worth the same for all jobs, so only their ages relative to each other matter, and
    // the present time need not be known.
    let latest = jobs.iter().map(|job| job.created.0).max().unwrap_or_default();
    let busy = if category_slave > 0.0 { busy_by_category(farm, slave) } else { BTreeMap::new() };
    let points = |job: &Job| {
        let new = if job.is_new() { new_job } else { 0.0 };
        let hours = latest.saturating_sub(job.created.0) as f64 / 3_600_000.0;
        let others = busy.get(job.spec.category.as_str()).map_or(0, BTreeSet::len) as f64;
        f64::from(job.spec.priority) + new + hour * hours - category_slave * others
    };
    let mut rated: Vec<(f64, JobId, &Job)> = jobs.into_iter().map(|job| (points(job), job.id, job)).collect();
    rated.sort_by(|(one, first, _), (other, second, _)| other.total_cmp(one).then(first.cmp(second)));
    rated.into_iter().map(|(_, _, job)| job).collect()
}

/// The slaves that render jobs of each category, except the one that asks: what it holds is over
/// when it begins the next.
fn busy_by_category(farm: &Farm, but: SlaveId) -> BTreeMap<&str, BTreeSet<SlaveId>> {
    let mut busy: BTreeMap<&str, BTreeSet<SlaveId>> = BTreeMap::new();
    for lease in farm.leases.values().filter(|lease| lease.slave != but) {
        if let Some(job) = farm.jobs.get(&lease.job) {
            busy.entry(&job.spec.category).or_default().insert(lease.slave);
        }
    }
    busy
}
