//! Control of jobs and slaves from the monitor, one behaviour in each test.

use crate::env::{Env, info, spec};
use netrender_core::{
    decide::{Command, Refusal, Reply, why_waiting},
    model::{
        ids::Frame,
        job::JobState,
        job_settings::JobEdit,
        slave::{Duty, SlaveState},
        slave_settings::{SettingsUpdate, SlaveEdit, SlaveReport, SlaveSetting, SlaveSettings},
        task::TaskState,
    },
    wire::Want,
};

fn priority(priority: u8) -> JobEdit {
    JobEdit { priority: Some(priority), ..JobEdit::default() }
}

#[test]
fn an_edit_changes_what_it_names_and_is_counted() {
    let mut env = Env::new();
    let job = env.submit(spec("1-3"));
    let edit = JobEdit { name: Some("hero".into()), chunk: Some(2), ..priority(80) };
    assert_eq!(env.step(Command::Edit { job, edit: edit.clone(), seen: Some(0) }), Ok(Reply::Edited(1)));
    let changed = &env.farm.jobs[&job].spec;
    assert_eq!((changed.name.as_str(), changed.priority, changed.chunk), ("hero", 80, 2));
    assert_eq!(changed.category, "");
    assert_eq!(env.step(Command::Edit { job, edit, seen: Some(1) }), Ok(Reply::Edited(1)), "nothing new in it");
}

#[test]
fn the_second_of_two_editors_is_told_what_the_first_did() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    env.step(Command::Edit { job, edit: JobEdit { name: Some("old news".into()), ..priority(10) }, seen: None })
        .unwrap();
    env.step(Command::Edit { job, edit: priority(80), seen: Some(1) }).unwrap();
    let Err(refusal) = env.step(Command::Edit { job, edit: priority(20), seen: Some(1) }) else { panic!() };
    assert_eq!(refusal.to_string(), format!("somebody else changed job {job} meanwhile: now its priority is 80"));
    assert_eq!(env.farm.jobs[&job].spec.priority, 80);
    env.step(Command::Edit { job, edit: priority(20), seen: Some(2) }).unwrap();
}

#[test]
fn an_edit_out_of_bounds_changes_nothing() {
    let mut env = Env::new();
    let job = env.submit(spec("1"));
    for edit in [
        priority(101),
        JobEdit { chunk: Some(0), ..priority(60) },
        JobEdit { name: Some(" ".into()), ..priority(60) },
        JobEdit { tags: Some((0..101).map(|tag| tag.to_string()).collect()), ..JobEdit::default() },
    ] {
        assert!(matches!(env.step(Command::Edit { job, edit, seen: None }), Err(Refusal::BadSetting(_))));
    }
    assert_eq!(env.farm.jobs[&job].spec, spec("1"));
}

#[test]
fn chosen_frames_are_rendered_again_and_the_others_stay() {
    let mut env = Env::new();
    let job = env.submit(spec("1-4"));
    let slave = env.register("a");
    for frame in 1..=4 {
        env.lease(slave).unwrap();
        env.hand_in(slave, job, Frame(frame));
    }
    env.step(Command::RequeueFrames { job, frames: "2,4".parse().unwrap() }).unwrap();
    let now = &env.farm.jobs[&job];
    assert_eq!((now.state, now.counts.done, now.counts.waiting), (JobState::Active, 2, 2));
    assert_eq!(env.lease(slave).unwrap().frames, [Frame(2)]);
    let missing = env.step(Command::RequeueFrames { job, frames: "1-5".parse().unwrap() });
    assert_eq!(missing, Err(Refusal::UnknownFrame(job, Frame(5))));
    assert!(matches!(env.farm.jobs[&job].tasks[&Frame(1)].state, TaskState::Done { .. }), "all or none");
}

