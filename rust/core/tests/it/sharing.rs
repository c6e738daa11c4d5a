//! Frames that slaves render together: by samples, in tiles, stopped, continued.

use crate::env::{Env, info, result, spec};
use netrender_core::{
    decide::{Command, Refusal, Reply, why_kept_out, why_waiting},
    model::{
        build::{DeviceKind, Version},
        cut::{CutPlan, Span, Unit},
        ids::{Frame, JobId, SlaveId, Timestamp},
        job::JobState,
        job_settings::JobEdit,
        result::{FailureKind, TaskError, TaskResult},
        sharing::{Part, Sharing, efficiency},
        slave::SlaveInfo,
        spec::{JobSpec, Split},
        task::TaskState,
    },
    wire::{HeldLease, Want},
};
use std::collections::BTreeMap;

fn shared(frames: &str, samples: u32) -> JobSpec {
    let split = CutPlan {
        unit: Unit::Samples,
        total: samples,
        overlap: 0,
        layers: Default::default(),
        is_subset: true,
        finishes: false,
        denoises: false,
        can_grow_to: 256,
    };
    JobSpec { split: Split::Samples, cut: Some(split), ..spec(frames) }
}

fn sharing(env: &Env, job: JobId) -> &Sharing {
    match &env.farm.jobs[&job].tasks[&Frame(1)].state {
        TaskState::Sharing(sharing) => sharing,
        other => panic!("{other:?}"),
    }
}

/// Lets slaves, each with its speed in units per second, render a job until all its frames are
/// merged. Returns the units that each rendered, and the sizes of the shares in order.
fn render_together(env: &mut Env, job: JobId, speeds: &[(SlaveId, f64)]) -> (BTreeMap<SlaveId, u32>, Vec<u32>) {
    let mut busy: Vec<(f64, SlaveId, HeldLease)> = Vec::new();
    let (mut done, mut sizes) = (BTreeMap::new(), Vec::new());
    let mut now = 0.0;
    loop {
        for (slave, speed) in speeds {
            if busy.iter().all(|(_, other, _)| other != slave)
                && let Some(held) = env.lease(*slave)
            {
                let samples = held.share.unwrap().count;
                sizes.push(samples);
                busy.push((now + f64::from(samples) / speed, *slave, held));
            }
        }
        busy.sort_by(|one, other| one.0.total_cmp(&other.0));
        if busy.is_empty() {
            return (done, sizes);
        }
        let (at, slave, held) = busy.remove(0);
        let share = held.share.unwrap();
        let seconds = f64::from(share.count) / speeds.iter().find(|(of, _)| *of == slave).unwrap().1;
        now = at;
        let result = TaskResult { seconds, ..result(slave) };
        let part = Box::new(Part { share, result, view: None, build: None, warm_up_s: 0.0, at: Timestamp(0) });
        let frame = held.frames[0];
        let command = Command::HandInPart { job, frame, lease: held.lease, part };
        assert_eq!(env.step(command), Ok(Reply::HandedIn(true)));
        *done.entry(slave).or_default() += share.count;
        env.merge(job, frame);
    }
}

#[test]
fn slaves_share_a_frame_by_their_speed_and_end_together() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 10_000));
    let (slow, fast) = (env.register("slow"), env.register("fast"));
    let (done, sizes) = render_together(&mut env, job, &[(slow, 10.0), (fast, 30.0)]);
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
    let part = f64::from(done[&fast]) / 10_000.0;
    assert!((0.7..0.8).contains(&part), "the fast one did {part}");
    assert!(sizes.iter().all(|size| *size <= 30 * 8 || *size == 10_000 / 32), "{sizes:?}");
    assert!(*sizes.last().unwrap() <= 30, "the last shares take a second or so: {sizes:?}");
}

