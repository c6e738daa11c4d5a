//! The farm's history as people read it.

use crate::env::{Env, result, spec};
use netrender_core::{
    decide::{Command, decide},
    durable::chronicle::{Chronicle, Kind, Notes},
    model::{
        event::{Event, Record},
        farm::Farm,
        ids::{Frame, SlaveId, Timestamp},
        job_settings::JobEdit,
        result::{FailureKind, TaskError, TaskResult},
        retry::RetryPolicy,
    },
};

/// A farm with its history, on a clock that the test sets.
#[derive(Default)]
struct Recorded {
    farm: Farm,
    chronicle: Chronicle,
    notes: Notes,
}

impl Recorded {
    fn at(&mut self, ms: u64, command: Command) {
        let now = Timestamp(ms);
        for event in decide(&self.farm, now, RetryPolicy::default(), command).unwrap().events {
            let record = Record { at: now, event };
            self.notes.extend(self.chronicle.note(&self.farm, &record));
            self.farm.apply(&record);
        }
    }

    fn poll(&mut self, ms: u64, slave: SlaveId) {
        self.at(ms, Command::Poll { slave, held: vec![], want: netrender_core::wire::Want::Now, edits: None });
    }

    fn texts(&self) -> Vec<&str> {
        self.notes.happenings.iter().map(|one| one.text.as_str()).collect()
    }
}

#[test]
fn a_farm_tells_its_story() {
    let mut recorded = Recorded::default();
    let info = || Box::new(crate::env::info());
    let (job, slave) = (netrender_core::model::ids::JobId(1), SlaveId(1));
    let register = || Command::Register { key: "k".into(), name: "anna".into(), info: info(), started: true };
    let done = |frame, seconds| Command::HandIn {
        job,
        frame: Frame(frame),
        result: Box::new(TaskResult { seconds, ..result(slave) }),
    };
    recorded.at(1_000, Command::Submit(Box::new(spec("1-2"))));
    recorded.at(1_500, register());
    recorded.poll(2_000, slave);
    recorded.at(9_000, done(1, 5.0));
    recorded.at(9_100, register());
    recorded.poll(9_200, slave);
    let lease = *recorded.farm.leases.keys().next().unwrap();
    let error = TaskError { kind: FailureKind::RenderFailed, message: "no camera\nthe log's end".into() };
    recorded.at(11_000, Command::Fail { slave, lease, job, frame: Frame(2), error, log: None });
    recorded.at(12_000, Command::Edit { job, edit: JobEdit { priority: Some(70), ..JobEdit::default() }, seen: None });
    recorded.poll(12_500, slave);
    recorded.at(13_000, done(2, 60.0));
    recorded.at(14_000, Command::Leave(slave));
    let story = [
        "Job 1 (shot) was sent, frames 1-2",
        "Slave anna came",
        "Frame 2 of job 1: failed on anna: no camera",
        "Job 1 (shot) was edited: priority 70",
        "Job 1 (shot) is finished",
        "Slave anna stopped",
    ];
    assert_eq!(recorded.texts(), story);
    let failure = &recorded.notes.happenings[2];
    assert_eq!((failure.kind, failure.frame, failure.slave), (Kind::Failure, Some(Frame(2)), Some(slave)));
    assert!(failure.detail.as_ref().unwrap().contains("the log's end"));
    let activities: Vec<_> = recorded
        .notes
        .activities
        .iter()
        .map(|activity| (activity.frame.0, activity.from_ms.0, activity.to_ms.0, activity.ok))
        .collect();
    assert_eq!(
        activities,
        [(1, 4_000, 9_000, true), (2, 9_200, 11_000, false), (2, 11_000, 13_000, true)],
        "none overlap"
    );
}

#[test]
fn a_job_ends_once_however_it_ends() {
    let mut env = Env::new();
    let mut chronicle = Chronicle::default();
    let job = env.submit(spec("1-3"));
    let slave = env.register("a");
    let mut farm = env.farm.clone();
    let mut ends = Vec::new();
    let mut hand_in = |farm: &mut Farm, event: Event| {
        let record = Record { at: Timestamp(1), event };
        ends.extend(chronicle.note(farm, &record).happenings.into_iter().filter(|one| one.kind == Kind::JobEnded));
        farm.apply(&record);
    };
    let done = |frame| Event::TaskDone { job, frame: Frame(frame), result: Box::new(result(slave)) };
    let error = TaskError { kind: FailureKind::RenderFailed, message: "no".into() };
    let failure = Box::new(netrender_core::model::result::Failure { slave, at: Timestamp(1), error, log: None });
    hand_in(&mut farm, done(1));
    hand_in(&mut farm, Event::TaskFailed { job, frame: Frame(2), failure, retry: false });
    hand_in(&mut farm, done(3));
    hand_in(&mut farm, done(2));
    let texts: Vec<_> = ends.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(texts, ["Job 1 (shot) has ended; 1 frame failed", "Job 1 (shot) is finished"], "a late result heals");
}
