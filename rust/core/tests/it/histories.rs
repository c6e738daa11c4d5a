//! Random histories: slaves come, go, fail, return late and lose answers; jobs come and change; the
//! master restarts at any point. The invariants must hold after every step, and a replay of the log
//! must give the same farm.

use crate::env::{Env, info, spec};
use netrender_core::{
    decide::{Command, Refusal},
    model::{
        cut::{CutPlan, Unit},
        ids::{JobId, SlaveId},
        job::JobState,
        job_settings::JobEdit,
        lease::Lease,
        policy::Policy,
        result::{FailureKind, TaskError},
        slave::Duty,
        slave_settings::SlaveEdit,
        spec::{Simulations, Split},
        task::TaskState,
    },
    wire::{HeldLease, Want},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub enum Step {
    Submit {
        frames: u8,
        chunk: u8,
        priority: u8,
        /// Way of sharing, and whether a finish follows:
        /// 0: off; 1: samples; 2: auto, samples; 3: samples with a finish; 4: tiles; 5: auto, tiles
        /// with a finish.
        split: u8,
        /// 0: in order, where frames are not shared; 1: baked first; others: as they are.
        simulations: u8,
    },
    Register {
        slave: u8,
        started: bool,
    },
    /// A person orders a slave to work, to pause or to end.
    Order {
        slave: u8,
        duty: u8,
    },
    /// A person edits a job; `seen` is a revision plus 1, or 0 for none.
    Edit {
        job: u8,
        priority: u8,
        chunk: u8,
        seen: u8,
    },
    /// A person edits a slave; `seen` as above.
    EditSlave {
        slave: u8,
        tag: u8,
        threads: u8,
        seen: u8,
    },
    /// A person changes the policy; `seen` as above.
    ChangePolicy {
        new_job: u8,
        hour: u8,
        category_slave: u8,
        seen: u8,
    },
    /// Frames are rendered again; the job may lack some of them.
    RequeueFrames {
        job: u8,
        first: u8,
        last: u8,
    },
    /// A slave polls; `heard` is false if it loses the answer.
    Poll {
        slave: u8,
        want: u8,
        heard: bool,
    },
    HandIn {
        slave: u8,
        heard: bool,
    },
    Fail {
        slave: u8,
    },
    /// The slave loses everything that it holds, as in a crash.
    Forget(u8),
    Lose(u8),
    Leave(u8),
    Change {
        /// Counted back from the latest job.
        job: u8,
        verb: u8,
    },
    /// Shared frames are completed with the parts they have: all, or the first.
    Stop {
        job: u8,
        first: bool,
    },
    /// Done frames get more samples: all, or the first.
    More {
        job: u8,
        samples: u8,
        first: bool,
    },
    Restart,
    /// A snapshot is written, and the log emptied.
    Snapshot,
    /// The film of the first done or merged frame is found damaged.
    Spoil,
    /// The first part of a shared frame can't be merged.
    Reject,
    /// The slave restarts and has saved only the last frame of each lease.
    Salvage(u8),
    Blacklist {
        job: u8,
        slave: u8,
        listed: bool,
    },
}

pub fn step() -> impl Strategy<Value = Step> {
    let slave = 0u8..4;
    prop_oneof![
        2 => (1u8..6, 1u8..4, 0u8..3, 0u8..6, 0u8..4).prop_map(|(frames, chunk, priority, split, simulations)| {
            Step::Submit { frames, chunk, priority, split, simulations }
        }),
        2 => (slave.clone(), prop::bool::ANY).prop_map(|(slave, started)| Step::Register { slave, started }),
        1 => (slave.clone(), prop_oneof![3 => Just(0u8), 1 => 1u8..4]).prop_map(|(slave, duty)| Step::Order { slave, duty }),
        1 => (0u8..4, 0u8..3, 0u8..5, 0u8..3)
            .prop_map(|(job, priority, chunk, seen)| Step::Edit { job, priority, chunk, seen }),
        1 => (slave.clone(), 0u8..3, 0u8..4, 0u8..3)
            .prop_map(|(slave, tag, threads, seen)| Step::EditSlave { slave, tag, threads, seen }),
        1 => (0u8..4, 0u8..4, 0u8..4, 0u8..3).prop_map(|(new_job, hour, category_slave, seen)| {
            Step::ChangePolicy { new_job, hour, category_slave, seen }
        }),
        1 => (0u8..4, 1u8..5, 1u8..6).prop_map(|(job, first, last)| Step::RequeueFrames { job, first, last }),
        8 => (slave.clone(), 0u8..3, prop::bool::weighted(0.8))
            .prop_map(|(slave, want, heard)| Step::Poll { slave, want, heard }),
        7 => (slave.clone(), prop::bool::weighted(0.8)).prop_map(|(slave, heard)| Step::HandIn { slave, heard }),
        2 => slave.clone().prop_map(|slave| Step::Fail { slave }),
        1 => slave.clone().prop_map(Step::Forget),
        1 => slave.clone().prop_map(Step::Lose),
        1 => slave.clone().prop_map(Step::Leave),
        1 => slave.clone().prop_map(Step::Salvage),
        1 => (0u8..4, slave, prop::bool::ANY).prop_map(|(job, slave, listed)| Step::Blacklist { job, slave, listed }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Spoil),
        1 => Just(Step::Reject),
        1 => (0u8..4, prop::bool::ANY).prop_map(|(job, first)| Step::Stop { job, first }),
        2 => (0u8..4, 1u8..64, prop::bool::ANY).prop_map(|(job, samples, first)| Step::More { job, samples, first }),
        1 => (0u8..4, 0u8..6).prop_map(|(job, verb)| Step::Change { job, verb }),
        1 => Just(Step::Restart),
    ]
}

/// The slaves' side: what each believes that it holds.
#[derive(Default)]
pub struct Slaves {
    numbers: BTreeMap<u8, SlaveId>,
    hands: BTreeMap<u8, Vec<HeldLease>>,
}

pub fn play(env: &mut Env, slaves: &mut Slaves, step: Step) {
    match step {
        Step::Submit { frames, chunk, priority, split, simulations } => {
            let mut spec = spec(&format!("1-{frames}"));
            spec.chunk = u32::from(chunk);
            spec.priority = priority * 50;
            let kinds = [Split::Off, Split::Samples, Split::Auto, Split::Samples, Split::Tiles, Split::Auto];
            spec.split = kinds[usize::from(split)];
            let finishes = [3, 5].contains(&split);
            let in_lines = split > 3;
            if in_lines {
                spec.height = 100;
            }
            spec.cut = (split > 0).then(|| CutPlan {
                unit: if in_lines { Unit::Lines } else { Unit::Samples },
                total: if in_lines { 100 } else { 16 },
                overlap: if in_lines { 2 } else { 0 },
                layers: BTreeMap::new(),
                is_subset: true,
                finishes,
                denoises: finishes,
                can_grow_to: if in_lines { 0 } else { 64 },
            });
            spec.simulations = match simulations {
                0 if spec.cut.is_none() => Simulations::InOrder,
                1 => Simulations::Bake,
                _ => Simulations::AsIs,
            };
            env.submit(spec);
        }
        Step::Register { slave, started } => {
            let number = env.come(&format!("slave {slave}"), info(), started);
            let before = slaves.numbers.insert(slave, number);
            assert!(before.is_none_or(|before| before == number), "a slave keeps its number");
        }
        Step::Order { slave, duty } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let duty = [Duty::Work, Duty::Pause, Duty::Drain, Duty::Stop][usize::from(duty)];
            let done = env.step(Command::Order { slave: *number, duty });
            if done.is_ok() && duty == Duty::Stop {
                assert_eq!(env.farm.leases_of(*number).count(), 0, "its frames go back");
            }
        }
        Step::Edit { job, priority, chunk, seen } => {
            let job = latest(env, job);
            let edit = JobEdit {
                priority: Some(priority * 50),
                chunk: Some(u32::from(chunk)),
                name: (chunk == 1).then(|| "another".into()),
                ..JobEdit::default()
            };
            let before = env.farm.clone();
            let done = env.step(Command::Edit { job, edit, seen: (seen > 0).then(|| u32::from(seen) - 1) });
            if done.is_err() {
                assert_eq!(env.farm, before, "a refused edit changes nothing");
            }
        }
        Step::EditSlave { slave, tag, threads, seen } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let edit = Box::new(SlaveEdit {
                tags: (tag > 0).then(|| (tag > 1).then(|| ["big".to_owned()].into())),
                threads: (threads > 0).then(|| (threads > 1).then(|| u32::from(threads) - 2)),
                ..SlaveEdit::default()
            });
            let before = env.farm.clone();
            let seen = (seen > 0).then(|| u32::from(seen) - 1);
            if env.step(Command::EditSlave { slave: *number, edit, seen }).is_err() {
                assert_eq!(env.farm, before, "a refused edit changes nothing");
            }
        }
        Step::ChangePolicy { new_job, hour, category_slave, seen } => {
            let points = |choice: u8| [0.0, 0.5, 60.0, 101.0][usize::from(choice)];
            let (new_job, hour, category_slave) = (points(new_job), points(hour), points(category_slave));
            let before = env.farm.clone();
            let seen = (seen > 0).then(|| u32::from(seen) - 1);
            if env.step(Command::ChangePolicy { policy: Policy { new_job, hour, category_slave }, seen }).is_err() {
                assert_eq!(env.farm, before, "a refused change changes nothing");
            }
        }
        Step::RequeueFrames { job, first, last } => {
            let job = latest(env, job);
            let Ok(frames) = format!("{first}-{last}").parse() else { return };
            let _ = env.step(Command::RequeueFrames { job, frames });
        }
        Step::Poll { slave, want, heard } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let hands = slaves.hands.entry(slave).or_default();
            let want = [Want::Nothing, Want::Ahead, Want::Now][usize::from(want)];
            let reply = env.poll(*number, hands.clone(), want);
            if !heard {
                return;
            }
            for gone in reply.drop {
                for lease in hands.iter_mut().filter(|lease| lease.lease == gone.lease) {
                    lease.frames.retain(|frame| !gone.frames.contains(frame));
                }
            }
            hands.retain(|lease| !lease.frames.is_empty());
            if reply.stop {
                assert!(hands.is_empty(), "it ends with nothing in its hands");
                env.step(Command::Leave(*number)).unwrap();
            }
            if let Some(grant) = reply.grant {
                assert_eq!(env.farm.slaves[number].duty, Duty::Work, "others get nothing new");
                let (lease, job, share) = (grant.lease, grant.job, grant.share);
                let is_baked = env.farm.jobs[&job].baked.is_some();
                let must_bake = env.farm.jobs[&job].spec.simulations == Simulations::Bake && !is_baked;
                assert_eq!(
                    (grant.bake, grant.baked.is_some()),
                    (must_bake, is_baked),
                    "a bake comes before the frames"
                );
                let of_others = |lease: &&Lease| lease.job == job && lease.slave != *number;
                if env.farm.jobs[&job].spec.simulations == Simulations::InOrder {
                    assert_eq!(env.farm.leases.values().filter(of_others).count(), 0, "one slave at a time");
                }
                hands.push(HeldLease { lease, job, frames: grant.frames.clone(), share, bake: grant.bake });
            }
            // Both sides agree now: exactly what the slave holds is leased to it.
            let ours: BTreeMap<_, BTreeSet<_>> =
                env.farm.leases_of(*number).map(|lease| (lease.id, lease.frames.clone())).collect();
            let theirs = hands.iter().map(|lease| (lease.lease, lease.frames.iter().copied().collect()));
            assert_eq!(ours, theirs.collect());
        }
        Step::HandIn { slave, heard } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let Some(lease) = slaves.hands.get(&slave).and_then(|hands| hands.first()).cloned() else { return };
            let (job, frame) = (lease.job, lease.frames[0]);
            let open = env.farm.jobs.get(&job).filter(|job| job.state != JobState::Deleted);
            let Some((spec, task)) = open.map(|job| (job.spec.clone(), job.tasks[&frame].clone())) else {
                assert_eq!(env.hand_in_held(*number, &lease), Err(Refusal::UnknownJob(job)), "deleted");
                return forget_first(slaves, slave);
            };
            let canceled = env.farm.jobs[&job].state == JobState::Canceled;
            if lease.bake {
                let wanted = env.farm.jobs[&job].needs_bake() && !canceled;
                assert_eq!(env.hand_in_held(*number, &lease), Ok(wanted), "the first bake counts");
                assert!(canceled || env.farm.jobs[&job].baked.is_some());
                if heard {
                    forget_first(slaves, slave);
                }
                return;
            }
            let leased = |id| env.farm.leases.get(&id).is_some_and(|lease| lease.slave == *number);
            let wanted = match (&task.state, lease.share) {
                (TaskState::Done { .. }, _) => false,
                (TaskState::Finishing { lease, .. }, None) if task.goal().is_some() => leased(*lease),
                (_, None) => task.goal().is_none(),
                (TaskState::Sharing(sharing), Some(share)) => sharing.accepts(lease.lease, share),
                (_, Some(share)) => task.sharing(&spec).is_some_and(|sharing| sharing.is_free(share)),
            };
            assert_eq!(env.hand_in_held(*number, &lease), Ok(wanted && !canceled), "accepted exactly once");
            if heard {
                forget_first(slaves, slave);
            }
        }
        Step::Fail { slave } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let Some(lease) = slaves.hands.get(&slave).and_then(|hands| hands.first()) else { return };
            let error = TaskError { kind: FailureKind::RenderFailed, message: String::new() };
            let (slave_number, lease_id, job, frame) = (*number, lease.lease, lease.job, lease.frames[0]);
            let known = env.farm.jobs.get(&job).is_some_and(|job| job.state != JobState::Deleted);
            let told = env.step(Command::Fail { slave: slave_number, lease: lease_id, job, frame, error, log: None });
            assert_eq!(told.is_ok(), known);
            forget_first(slaves, slave);
        }
        Step::Salvage(slave) => {
            for lease in slaves.hands.entry(slave).or_default() {
                lease.frames.drain(..lease.frames.len() - 1);
            }
        }
        Step::Blacklist { job, slave, listed } => {
            let Some(number) = slaves.numbers.get(&slave) else { return };
            let job = latest(env, job);
            if env.step(Command::Blacklist { job, slave: *number, listed }).is_ok() && listed {
                assert!(env.farm.leases_of(*number).all(|lease| lease.job != job), "its frames go back");
            }
        }
        Step::Snapshot => env.snapshot(),
        Step::Reject => {
            let open = env.farm.jobs.values().filter(|job| job.state != JobState::Deleted);
            let shared = open.flat_map(|job| job.tasks.iter().map(|(frame, task)| (job.id, *frame, task)));
            let first = shared.into_iter().find_map(|(job, frame, task)| match &task.state {
                TaskState::Sharing(sharing) => sharing.parts.first().map(|part| (job, frame, part.share)),
                _ => None,
            });
            if let Some((job, frame, share)) = first {
                let error = TaskError { kind: FailureKind::BadPart, message: String::new() };
                env.step(Command::RejectPart { job, frame, share, error }).unwrap();
            }
        }
        Step::Stop { job, first } => {
            let job = latest(env, job);
            let frames = first.then(|| "1".parse().unwrap());
            if env.step(Command::Stop { job, frames }).is_ok() {
                env.merge_all();
                let shared = env.farm.jobs[&job].tasks.values().any(|task| match &task.state {
                    TaskState::Sharing(sharing) => !first && sharing.done_count() > 0,
                    _ => false,
                });
                assert!(!shared, "what was there is handed over");
            }
        }
        Step::More { job, samples, first } => {
            let job = latest(env, job);
            let frames = first.then(|| "1".parse().unwrap());
            let before = env.farm.clone();
            if env.step(Command::More { job, samples: u32::from(samples), frames }).is_err() {
                assert_eq!(env.farm, before, "all or none");
            }
        }
        Step::Spoil => {
            let open = env.farm.jobs.values().filter(|job| job.state != JobState::Deleted);
            let done = open.flat_map(|job| job.tasks.iter().map(|(frame, task)| (job.id, *frame, task)));
            let first = done.into_iter().find_map(|(job, frame, task)| match (&task.state, task.merged()) {
                (TaskState::Done { result, .. }, _) => Some(Command::Spoil { job, frame, film: result.film }),
                (_, Some(merged)) => Some(Command::Spoil { job, frame, film: merged.result.film }),
                _ => None,
            });
            if let Some(command) = first {
                env.step(command).unwrap();
            }
            let baked = env.farm.jobs.values().filter(|job| job.state != JobState::Deleted);
            let baked = baked.filter_map(|job| Some((job.id, job.baked.as_ref()?.blend))).next();
            if let Some((job, blend)) = baked {
                env.step(Command::SpoilBake { job, blend }).unwrap();
                assert!(env.farm.jobs[&job].needs_bake());
            }
        }
        Step::Forget(slave) => {
            slaves.hands.remove(&slave);
        }
        Step::Lose(slave) => {
            if let Some(number) = slaves.numbers.get(&slave) {
                env.step(Command::Lose(*number)).unwrap();
            }
        }
        Step::Leave(slave) => {
            if let Some(number) = slaves.numbers.get(&slave) {
                env.step(Command::Leave(*number)).unwrap();
                slaves.hands.remove(&slave);
            }
        }
        Step::Change { job, verb } => {
            let job = latest(env, job);
            let command = match verb {
                0 => Command::Pause(job),
                1 => Command::Resume(job),
                2 => Command::Cancel(job),
                3 => Command::Delete(job),
                4 => Command::Forget(job),
                _ => Command::Requeue(job),
            };
            let _ = env.step(command);
        }
        Step::Restart => {
            let again = env.replayed();
            assert_eq!(again, env.farm, "a replayed log is the same farm");
            env.farm = again;
        }
    }
}