fn in_tiles(frames: &str, lines: u32) -> JobSpec {
    let mut spec = JobSpec { split: Split::Tiles, height: lines, ..shared(frames, lines) };
    let split = spec.cut.as_mut().unwrap();
    (split.unit, split.overlap, split.can_grow_to) = (Unit::Lines, 2, 0);
    spec
}

#[test]
fn tiles_are_neither_slivers_nor_most_of_the_frame() {
    for lines in [65, 100, 1080, 2161] {
        let mut env = Env::new();
        let job = env.submit(in_tiles("1", lines));
        let slaves = [("slow", 4.0), ("fast", 60.0)].map(|(name, speed)| (env.register(name), speed));
        // A slave that was fast in the sky does not get all of the ground.
        let (_, sizes) = render_together(&mut env, job, &slaves);
        assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
        let most = (lines / 4).max(31); // a rest below 16 lines is added to the tile before
        assert!(sizes.iter().all(|size| (16..=most).contains(size)), "{sizes:?}");
        assert!(*sizes.last().unwrap() <= 31, "the last ones are small: {sizes:?}");
    }
}

#[test]
fn tiles_are_larger_where_much_is_rendered_around_them() {
    let mut env = Env::new();
    let mut spec = in_tiles("1", 1080);
    spec.cut.as_mut().unwrap().overlap = 10;
    let job = env.submit(spec);
    let slaves = ["a", "b", "c"].map(|name| (env.register(name), 10.0));
    let (_, sizes) = render_together(&mut env, job, &slaves);
    assert!(sizes.iter().all(|size| (40..=180).contains(size)), "{sizes:?}");
}

#[test]
fn nobody_has_a_tile_for_later_that_another_could_render_now() {
    let mut env = Env::new();
    env.submit(in_tiles("1", 1080));
    let a = env.register("a");
    let first = env.lease(a).unwrap();
    let alone = env.poll(a, vec![first.clone()], Want::Ahead).grant.unwrap();
    assert!(alone.share.is_some(), "who is alone need not wait between two");
    let b = env.register("b");
    let other = env.lease(b).unwrap();
    assert_eq!(env.poll(b, vec![other], Want::Ahead).grant, None);
}

#[test]
fn a_tile_has_lines_around_its_own_where_the_picture_goes_on() {
    let spec = in_tiles("1", 100);
    let film_lines = |start, count| spec.film_lines(Some(Span { start, count }));
    assert_eq!((film_lines(0, 20), film_lines(20, 20), film_lines(90, 10), film_lines(0, 100)), (22, 24, 12, 100));
    assert_eq!((spec.film_lines(None), shared("1", 64).film_lines(Some(Span { start: 8, count: 8 }))), (100, 9));
    assert_eq!(spec.film_lines(Some(Span { start: u32::MAX, count: u32::MAX })), 0, "what a slave may claim");
}

#[test]
fn a_frame_of_tiles_gets_those_it_lacks_and_no_more() {
    let mut env = Env::new();
    let job = env.submit(in_tiles("1", 1080));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    assert!(env.hand_in_held(slave, &held).unwrap());
    env.step(Command::Stop { job, frames: None }).unwrap();
    env.merge(job, Frame(1));
    assert_eq!(env.farm.jobs[&job].tasks[&Frame(1)].merged().unwrap().count(), 270);
    env.step(Command::More { job, samples: 1, frames: None }).unwrap();
    render_together(&mut env, job, &[(slave, 100.0)]);
    assert_eq!(env.farm.jobs[&job].tasks[&Frame(1)].merged().unwrap().count(), 1080);
    let refused = env.step(Command::More { job, samples: 1, frames: None }).unwrap_err().to_string();
    assert!(refused.contains("to which lines could be added"), "{refused}");
    let refused = env.step(Command::More { job, samples: 1, frames: Some("1".parse().unwrap()) }).unwrap_err();
    assert!(refused.to_string().contains("rendered in tiles and has all of them"), "{refused}");
}