#[test]
fn a_requeued_frame_has_all_its_attempts_again_and_a_paused_job_stays_paused() {
    let mut env = Env::new();
    let job = env.submit(spec("1-2"));
    let slave = env.register("a");
    for _ in 0..3 {
        let lease = env.lease(slave).unwrap();
        env.fail(slave, lease.lease, job, Frame(1));
    }
    assert!(matches!(env.farm.jobs[&job].tasks[&Frame(1)].state, TaskState::Failed(_)));
    env.step(Command::Pause(job)).unwrap();
    env.step(Command::RequeueFrames { job, frames: "1".parse().unwrap() }).unwrap();
    assert_eq!(env.farm.jobs[&job].tasks[&Frame(1)].strikes, 0);
    assert_eq!(env.farm.jobs[&job].state, JobState::Paused);
    env.step(Command::Cancel(job)).unwrap();
    assert!(
        env.step(Command::RequeueFrames { job, frames: "1".parse().unwrap() }).is_err(),
        "frame 2 would go on, too"
    );
}

#[test]
fn a_paused_slave_keeps_what_it_has_and_gets_nothing_new_even_after_its_restart() {
    let mut env = Env::new();
    let job = env.submit(spec("1-3"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.step(Command::Order { slave, duty: Duty::Pause }).unwrap();
    assert!(env.poll(slave, vec![held.clone()], Want::Ahead).is_empty());
    assert!(env.hand_in(slave, job, Frame(1)));
    assert_eq!(env.lease(slave), None);
    assert!(why_waiting(&env.farm, &env.farm.jobs[&job]).contains("a: it is paused"));
    env.step(Command::Leave(slave)).unwrap();
    env.come("a", info(), true);
    assert_eq!(env.lease(slave), None);
    env.step(Command::Order { slave, duty: Duty::Work }).unwrap();
    assert!(env.lease(slave).is_some());
}

#[test]
fn a_drained_slave_ends_after_what_it_has() {
    let mut env = Env::new();
    let job = env.submit(spec("1-3"));
    let slave = env.register("a");
    let held = env.lease(slave).unwrap();
    env.step(Command::Order { slave, duty: Duty::Drain }).unwrap();
    assert!(!env.poll(slave, vec![held], Want::Ahead).stop);
    assert!(env.hand_in(slave, job, Frame(1)));
    assert!(env.poll(slave, vec![], Want::Now).stop);
    env.step(Command::Leave(slave)).unwrap();
    assert!(env.step(Command::Order { slave, duty: Duty::Drain }).is_err(), "it is not running");
    env.come("a", info(), true);
    assert!(env.lease(slave).is_some(), "started again it works");
}

#[test]
fn a_stopped_slave_gives_back_at_once_and_a_broken_line_does_not_save_it() {
    let mut env = Env::new();
    env.submit(spec("1"));
    let (a, b) = (env.register("a"), env.register("b"));
    let held = env.lease(a).unwrap();
    env.step(Command::Order { slave: a, duty: Duty::Stop }).unwrap();
    assert!(env.lease(b).is_some(), "its frame is free");
    env.come("a", info(), false);
    let told = env.poll(a, vec![held.clone()], Want::Now);
    assert!(told.stop);
    assert_eq!(told.drop, [held]);
    env.step(Command::Lose(a)).unwrap();
    env.come("a", info(), true);
    assert!(!env.poll(a, vec![], Want::Now).stop, "that was meant for the one before");
    assert_eq!(env.farm.slaves[&a].state, SlaveState::Ready);
}

fn edit(body: &str) -> Box<SlaveEdit> {
    serde_json::from_str(body).unwrap()
}

fn tell(env: &mut Env, slave: netrender_core::model::ids::SlaveId, edits: Option<u32>) -> Option<SettingsUpdate> {
    match env.step(Command::Poll { slave, held: vec![], want: Want::Nothing, edits }).unwrap() {
        Reply::Poll(reply) => reply.settings.map(|settings| *settings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_people_set_of_a_slave_wins_until_it_is_cleared() {
    let mut env = Env::new();
    let slave = env.register("anna");
    let set = edit(r#"{"name": "big one", "tags": ["gpu"], "threads": 4}"#);
    assert_eq!(env.step(Command::EditSlave { slave, edit: set.clone(), seen: Some(0) }), Ok(Reply::Edited(1)));
    assert_eq!(env.step(Command::EditSlave { slave, edit: set, seen: Some(1) }), Ok(Reply::Edited(1)), "as it is");
    let known = &env.farm.slaves[&slave];
    assert_eq!((known.name(), known.tags().contains("gpu")), ("big one", true));
    // The settings outlive the slave's process.
    assert_eq!(env.come("anna", info(), true), slave);
    assert_eq!(env.farm.slaves[&slave].name(), "big one");
    let clear = edit(r#"{"name": null, "tags": null}"#);
    env.step(Command::EditSlave { slave, edit: clear, seen: None }).unwrap();
    let known = &env.farm.slaves[&slave];
    assert_eq!((known.name(), known.tags().is_empty(), known.set.threads), ("anna", true, Some(4)));
}

#[test]
fn a_slave_is_told_its_settings_once() {
    let mut env = Env::new();
    let slave = env.register("anna");
    assert_eq!(tell(&mut env, slave, Some(0)), None);
    env.step(Command::EditSlave { slave, edit: edit(r#"{"threads": 3}"#), seen: None }).unwrap();
    let told = SettingsUpdate { edits: 1, settings: SlaveSettings { threads: Some(3), ..SlaveSettings::default() } };
    assert_eq!(tell(&mut env, slave, Some(0)), Some(told.clone()));
    assert_eq!(tell(&mut env, slave, Some(0)), Some(told), "the answer was lost");
    assert_eq!(tell(&mut env, slave, Some(1)), None);
    assert_eq!(tell(&mut env, slave, None), None, "an older slave does not know of settings");

    let known = &env.farm.slaves[&slave];
    let mut report = SlaveReport { in_use: known.own(), cache_bytes: 0 };
    assert_eq!(known.pending(Some(&report)), [SlaveSetting::Threads]);
    assert_eq!(known.pending(None), [SlaveSetting::Threads]);
    report.in_use.threads = Some(3);
    assert_eq!(known.pending(Some(&report)), []);
}

#[test]
fn a_slaves_settings_out_of_bounds_change_nothing() {
    let mut env = Env::new();
    let slave = env.register("anna");
    for body in [
        r#"{"name": " "}"#,
        r#"{"tags": [""]}"#,
        r#"{"threads": 0, "name": "fine"}"#,
        r#"{"threads": 1025}"#,
        r#"{"hang_timeout_s": -1}"#,
        r#"{"cache_limit_gb": 1e7}"#,
        r#"{"upload_interval_s": 0}"#,
    ] {
        let refused = env.step(Command::EditSlave { slave, edit: edit(body), seen: None });
        assert!(matches!(refused, Err(Refusal::BadSetting(_))), "{body}");
    }
    assert_eq!(env.farm.slaves[&slave].edits.count, 0);
    assert!(serde_json::from_str::<SlaveEdit>(r#"{"thread": 3}"#).is_err());
    env.step(Command::EditSlave { slave, edit: edit(r#"{"threads": 3, "tags": ["a", "b"]}"#), seen: None }).unwrap();
    let late = env.step(Command::EditSlave { slave, edit: edit(r#"{"threads": 5}"#), seen: Some(0) });
    assert_eq!(
        late.unwrap_err().to_string(),
        format!("somebody else changed slave {slave} (anna) meanwhile: now tags a, b, 3 threads")
    );
}

#[test]
fn a_tag_that_a_slave_gets_makes_it_fit() {
    let mut env = Env::new();
    let slave = env.register("anna");
    let mut job = spec("1");
    job.tags = ["gpu".to_owned()].into();
    env.submit(job);
    assert!(env.lease(slave).is_none());
    env.step(Command::EditSlave { slave, edit: edit(r#"{"tags": ["gpu"]}"#), seen: None }).unwrap();
    assert!(env.lease(slave).is_some());
}
