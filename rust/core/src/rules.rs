//! What people can change about who gets the next slave. Everything is in points of priority, so that it can be weighed
//! against what artists give their jobs.

use crate::{
    edit::edited_meanwhile,
    error::Refusal,
    event::Event,
    farm::Farm,
    ids::{JobId, SlaveId},
    job::Job,
    scheduler::{Decision, Reply},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// No rule is worth more than the whole range of priorities.
const MAX_POINTS: f64 = 100.0;

/// What is worth how many points of priority. What is absent is as usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// More for a job of which nothing was begun. Half a point decides among equals only, so that a small job need not wait
    /// for a long queue.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub new_job: f64,
    /// More for each hour since a job was sent.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub hour: f64,
    /// Less for each other slave that renders jobs of the same category. Jobs without one count as one category.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 100))]
    pub category_slave: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { new_job: 0.5, hour: 0.0, category_slave: 0.0 }
    }
}

impl Rules {
    /// The whole of it, in sentences.
    pub fn in_words(&self) -> Vec<String> {
        let Self { new_job, hour, category_slave } = self;
        vec![
            "The job with the most points gets the next slave that can do it; of equals, the one that was sent first."
                .into(),
            "A job's points are its priority, 0 to 100.".into(),
            format!("While nothing of it was begun: {new_job} more."),
            format!("For each hour since it was sent: {hour} more."),
            format!("For each other slave that renders jobs of its category: {category_slave} less."),
        ]
    }

    fn check(&self) -> Result<(), String> {
        let all = [
            ("what a new job is worth", self.new_job),
            ("what an hour is worth", self.hour),
            ("what a slave of the category costs", self.category_slave),
        ];
        match all.into_iter().find(|(_, points)| !(0.0..=MAX_POINTS).contains(points)) {
            Some((what, points)) => Err(format!("{what} is 0 to 100 points, not {points}")),
            None => Ok(()),
        }
    }
}

/// The jobs in the order in which this slave is to get them.
pub(crate) fn in_order<'a>(farm: &Farm, jobs: impl Iterator<Item = &'a Job>, slave: SlaveId) -> Vec<&'a Job> {
    let jobs: Vec<&Job> = jobs.collect();
    let Rules { new_job, hour, category_slave } = farm.rules;
    // An hour is worth the same for all, so how long ago that was need not be known, only how much earlier.
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

/// The slaves that have work of each category, this one aside: what it has is over when the next begins.
fn busy_by_category(farm: &Farm, but: SlaveId) -> BTreeMap<&str, BTreeSet<SlaveId>> {
    let mut busy: BTreeMap<&str, BTreeSet<SlaveId>> = BTreeMap::new();
    for lease in farm.leases.values().filter(|lease| lease.slave != but) {
        if let Some(job) = farm.jobs.get(&lease.job) {
            busy.entry(&job.spec.category).or_default().insert(lease.slave);
        }
    }
    busy
}

/// `seen`: the number of the last change known to whoever changes them; None: whatever happened meanwhile.
pub(crate) fn change(farm: &Farm, rules: Rules, seen: Option<u32>) -> Result<Decision, Refusal> {
    if seen.is_some_and(|seen| seen != farm.rule_edits) {
        return Err(edited_meanwhile("the balance".into(), vec![farm.rules.to_string()]));
    }
    if rules == farm.rules {
        return Decision::new(vec![], Reply::Edited(farm.rule_edits));
    }
    rules.check().map_err(Refusal::BadSetting)?;
    Decision::new(vec![Event::RulesChanged { rules }], Reply::Edited(farm.rule_edits + 1))
}

/// `0.5 points for a new job, 1 for an hour, 0 less for a slave of the category`.
impl std::fmt::Display for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { new_job, hour, category_slave } = self;
        write!(
            f,
            "{new_job} points for a new job, {hour} for an hour, {category_slave} less for a slave of the category"
        )
    }
}