#[test]
fn a_job_of_tiles_has_as_many_lines_as_it_is_high() {
    let mut env = Env::new();
    let wrong: [fn(&mut CutPlan); 4] = [
        |split| split.total = 99,
        |split| split.can_grow_to = 200,
        |split| split.overlap = 65,
        |split| _ = split.layers.insert("Back".into(), 50),
    ];
    for change in wrong {
        let mut spec = in_tiles("1", 100);
        change(spec.cut.as_mut().unwrap());
        let refused = env.step(Command::Submit(Box::new(spec))).unwrap_err().to_string();
        assert!(refused.contains("as many as it is high"), "{refused}");
    }
}

#[test]
fn a_crash_in_a_shared_frame_costs_the_share() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let (a, b) = (env.register("a"), env.register("b"));
    let first = env.lease(a).unwrap();
    let second = env.lease(b).unwrap();
    assert!(env.hand_in_held(b, &second).unwrap());
    env.step(Command::Lose(a)).unwrap();
    let left = sharing(&env, job);
    assert_eq!((left.done_count(), left.free_count()), (2, 62), "what b did stays");
    assert!(env.hand_in_held(a, &first).unwrap(), "it comes back in time");
    assert!(!env.hand_in_held(a, &first).unwrap(), "once");
    let (done, _) = render_together(&mut env, job, &[(b, 8.0)]);
    assert_eq!(done[&b], 60);
}

#[test]
fn a_late_share_is_dropped_where_others_have_begun_its_samples() {
    let mut env = Env::new();
    env.submit(shared("1", 64));
    let (a, b) = (env.register("a"), env.register("b"));
    let late = env.lease(a).unwrap();
    env.step(Command::Lose(a)).unwrap();
    let again = env.lease(b).unwrap();
    assert_eq!(again.share, late.share);
    assert!(!env.hand_in_held(a, &late).unwrap());
    assert!(env.hand_in_held(b, &again).unwrap());
}

#[test]
fn frames_are_shared_when_there_are_fewer_than_slaves() {
    let mut env = Env::new();
    let job = env.submit(JobSpec { split: Split::Auto, ..shared("1-3", 64) });
    let slaves = [env.register("a"), env.register("b")];
    let whole = env.lease(slaves[0]).unwrap();
    assert_eq!((whole.share, whole.frames.clone()), (None, vec![Frame(1)]), "three frames for two slaves");
    let other = env.lease(slaves[1]).unwrap();
    assert_eq!(other.share, None, "two frames for two slaves");
    assert!(env.hand_in_held(slaves[0], &whole).unwrap());
    assert!(env.lease(slaves[0]).unwrap().share.is_some(), "the last one is for both");
    assert!(env.hand_in_held(slaves[1], &other).unwrap());
    assert!(env.lease(slaves[1]).unwrap().share.is_some());
    assert_eq!(env.farm.jobs[&job].counts.leased, 1);
}

#[test]
fn a_part_of_no_use_is_rendered_again_and_the_rest_stays() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let (a, _b) = (env.register("a"), env.register("b"));
    for _ in 0..2 {
        let held = env.lease(a).unwrap();
        env.hand_in_held(a, &held).unwrap();
    }
    let bad = sharing(&env, job).parts[1].share;
    let error = TaskError { kind: FailureKind::BadPart, message: "NaN".into() };
    env.step(Command::RejectPart { job, frame: Frame(1), share: bad, error }).unwrap();
    let left = sharing(&env, job);
    assert_eq!(left.parts.len(), 1);
    assert!(left.is_free(bad));
    assert_eq!(env.farm.jobs[&job].tasks[&Frame(1)].strikes, 1);
}

