//! Simulations that are not baked: baked by one slave before any frame is leased, or rendered in
//! order by one slave at a time.

use crate::env::{Env, baked, spec};
use netrender_core::{
    decide::{Command, Reply, decide, why_waiting},
    model::{
        farm::Farm,
        ids::{Frame, JobId, SlaveId, Timestamp},
        job::JobState,
        retry::RetryPolicy,
        spec::{JobSpec, Simulations, Split},
        task::TaskState,
    },
    wire::{HeldLease, Want},
};

fn job_of(simulations: Simulations) -> JobSpec {
    JobSpec { simulations, ..spec("1-3") }
}

/// A farm with two slaves and a job whose simulations are to be baked.
fn to_bake() -> (Env, JobId, SlaveId, SlaveId) {
    let mut env = Env::new();
    let (anna, berta) = (env.register("anna"), env.register("berta"));
    let job = env.submit(job_of(Simulations::Bake));
    (env, job, anna, berta)
}

fn fail(env: &mut Env, slave: SlaveId, lease: &HeldLease) {
    env.fail(slave, lease.lease, lease.job, lease.frames[0]);
}

#[test]
fn frames_wait_until_one_slave_has_baked_and_all_come_from_that_bake() {
    let (mut env, job, anna, berta) = to_bake();
    let lease = env.lease(anna).unwrap();
    assert!(lease.bake);
    assert_eq!(env.farm.jobs[&job].status(), "Baking");
    assert_eq!(env.lease(berta), None, "one slave bakes");
    assert_eq!(env.hand_in_held(anna, &lease), Ok(true));
    assert_eq!(env.hand_in_held(anna, &lease), Ok(false), "the second answer is that it is known");
    for slave in [anna, berta] {
        let grant = env.poll(slave, vec![], Want::Now).grant.unwrap();
        assert_eq!((grant.bake, grant.baked), (false, Some(baked(anna).blend)));
    }
}

#[test]
fn a_bake_of_a_lost_slave_is_begun_again_and_a_late_one_is_welcome() {
    let (mut env, job, anna, berta) = to_bake();
    let first = env.lease(anna).unwrap();
    env.step(Command::Lose(anna)).unwrap();
    let second = env.lease(berta).unwrap();
    assert!(second.bake);
    // The lost slave comes back and is told to drop it, but its result would count.
    assert_eq!(env.poll(anna, vec![first.clone()], Want::Nothing).drop, std::slice::from_ref(&first));
    assert_eq!(env.hand_in_held(anna, &first), Ok(true));
    assert_eq!(env.poll(berta, vec![second.clone()], Want::Nothing).drop, std::slice::from_ref(&second));
    assert_eq!(env.hand_in_held(berta, &second), Ok(false));
    assert_eq!(env.farm.jobs[&job].baked.as_ref().unwrap().slave, anna);
}

#[test]
fn a_slave_that_still_bakes_gets_its_lease_back_after_it_was_lost() {
    let (mut env, _, anna, berta) = to_bake();
    let lease = env.lease(anna).unwrap();
    env.step(Command::Lose(anna)).unwrap();
    assert!(env.poll(anna, vec![lease.clone()], Want::Nothing).drop.is_empty());
    assert_eq!(env.lease(berta), None);
    env.step(Command::Cancel(lease.job)).unwrap();
    assert_eq!(env.poll(anna, vec![lease.clone()], Want::Nothing).drop, [lease]);
}

#[test]
fn a_bake_that_fails_is_tried_elsewhere_and_at_last_fails_the_job_in_words() {
    let (mut env, job, anna, berta) = to_bake();
    let first = env.lease(anna).unwrap();
    fail(&mut env, anna, &first);
    assert_eq!(env.lease(anna), None, "another slave could do it");
    let second = env.lease(berta).unwrap();
    fail(&mut env, berta, &second);
    let third = env.lease(anna).unwrap();
    fail(&mut env, anna, &third);
    let failed = &env.farm.jobs[&job];
    assert_eq!((failed.state, failed.counts.failed), (JobState::Failed, 3));
    assert!(failed.tasks.values().all(|task| failed.last_failure(task).unwrap().error.message == "no camera"));

    env.snapshot();
    assert_eq!(env.replayed(), env.farm);

    env.step(Command::Requeue(job)).unwrap();
    env.snapshot();
    assert_eq!(env.replayed(), env.farm);
    let again = env.lease(berta).unwrap();
    assert!(again.bake, "a requeue bakes again, with all attempts");
    assert_eq!(env.hand_in_held(berta, &again), Ok(true));
    assert!(env.lease(anna).is_some_and(|lease| !lease.bake));
}

#[test]
fn a_damaged_bake_is_made_again_and_what_is_rendered_stays() {
    let (mut env, job, anna, berta) = to_bake();
    let lease = env.lease(anna).unwrap();
    env.hand_in_held(anna, &lease).unwrap();
    let frame = env.lease(anna).unwrap();
    env.hand_in_held(anna, &frame).unwrap();
    let going_on = env.lease(anna).unwrap();
    env.step(Command::SpoilBake { job, blend: baked(anna).blend }).unwrap();
    let again = env.lease(berta).unwrap();
    assert!(again.bake);
    assert_eq!(env.hand_in_held(anna, &going_on), Ok(true), "its slave has the file");
    assert_eq!(env.farm.jobs[&job].counts.done, 2);
    env.snapshot();
    assert_eq!(env.replayed(), env.farm);
}

#[test]
fn frames_in_order_are_on_one_slave_at_a_time() {
    let mut env = Env::new();
    let (anna, berta) = (env.register("anna"), env.register("berta"));
    let job = env.submit(job_of(Simulations::InOrder));
    let first = env.lease(anna).unwrap();
    assert_eq!(env.lease(berta), None);
    let ahead = env.poll(anna, vec![first.clone()], Want::Ahead).grant.unwrap();
    assert_eq!(ahead.frames, [Frame(2)], "an idle slave does not keep it from the next");
    assert_eq!(why_waiting(&env.farm, &env.farm.jobs[&job]), "");
    env.step(Command::Lose(anna)).unwrap();
    assert_eq!(env.lease(berta).unwrap().frames, [Frame(1)]);
}

#[test]
fn frames_in_order_are_not_shared() {
    let spec = JobSpec { split: Split::Auto, ..job_of(Simulations::InOrder) };
    let farm = Farm::default();
    let refused = decide(&farm, Timestamp(0), RetryPolicy::default(), Command::Submit(Box::new(spec)));
    assert_eq!(refused.unwrap_err().to_string(), "frames that one slave renders in order can't be shared out");
}

#[test]
fn a_job_without_the_choice_is_written_as_before() {
    let text = serde_json::to_string(&job_of(Simulations::AsIs)).unwrap();
    assert!(!text.contains("simulations"));
    let text = serde_json::to_string(&job_of(Simulations::InOrder)).unwrap();
    assert!(text.contains(r#""simulations":"in_order""#), "{text}");
}

#[test]
fn a_frame_that_is_handed_in_late_does_not_keep_the_bake_from_going_on() {
    let (mut env, job, anna, _) = to_bake();
    let lease = env.lease(anna).unwrap();
    assert!(env.hand_in(anna, job, Frame(1)));
    assert!(matches!(env.farm.jobs[&job].tasks[&Frame(1)].state, TaskState::Done { .. }));
    assert_eq!(env.poll(anna, vec![lease.clone()], Want::Nothing).drop, [lease]);
    assert!(matches!(env.step(Command::Pause(job)), Ok(Reply::Ok)));
}
