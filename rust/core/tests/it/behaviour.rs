//! Behaviour that an artist or a slave's owner would notice, one in each test.

use crate::env::{Env, result, spec};
use netrender_core::{
    decide::{Command, Refusal, why_waiting},
    model::{
        digest::Digest,
        frames::MAX_FRAMES_OF_FARM,
        ids::{Frame, LeaseId},
        job::JobState,
        job_settings::JobEdit,
        result::{OutputFile, TaskResult},
        task::TaskState,
    },
    wire::{HeldLease, Want},
};

#[test]
fn a_job_is_rendered_frame_by_frame() {
    let mut env = Env::new();
    let job = env.submit(spec("1-3"));
    let slave = env.register("a");
    assert_eq!(env.farm.jobs[&job].status(), "Queued");
    for frame in 1..=3 {
        let lease = env.lease(slave).unwrap();
        assert_eq!(lease.frames, [Frame(frame)]);
        assert!(env.hand_in(slave, job, Frame(frame)));
    }
    assert_eq!(env.farm.jobs[&job].status(), "Finished");
    assert_eq!(env.lease(slave), None);
}

#[test]
fn a_second_result_for_a_frame_is_dropped() {
    let mut env = Env::new();
    let job = env.submit(spec("1-2"));
    let slave = env.register("a");
    env.lease(slave).unwrap();
    assert!(env.hand_in(slave, job, Frame(1)));
    assert!(!env.hand_in(slave, job, Frame(1)));
}

#[test]
fn a_lost_slaves_frame_goes_to_another_and_its_late_result_is_welcome() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let (first, second) = (env.register("a"), env.register("b"));
    env.lease(first).unwrap();
    env.step(Command::Lose(first)).unwrap();
    env.lease(second).unwrap();
    assert!(env.hand_in(first, job, Frame(1)), "work is never wasted");
    assert!(!env.hand_in(second, job, Frame(1)));
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
}

#[test]
fn a_slave_keeps_its_lease_through_a_restart_of_the_master() {
    let mut env = Env::new();
    let job = env.submit(spec("1-2"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.farm = env.replayed();
    let reply = env.poll(slave, vec![held], Want::Nothing);
    assert!(reply.is_empty());
    assert_eq!(env.farm.jobs[&job].counts.leased, 1);
}

#[test]
fn a_lost_slave_that_returns_gets_its_unfinished_frames_back() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.step(Command::Lose(slave)).unwrap();
    assert_eq!(env.farm.jobs[&job].counts.waiting, 1);
    assert!(env.poll(slave, vec![held.clone()], Want::Nothing).is_empty());
    assert_eq!(env.farm.jobs[&job].tasks[&Frame(1)].state, TaskState::Leased { lease: held.lease });
}

#[test]
fn a_poll_from_before_a_failure_does_not_take_the_frame_back() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.fail(slave, held.lease, job, Frame(1));
    assert_eq!(env.poll(slave, vec![held.clone()], Want::Now).drop, [held]);
    assert!(env.lease(slave).is_some(), "its second attempt is a lease of its own");
}

#[test]
fn a_grant_that_never_arrived_is_given_again_at_the_next_poll() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    let lost = env.lease(slave).unwrap();
    let again = env.lease(slave).unwrap();
    assert_ne!(lost.lease, again.lease);
    assert_eq!((again.job, again.frames), (job, vec![Frame(1)]));
}

#[test]
fn a_canceled_job_is_dropped_by_its_slaves_at_once() {
    let mut env = Env::new();
    let job = env.submit(spec("1-2"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.step(Command::Cancel(job)).unwrap();
    assert_eq!(env.poll(slave, vec![held.clone()], Want::Nothing).drop, [held]);
    assert!(!env.hand_in(slave, job, Frame(1)));
}

#[test]
fn a_frame_fails_only_after_three_attempts_and_elsewhere_first() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let (first, second) = (env.register("a"), env.register("b"));
    let lease = env.lease(first).unwrap();
    env.fail(first, lease.lease, job, Frame(1));
    assert_eq!(env.lease(first), None, "the other slave shall try");
    let lease = env.lease(second).unwrap();
    env.fail(second, lease.lease, job, Frame(1));
    let lease = env.lease(first).unwrap();
    env.fail(first, lease.lease, job, Frame(1));
    assert_eq!(env.farm.jobs[&job].state, JobState::Failed);
    env.step(Command::Requeue(job)).unwrap();
    assert_eq!(env.farm.jobs[&job].state, JobState::Active);
    assert!(env.lease(second).is_some());
}

#[test]
fn a_stale_lease_cannot_fail_a_frame() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    env.lease(slave).unwrap();
    env.fail(slave, LeaseId(99), job, Frame(1));
    assert!(env.farm.jobs[&job].tasks[&Frame(1)].failures.is_empty());
}