#[test]
fn a_part_of_other_samples_than_its_lease_s_takes_none_away() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let (a, b) = (env.register("a"), env.register("b"));
    let held = env.lease(a).unwrap();
    let other = Span { start: 40, count: 4 };
    let part =
        Box::new(Part { share: other, result: result(a), view: None, build: None, warm_up_s: 0.0, at: Timestamp(0) });
    let command = Command::HandInPart { job, frame: Frame(1), lease: held.lease, part };
    assert_eq!(env.step(command), Ok(Reply::HandedIn(true)), "nobody else had them");
    assert_eq!(sharing(&env, job).leased[&held.lease], held.share.unwrap(), "what it was given it still has");
    assert!(env.hand_in_held(a, &held).unwrap());
    render_together(&mut env, job, &[(b, 8.0)]);
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
}

#[test]
fn a_frame_is_stopped_and_handed_over_and_later_gets_the_rest() {
    let mut env = Env::new();
    let job = env.submit(shared("1-2", 64));
    let (a, b) = (env.register("a"), env.register("b"));
    let refused = env.step(Command::Stop { job, frames: None });
    assert!(matches!(refused, Err(Refusal::NothingToStop(_))), "{refused:?}");
    let first = env.lease(a).unwrap();
    let second = env.lease(b).unwrap();
    env.hand_in_held(a, &first).unwrap();
    env.step(Command::Stop { job, frames: None }).unwrap();
    assert_eq!(
        env.poll(b, vec![second.clone()], Want::Nothing).drop,
        std::slice::from_ref(&second),
        "who is at it hears of it"
    );
    assert_eq!(env.lease(a), None, "no other frame is begun");
    assert!(env.merge(job, Frame(1)));
    let of = |env: &Env| env.farm.jobs[&job].tasks[&Frame(1)].merged().map(|merged| merged.count());
    assert_eq!((of(&env), env.farm.jobs[&job].state), (Some(2), JobState::Paused));
    assert!(!env.hand_in_held(b, &second).unwrap(), "too late");

    // With more samples it gets at least those it lacks, and none is rendered twice.
    env.step(Command::More { job, samples: 8, frames: Some("1".parse().unwrap()) }).unwrap();
    env.step(Command::Resume(job)).unwrap();
    let (done, _) = render_together(&mut env, job, &[(a, 8.0), (b, 8.0)]);
    assert_eq!(done.values().sum::<u32>(), 62 + 64, "the rest of one and all of the other");
    assert_eq!((of(&env), env.farm.jobs[&job].state), (Some(64), JobState::Finished));
}

#[test]
fn a_finished_frame_gets_more_samples_as_far_as_they_stay_the_same() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let a = env.register("a");
    render_together(&mut env, job, &[(a, 8.0)]);
    let more = |samples| Command::More { job, samples, frames: None };
    let refused = env.step(more(193)).unwrap_err();
    assert!(refused.to_string().contains("up to 256"), "{refused}");
    env.step(more(64)).unwrap();
    assert_eq!(env.farm.jobs[&job].state, JobState::Active);
    let grant = env.poll(a, vec![], Want::Now).grant.unwrap();
    assert_eq!((grant.share.unwrap().start, grant.spec.frame_units()), (64, 128), "the slave knows of how many");
    env.step(Command::Lose(a)).unwrap();
    let (done, _) = render_together(&mut env, job, &[(a, 8.0)]);
    assert_eq!(done[&a], 64);
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);

    // A frame whose samples depend on their total number can't grow.
    let mut fixed = shared("1", 64);
    fixed.cut.as_mut().unwrap().can_grow_to = 0;
    let fixed = env.submit(fixed);
    render_together(&mut env, fixed, &[(a, 8.0)]);
    let refused = env.step(Command::More { job: fixed, samples: 1, frames: None }).unwrap_err();
    assert_eq!(refused.code(), netrender_core::wire::ErrorCode::CantGrow);
}

#[test]
fn what_was_merged_of_a_frame_and_rots_is_rendered_again() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let a = env.register("a");
    render_together(&mut env, job, &[(a, 8.0)]);
    env.step(Command::More { job, samples: 64, frames: None }).unwrap();
    let held = env.lease(a).unwrap();
    env.step(Command::Spoil { job, frame: Frame(1), film: result(a).film }).unwrap();
    env.hand_in_held(a, &held).unwrap();
    let (done, _) = render_together(&mut env, job, &[(a, 8.0)]);
    assert_eq!(done[&a] + held.share.unwrap().count, 128);
    assert_eq!(env.farm.jobs[&job].state, JobState::Finished);
}

