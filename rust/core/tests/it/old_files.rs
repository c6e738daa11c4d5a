//! Files of earlier masters. Their form is a contract: this build must read them and write the
//! same.

use netrender_core::{
    durable::{
        snapshot::{Rest, Restore},
        task_row::{RowKind, SharedRow, TaskRow},
    },
    model::{
        event::Record,
        farm::Farm,
        ids::{Frame, JobId},
        job::JobHead,
        result::{Failure, TaskResult},
        slave::Slave,
        task::{Remaining, TaskState},
    },
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Event log of version 4 in which each kind of event occurs.
const EVENTS: &str = include_str!("old_files/events.jsonl");
/// Snapshot of the same farm. Frame 6 of job 1 is in the form of snapshot format 2.
const SNAPSHOT: &str = include_str!("old_files/snapshot.json");

#[derive(Deserialize)]
struct Snapshot {
    jobs: Vec<JobHead>,
    slaves: Vec<Slave>,
    tasks: Vec<StoredTask>,
    rest: Rest,
}

/// Row of a frame, column by column.
#[derive(Deserialize)]
struct StoredTask {
    job: JobId,
    frame: Frame,
    state: u8,
    result: Option<TaskResult>,
    strikes: u32,
    failures: Vec<Failure>,
    parts: Option<String>,
}

impl StoredTask {
    fn row(&self) -> TaskRow {
        let kind = match self.state {
            0 => RowKind::Waiting,
            1 => RowKind::Done(Box::new(self.result.clone().unwrap())),
            2 => RowKind::Failed,
            _ => RowKind::Sharing,
        };
        let shared = self.parts.as_ref().map(|text| serde_json::from_str(text).unwrap());
        TaskRow { kind, failures: self.failures.clone(), strikes: self.strikes, shared }
    }
}

fn snapshot() -> Snapshot {
    serde_json::from_str(SNAPSHOT).unwrap()
}

fn from_events() -> Farm {
    let mut farm = Farm::default();
    EVENTS.lines().for_each(|line| farm.apply(&serde_json::from_str(line).unwrap()));
    farm
}

#[test]
fn an_old_log_is_read_and_would_be_written_the_same() {
    let mut kinds = BTreeSet::new();
    for line in EVENTS.lines() {
        let record: Record = serde_json::from_str(line).unwrap();
        let old: Value = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), old);
        kinds.insert(old["event"]["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.len(), 29, "{kinds:?}");
    assert_eq!(from_events().check_invariants(), Ok(()));
}

#[test]
fn an_old_log_and_an_old_snapshot_are_the_same_farm() {
    let Snapshot { jobs, slaves, tasks, rest } = snapshot();
    let mut restore = Restore::default();
    jobs.into_iter().for_each(|head| restore.job(head));
    slaves.into_iter().for_each(|slave| restore.slave(slave));
    tasks.iter().for_each(|task| restore.task(task.job, task.frame, task.row()));
    let farm = restore.finish(rest);
    assert_eq!(farm, from_events());
    for task in &tasks {
        let row = TaskRow::of(&farm.jobs[&task.job].tasks[&task.frame]);
        assert_eq!(row, task.row());
        let written = row.shared.map(|shared: SharedRow| serde_json::to_string(&shared).unwrap());
        if !task.parts.as_ref().is_some_and(|text| text.starts_with('[')) {
            assert_eq!(written, task.parts);
        }
    }
}

#[test]
fn an_old_farm_has_every_state_of_a_frame() {
    let farm = from_events();
    let state = |job, frame| &farm.jobs[&JobId(job)].tasks[&Frame(frame)].state;
    let TaskState::Sharing(grown) = state(1, 1) else { panic!("{:?}", state(1, 1)) };
    assert_eq!((grown.growth.as_ref().unwrap().goal, grown.done_count()), (128, 64));
    assert!(matches!(state(1, 2), TaskState::Finishing { unfinished, .. } if unfinished.merged.count() == 8));
    let TaskState::Waiting(Remaining::Samples(lost)) = state(1, 3) else { panic!("{:?}", state(1, 3)) };
    assert_eq!((lost.goal, &lost.merged), (72, &None), "all samples of a film that is lost");
    assert!(matches!(state(1, 4), TaskState::Done { merged: Some(_), goal: None, .. }));
    assert!(matches!(state(1, 5), TaskState::Waiting(Remaining::Samples(growth)) if growth.merged.is_some()));
    assert!(matches!(state(1, 6), TaskState::Sharing(sharing) if sharing.parts.len() == 1));
    assert!(matches!(state(2, 1), TaskState::Done { merged: None, .. }));
    assert_eq!(*state(2, 3), TaskState::Waiting(Remaining::Everything));
    assert!(matches!(state(4, 1), TaskState::Failed(Remaining::Samples(growth)) if growth.goal == 72));
    assert!(matches!(state(5, 1), TaskState::Failed(Remaining::Everything)));
    assert!(matches!(state(5, 2), TaskState::Leased { .. }));
}