#[test]
fn a_new_job_comes_before_the_rest_of_a_long_one_and_priority_before_both() {
    let mut env = Env::new();
    let slave = env.register("a");
    let long = env.submit(spec("1-100"));
    assert_eq!(env.lease(slave).unwrap().job, long);
    env.hand_in(slave, long, Frame(1));
    let small = env.submit(spec("1-2"));
    assert_eq!(env.lease(slave).unwrap().job, small);
    env.hand_in(slave, small, Frame(1));
    assert_eq!(env.lease(slave).unwrap().job, long, "then the oldest");
    env.hand_in(slave, long, Frame(2));
    let edit = JobEdit { priority: Some(60), ..JobEdit::default() };
    env.step(Command::Edit { job: small, edit, seen: None }).unwrap();
    assert_eq!(env.lease(slave).unwrap().job, small);
}

#[test]
fn the_last_frames_are_kept_for_idle_slaves() {
    let mut env = Env::new();
    let (busy, _idle) = (env.register("a"), env.register("b"));
    let job = env.submit(spec("1-2"));
    let held = env.lease(busy).unwrap();
    let ahead = env.poll(busy, vec![held.clone()], Want::Ahead);
    assert!(ahead.is_empty(), "frame 2 is for the idle slave");
    let more = env.submit(spec("1-10"));
    let ahead = env.poll(busy, vec![held], Want::Ahead).grant.unwrap();
    assert!(ahead.job == more || ahead.job == job);
}

#[test]
fn a_job_says_why_it_waits() {
    let mut env = Env::new();
    let mut wrong = spec("1");
    wrong.blender = [5, 0];
    let job = env.submit(wrong);
    let why = |env: &Env| why_waiting(&env.farm, &env.farm.jobs[&job]);
    assert_eq!(why(&env), "no slave is there: start one");
    env.register("a");
    assert!(why(&env).contains("it has Blender 3.4.1, the job needs 5.0"), "{}", why(&env));
}

#[test]
fn the_time_left_follows_from_what_is_done() {
    let mut env = Env::new();
    let job = env.submit(spec("1-5"));
    let a = env.register("a");
    let left = |env: &Env, slaves| env.farm.jobs[&job].seconds_left(slaves);
    assert_eq!(left(&env, 1), None, "nothing is known of its frames yet");
    env.lease(a).unwrap();
    assert!(env.hand_in(a, job, Frame(1)));
    let one = result(a).seconds;
    assert_eq!(left(&env, 1), Some(4.0 * one));
    assert_eq!(left(&env, 2), Some(2.0 * one));
    assert_eq!(left(&env, 9), Some(one), "no more slaves than frames help");
    assert_eq!(left(&env, 0), None, "nobody is at it");
    env.step(Command::Pause(job)).unwrap();
    assert_eq!(left(&env, 1), None);
}

#[test]
fn nonsense_is_refused() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    let mut bad = spec("1");
    bad.engine = "NET_RENDER".into();
    assert!(matches!(env.step(Command::Submit(Box::new(bad))), Err(Refusal::BadSpec(_))));
    assert_eq!(
        env.step(Command::Lose(netrender_core::model::ids::SlaveId(9))),
        Err(Refusal::UnknownSlave(netrender_core::model::ids::SlaveId(9)))
    );
    let held = HeldLease { lease: LeaseId(u64::MAX), job, frames: vec![Frame(1), Frame(77)], share: None, bake: false };
    assert_eq!(env.poll(slave, vec![held.clone()], Want::Nothing).drop, [held], "a lease nobody gave");
}

#[test]
fn a_slave_that_keeps_failing_gets_no_more_of_the_job_while_another_can_do_it() {
    let mut env = Env::new();
    let mut spec = spec("1-9");
    spec.chunk = 2;
    let job = env.submit(spec);
    let (bad, good) = (env.register("bad"), env.register("good"));
    for _ in 0..3 {
        assert!(!env.farm.jobs[&job].blacklist.contains(&bad));
        let lease = env.lease(bad).unwrap();
        env.fail(bad, lease.lease, job, lease.frames[0]);
    }
    assert!(env.farm.jobs[&job].blacklist.contains(&bad));
    assert_eq!(env.farm.leases_of(bad).count(), 0, "what it had left goes back");
    assert_eq!(env.lease(bad), None);
    while let Some(lease) = env.lease(good) {
        for frame in lease.frames {
            env.hand_in(good, job, frame);
        }
    }
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
}