#[test]
fn a_share_takes_as_long_as_the_slave_s_owner_says() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 100_000));
    let patient = env.register_as("patient", SlaveInfo { upload_interval_s: 60, ..info() });
    let hasty = env.register_as("hasty", SlaveInfo { upload_interval_s: 2, ..info() });
    let mut size = |slave| {
        // The first share of a slave shows its speed: 100 samples per second.
        let mut samples = 0;
        for _ in 0..2 {
            let held = env.lease(slave).unwrap();
            let share = held.share.unwrap();
            samples = share.count;
            let result = TaskResult { seconds: f64::from(samples) / 100.0, ..result(slave) };
            let part = Box::new(Part { share, result, view: None, build: None, warm_up_s: 0.0, at: Timestamp(0) });
            env.step(Command::HandInPart { job, frame: Frame(1), lease: held.lease, part }).unwrap();
        }
        samples
    };
    assert_eq!((size(patient), size(hasty)), (6000, 200));
}

#[test]
fn a_frame_is_drawn_by_one_build_on_one_kind_of_device() {
    let other_patch = || SlaveInfo { blender: Version([3, 4, 2]), ..info() };
    let other_build = || SlaveInfo { build_hash: "abcdef".into(), ..info() };
    let other_device = || SlaveInfo { device: DeviceKind::Cuda, ..info() };
    for other in [other_patch(), other_build(), other_device()] {
        let mut env = Env::new();
        let job = env.submit(shared("1", 64));
        let a = env.register("a");
        let b = env.register_as("b", other.clone());
        let held = env.lease(a).unwrap();
        assert_eq!(env.lease(b), None, "{other:?}");
        let why = why_kept_out(&env.farm, &env.farm.jobs[&job], &env.farm.slaves[&b]).unwrap();
        assert!(why.starts_with("frame 1 was begun with Blender 3.4.1 on CPU, and slave b has "), "{why}");
        // It may render another frame.
        let next = env.submit(shared("1-2", 64));
        let edit = JobEdit { priority: Some(100), ..JobEdit::default() };
        env.step(Command::Edit { job: next, edit, seen: None }).unwrap();
        let own = env.lease(b).unwrap();
        assert_eq!((own.job, own.frames.clone()), (next, vec![Frame(1)]));
        assert_eq!(env.lease(a).map(|held| held.frames), Some(vec![Frame(2)]));
        env.step(Command::Cancel(next)).unwrap();

        // Once all slaves of that build are gone, the job says what it waits for, and continues
        // with another slave of that build.
        env.hand_in_held(a, &held).unwrap();
        env.step(Command::Leave(a)).unwrap();
        let why = why_waiting(&env.farm, &env.farm.jobs[&job]);
        assert!(why.contains("frame 1 was begun with Blender 3.4.1 on CPU"), "{why}");
        let c = env.register("c");
        assert!(env.lease(c).is_some());
        // A late part of a slave that has another Blender by now is refused.
        let b_again = env.register_as("a", other.clone());
        let late = HeldLease { share: Some(Span { start: 40, count: 2 }), ..held };
        assert_eq!(env.hand_in_held(b_again, &late), Ok(false));
        assert_eq!(env.poll(b_again, vec![late.clone()], Want::Now).drop, [late]);
    }
}

#[test]
fn a_job_may_have_its_frames_drawn_by_anything() {
    let mut env = Env::new();
    env.submit(JobSpec { mixed: true, ..shared("1", 64) });
    let a = env.register("a");
    let b = env.register_as("b", SlaveInfo { device: DeviceKind::Cuda, ..info() });
    assert!(env.lease(a).is_some() && env.lease(b).is_some());
}