fn latest(env: &Env, back: u8) -> JobId {
    let last = env.farm.jobs.keys().next_back().map_or(0, |job| job.0);
    JobId(last.saturating_sub(u32::from(back)))
}

fn forget_first(slaves: &mut Slaves, slave: u8) {
    let Some(hands) = slaves.hands.get_mut(&slave) else { return };
    hands[0].frames.remove(0);
    hands.retain(|lease| !lease.frames.is_empty());
}

/// Checks that one good slave ends every open job, whatever happened before.
pub fn finish(env: &mut Env) {
    let done_before: Vec<_> = env.farm.jobs.values().map(|job| job.counts.done).collect();
    assert_eq!(env.replayed(), env.farm);
    env.merge_all();
    for (id, state) in env.farm.jobs.values().map(|job| (job.id, job.state)).collect::<Vec<_>>() {
        if state == JobState::Paused {
            env.step(Command::Resume(id)).unwrap();
        }
    }
    for slave in env.farm.slaves.keys().copied().collect::<Vec<_>>() {
        env.step(Command::Lose(slave)).unwrap();
    }
    let last = env.register("last");
    while let Some(mut lease) = env.lease(last) {
        while !lease.frames.is_empty() {
            assert_eq!(env.hand_in_held(last, &lease), Ok(true));
            lease.frames.remove(0);
        }
    }
    for (job, before) in env.farm.jobs.values().zip(done_before) {
        assert!(!matches!(job.state, JobState::Active | JobState::Paused), "job {} is stuck", job.id);
        assert!(job.counts.done >= before, "a done frame was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_farm_sound(steps in prop::collection::vec(step(), 1..50)) {
        let mut env = Env::new();
        let mut slaves = Slaves::default();
        for step in steps {
            play(&mut env, &mut slaves, step);
        }
        prop_assert_eq!(env.replayed(), env.farm.clone());
        finish(&mut env);
    }
}