#[test]
fn the_only_slave_is_never_blacklisted_by_its_failures() {
    let mut env = Env::new();
    let job = env.submit(spec("1-2"));
    let slave = env.register("a");
    while let Some(lease) = env.lease(slave) {
        env.fail(slave, lease.lease, job, lease.frames[0]);
    }
    let job = &env.farm.jobs[&job];
    assert!(job.blacklist.is_empty());
    assert_eq!((job.state, job.counts.failed), (JobState::Failed, 2), "the job is at fault, and ends");
}

#[test]
fn a_frame_done_in_between_forgives_a_slave() {
    let mut env = Env::new();
    let job = env.submit(spec("1-9"));
    let (slave, _other) = (env.register("a"), env.register("b"));
    for round in 0..4 {
        let lease = env.lease(slave).unwrap();
        env.fail(slave, lease.lease, job, lease.frames[0]);
        let lease = env.lease(slave).unwrap();
        assert!(env.hand_in(slave, job, lease.frames[0]), "round {round}");
    }
    assert!(env.farm.jobs[&job].blacklist.is_empty());
}

#[test]
fn a_deleted_job_is_gone_and_its_number_is_not_given_again() {
    let mut env = Env::new();
    let first = env.submit(spec("1-2"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.step(Command::Delete(first)).unwrap();
    assert_eq!(env.step(Command::Pause(first)), Err(Refusal::UnknownJob(first)));
    assert_eq!(env.poll(slave, vec![held.clone()], Want::Nothing).drop, [held], "the slave is told");
    env.step(Command::Forget(first)).unwrap();
    assert!(env.farm.jobs.is_empty());
    assert_ne!(env.submit(spec("1")), first);
}

#[test]
fn a_submission_repeated_because_its_answer_was_lost_is_one_job() {
    let mut env = Env::new();
    let mut first = spec("1-2");
    first.key = "abc".into();
    let mut second = first.clone();
    second.key = "def".into();
    let job = env.submit(first.clone());
    assert_eq!(env.submit(first), job);
    assert_ne!(env.submit(second), job);
    assert_ne!(env.submit(spec("1-2")), env.submit(spec("1-2")), "without a key there is nothing to know it by");
}

#[test]
fn a_farm_keeps_no_more_frames_than_its_memory_bears() {
    let mut env = Env::new();
    let old = env.submit(spec("1"));
    env.farm.jobs.get_mut(&old).unwrap().counts.done = u32::try_from(MAX_FRAMES_OF_FARM - 1).unwrap();
    let refused = env.step(Command::Submit(Box::new(spec("1-2")))).unwrap_err();
    assert!(matches!(&refused, Refusal::BadSpec(why) if why.contains("delete jobs")), "{refused}");
}

#[test]
fn a_rotten_picture_is_rendered_again() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    env.lease(slave).unwrap();
    env.hand_in(slave, job, Frame(1));
    let TaskState::Done { result, .. } = env.farm.jobs[&job].tasks[&Frame(1)].state.clone() else { panic!() };
    let other = netrender_core::model::digest::Digest([9; 32]);
    env.step(Command::Spoil { job, frame: Frame(1), film: other }).unwrap();
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished, "an old complaint changes nothing");
    env.step(Command::Spoil { job, frame: Frame(1), film: result.film }).unwrap();
    assert_eq!(env.lease(slave).unwrap().frames, [Frame(1)]);
}

#[test]
fn a_frame_is_rendered_again_when_a_file_of_a_file_output_node_is_damaged() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    let slave = env.register("a");
    env.lease(slave).unwrap();
    let digest = Digest([9; 32]);
    let outputs = vec![OutputFile { path: "File Output/beauty_0001.png".into(), digest, bytes: 1 }];
    let done = Box::new(TaskResult { outputs, ..result(slave) });
    env.step(Command::HandIn { job, frame: Frame(1), result: done }).unwrap();
    env.step(Command::Spoil { job, frame: Frame(1), film: Digest([8; 32]) }).unwrap();
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
    env.step(Command::Spoil { job, frame: Frame(1), film: digest }).unwrap();
    assert_eq!(env.lease(slave).unwrap().frames, [Frame(1)]);
}

#[test]
fn what_a_slave_did_not_save_of_a_lease_goes_back_at_once() {
    let mut env = Env::new();
    let mut spec = spec("1-3");
    spec.chunk = 3;
    let job = env.submit(spec);
    let slave = env.register("a");
    let mut held = env.lease(slave).unwrap();
    held.frames = vec![Frame(1)];
    let reply = env.poll(slave, vec![held], Want::Now);
    assert_eq!(reply.drop, []);
    assert_eq!(reply.grant.unwrap().frames, [Frame(2), Frame(3)]);
    assert!(env.hand_in(slave, job, Frame(1)));
}