#[test]
fn more_samples_are_drawn_by_what_drew_the_first() {
    let mut env = Env::new();
    let job = env.submit(shared("1", 64));
    let a = env.register("a");
    render_together(&mut env, job, &[(a, 8.0)]);
    env.step(Command::Leave(a)).unwrap();
    let b = env.register_as("b", SlaveInfo { blender: Version([3, 4, 2]), ..info() });
    env.step(Command::More { job, samples: 64, frames: None }).unwrap();
    assert_eq!(env.lease(b), None);
    assert!(why_waiting(&env.farm, &env.farm.jobs[&job]).contains("slave b has Blender 3.4.2 on CPU"));
    let c = env.register("c");
    let (done, _) = render_together(&mut env, job, &[(c, 8.0)]);
    assert_eq!(done[&c], 64);
}

#[test]
fn sharing_that_does_not_pay_is_left() {
    let part = |slave, held: &HeldLease, seconds, warm_up_s| {
        let result = TaskResult { seconds, ..result(slave) };
        let part = Part { share: held.share.unwrap(), result, view: None, build: None, warm_up_s, at: Timestamp(0) };
        Command::HandInPart { job: held.job, frame: held.frames[0], lease: held.lease, part: Box::new(part) }
    };
    for (warm_up_s, helps) in [(3.0, false), (0.1, true)] {
        // Given a frame of which one slave rendered two samples in 20 ms, after it had loaded the
        // scene
        let mut env = Env::new();
        let (a, b) = (env.register("a"), env.register("b"));
        env.submit(JobSpec { split: Split::Auto, ..shared("1", 64) });
        let held = env.lease(a).unwrap();
        assert_eq!(held.share, Some(Span { start: 0, count: 2 }));
        env.step(part(a, &held, 0.02, warm_up_s)).unwrap();
        // Then another helps only if it can load the scene before the first has done the rest
        let share = env.lease(b).map(|held| held.share);
        assert_eq!(share, helps.then_some(Some(Span { start: 2, count: 2 })));
        // And once the first is gone, the other helps
        env.step(Command::Leave(a)).unwrap();
        assert!(env.poll(b, vec![], Want::Now).grant.is_some());
    }
}

#[test]
fn a_frame_that_takes_a_moment_is_not_shared() {
    let mut env = Env::new();
    let (a, _) = (env.register("a"), env.register("b"));
    let job = env.submit(JobSpec { split: Split::Auto, ..shared("1-2", 64) });
    // Given two frames for two slaves, and then one, which is shared
    assert_eq!(env.lease(a).unwrap().share, None);
    assert!(env.hand_in(a, job, Frame(1)));
    while let Some(held) = env.lease(a) {
        assert!(held.share.is_some());
        env.hand_in_held(a, &held).unwrap();
    }
    // When the slave needed less than two seconds for it
    assert!(env.farm.jobs[&job].speeds[&a] > 32_000);
    env.step(Command::Spoil { job, frame: Frame(2), film: result(a).film }).unwrap();
    // Then it is rendered whole
    assert_eq!(env.lease(a).unwrap().share, None);
}

#[test]
fn slaves_of_a_frame_are_as_busy_as_their_parts_say() {
    let part = |slave, at, seconds, warm_up_s| Part {
        share: Span { start: 0, count: 1 },
        result: TaskResult { seconds, ..result(SlaveId(slave)) },
        view: None,
        build: None,
        warm_up_s,
        at: Timestamp(at),
    };
    assert_eq!(efficiency(&[]), None);
    // One slave loaded for two of its ten seconds; a later one rendered for two of four.
    let parts = [part(1, 6_000, 4.0, 2.0), part(1, 10_000, 4.0, 0.0), part(2, 8_000, 2.0, 0.0)];
    assert_eq!(efficiency(&parts), Some(10.0 / 14.0));
}
