//! Scheduling policy: which job gets the next slave.

use crate::env::{Env, info, spec};
use netrender_core::{
    decide::{Command, Refusal, Reply},
    model::{
        ids::{JobId, SlaveId},
        policy::Policy,
        spec::JobSpec,
    },
};
use proptest::prelude::*;
use std::cmp::Reverse;

fn shot(priority: u8, category: &str, frames: &str) -> JobSpec {
    JobSpec { priority, category: category.into(), ..spec(frames) }
}

fn set(env: &mut Env, policy: Policy) {
    env.step(Command::ChangePolicy { policy, seen: None }).unwrap();
}

/// The job from which the slave gets a frame.
fn next(env: &mut Env, slave: SlaveId) -> JobId {
    env.lease(slave).unwrap().job
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The order is priority, then not begun, then age, whatever the times and categories.
    #[test]
    fn the_usual_order_is_priority_then_new_then_age(
        jobs in prop::collection::vec((0u8..3, 1u8..4, 0u64..10_000_000), 1..8),
        helped in prop::collection::vec(0usize..8, 0..4),
    ) {
        let mut env = Env::new();
        for (priority, frames, wait) in &jobs {
            env.later(*wait);
            env.submit(shot(priority * 50, ["a", "b"][usize::from(*frames) % 2], &format!("1-{frames}")));
        }
        // Other slaves hold frames of some jobs.
        for (number, job) in helped.into_iter().enumerate() {
            let helper = env.register_as(&format!("helper {number}"), info());
            let job = JobId(u32::try_from(job % jobs.len()).unwrap() + 1);
            for other in env.farm.jobs.keys().copied().filter(|other| *other != job).collect::<Vec<_>>() {
                env.step(Command::Blacklist { job: other, slave: helper, listed: true }).unwrap();
            }
            env.lease(helper);
        }
        let slave = env.register("slave");
        loop {
            let open = env.farm.jobs.values().filter(|job| !job.waiting.is_empty());
            let first = open.min_by_key(|job| (Reverse(job.spec.priority), !job.is_new(), job.id)).map(|job| job.id);
            let lease = env.lease(slave);
            prop_assert_eq!(lease.as_ref().map(|lease| lease.job), first);
            let Some(lease) = lease else { break };
            env.hand_in_held(slave, &lease).unwrap();
        }
    }
}

#[test]
fn who_waits_for_long_enough_goes_before_a_higher_priority() {
    let mut env = Env::new();
    let slave = env.register("anna");
    let old = env.submit(shot(50, "", "1-9"));
    env.later(3 * 3_600_000);
    let urgent = env.submit(shot(55, "", "1-9"));
    assert_eq!(next(&mut env, slave), urgent);
    // 50 points and three hours of 2 points each, against 55
    set(&mut env, Policy { hour: 2.0, new_job: 0.0, ..Policy::default() });
    assert_eq!(next(&mut env, slave), old);
    set(&mut env, Policy { hour: 1.0, new_job: 0.0, ..Policy::default() });
    assert_eq!(next(&mut env, slave), urgent);
}

#[test]
fn a_category_that_has_many_slaves_lets_another_in() {
    let mut env = Env::new();
    let film = env.submit(shot(60, "film", "1-9"));
    let still = env.submit(shot(50, "still", "1-9"));
    set(&mut env, Policy { new_job: 0.0, category_slave: 6.0, ..Policy::default() });
    let slaves = ["anna", "bert", "carl", "dora"].map(|name| env.register(name));
    // 60, then 54 against 50, then 48 against 50, then 48 against 44
    assert_eq!(slaves.map(|slave| next(&mut env, slave)), [film, film, still, film]);
    // A slave's own lease does not count: it is over when the next begins.
    assert_eq!(next(&mut env, slaves[0]), film);
}

#[test]
fn a_new_job_may_be_worth_more_than_a_priority() {
    let mut env = Env::new();
    let slave = env.register("anna");
    let long = env.submit(shot(55, "", "1-9"));
    assert_eq!(next(&mut env, slave), long);
    let quick = env.submit(shot(50, "", "1"));
    let helper = env.register("bert");
    assert_eq!(next(&mut env, helper), long);
    set(&mut env, Policy { new_job: 10.0, ..Policy::default() });
    assert_eq!(next(&mut env, helper), quick);
}

#[test]
fn a_policy_out_of_bounds_or_an_outdated_one_changes_nothing() {
    let mut env = Env::new();
    for policy in [Policy { hour: -1.0, ..Policy::default() }, Policy { new_job: 100.5, ..Policy::default() }] {
        assert!(matches!(env.step(Command::ChangePolicy { policy, seen: None }), Err(Refusal::BadSetting(_))));
    }
    assert_eq!(env.farm.policy, Policy::default());
    let policy = Policy { hour: 2.0, ..Policy::default() };
    assert_eq!(env.step(Command::ChangePolicy { policy, seen: Some(0) }), Ok(Reply::Edited(1)));
    assert_eq!(env.step(Command::ChangePolicy { policy, seen: Some(1) }), Ok(Reply::Edited(1)), "as it is");
    let late = env.step(Command::ChangePolicy { policy: Policy::default(), seen: Some(0) }).unwrap_err().to_string();
    assert!(late.contains("2 for an hour"), "{late}");
    assert!(policy.in_words().iter().any(|line| line == "For each hour since it was sent: 2 more."));
}
