//! Farm under test. Each step is decided, applied and checked, and its records are kept for replay.

use netrender_core::{
    decide::{Command, Refusal, Reply, decide},
    durable::{
        snapshot::{Rest, Restore, Touched},
        task_row::{SharedRow, TaskRow},
    },
    model::{
        build::{DeviceKind, Version},
        digest::Digest,
        event::Record,
        farm::Farm,
        ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
        job::JobState,
        result::{Baked, FailureKind, TaskError, TaskResult},
        retry::RetryPolicy,
        sharing::{Merged, Part},
        slave::SlaveInfo,
        spec::{JobSpec, Simulations, Split},
        task::TaskState,
    },
    wire::{HeldLease, PollReply, Want},
};
use std::collections::BTreeMap;

pub struct Env {
    pub farm: Farm,
    /// Records since the last snapshot, as JSON.
    pub log: Vec<String>,
    touched: Touched,
    disk: Disk,
    events: u64,
    now: u64,
}

/// Snapshot in memory, in the form in which the master stores it.
#[derive(Default)]
struct Disk {
    jobs: BTreeMap<JobId, String>,
    /// Rows, and the JSON of their column of shared frames.
    tasks: BTreeMap<(JobId, Frame), (TaskRow, Option<String>)>,
    slaves: BTreeMap<SlaveId, String>,
    rest: Rest,
}

impl Env {
    pub fn new() -> Self {
        let (farm, touched, disk) = <(Farm, Touched, Disk)>::default();
        Self { farm, log: Vec::new(), touched, disk, events: 0, now: 0 }
    }

    /// Decides a command, applies its events and checks the invariants.
    pub fn step(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.now += 1;
        let now = Timestamp(self.now);
        let decision = decide(&self.farm, now, RetryPolicy::default(), command)?;
        for event in decision.events {
            let record = Farm::record(now, event);
            self.log.push(serde_json::to_string(&record).unwrap());
            self.farm.apply(&record);
            self.touched.note(&self.farm, &record.event);
            self.events += 1;
        }
        if let Err(broken) = self.farm.check_invariants() {
            panic!("{broken}\nafter {:#?}", self.log);
        }
        Ok(decision.reply)
    }

    /// Moves the clock.
    pub fn later(&mut self, ms: u64) {
        self.now += ms;
    }

    /// The farm that a master would have after a restart now.
    pub fn replayed(&self) -> Farm {
        let mut restore = Restore::default();
        self.disk.jobs.values().for_each(|head| restore.job(serde_json::from_str(head).unwrap()));
        self.disk.slaves.values().for_each(|slave| restore.slave(serde_json::from_str(slave).unwrap()));
        for ((job, frame), (row, shared)) in &self.disk.tasks {
            let shared = shared.as_ref().map(|text| serde_json::from_str::<SharedRow>(text).unwrap());
            restore.task(*job, *frame, TaskRow { shared, ..row.clone() });
        }
        let mut farm = restore.finish(self.disk.rest.clone());
        for line in &self.log {
            farm.apply(&serde_json::from_str::<Record>(line).unwrap());
        }
        farm
    }

    /// Writes changed rows over the last snapshot and empties the log.
    pub fn snapshot(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for id in touched.jobs {
            if let Some(job) = self.farm.jobs.get(&id) {
                self.disk.jobs.insert(id, serde_json::to_string(&job.head()).unwrap());
            } else {
                self.disk.jobs.remove(&id);
                self.disk.tasks.retain(|(job, _), _| *job != id);
            }
        }
        for (id, frame) in touched.tasks {
            if let Some(job) = self.farm.jobs.get(&id) {
                let mut row = TaskRow::of(&job.tasks[&frame]);
                let shared = row.shared.take().map(|shared| serde_json::to_string(&shared).unwrap());
                self.disk.tasks.insert((id, frame), (row, shared));
            }
        }
        for id in touched.slaves {
            self.disk.slaves.insert(id, serde_json::to_string(&self.farm.slaves[&id]).unwrap());
        }
        self.disk.rest = Rest::of(&self.farm);
        self.log.clear();
    }

    pub fn submit(&mut self, spec: JobSpec) -> JobId {
        match self.step(Command::Submit(Box::new(spec))).unwrap() {
            Reply::Accepted(job) => job,
            other => panic!("{other:?}"),
        }
    }

    pub fn register(&mut self, key: &str) -> SlaveId {
        self.come(key, info(), false)
    }

    pub fn register_as(&mut self, key: &str, info: SlaveInfo) -> SlaveId {
        self.come(key, info, false)
    }

    /// Registers a slave; `started` is false if it only reconnects.
    pub fn come(&mut self, key: &str, info: SlaveInfo, started: bool) -> SlaveId {
        let (key, name) = (key.to_owned(), key.to_owned());
        match self.step(Command::Register { key, name, info: Box::new(info), started }).unwrap() {
            Reply::Registered(slave) => slave,
            other => panic!("{other:?}"),
        }
    }

    pub fn poll(&mut self, slave: SlaveId, held: Vec<HeldLease>, want: Want) -> PollReply {
        loop {
            let before = self.events;
            match self.step(Command::Poll { slave, held: held.clone(), want, edits: None }).unwrap() {
                // The master decides a held poll again after every change.
                Reply::Poll(reply) if reply.is_empty() && self.events > before => {}
                Reply::Poll(reply) => return reply,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Lets an idle slave poll, and returns its new lease.
    pub fn lease(&mut self, slave: SlaveId) -> Option<HeldLease> {
        let grant = self.poll(slave, vec![], Want::Now).grant?;
        Some(HeldLease {
            lease: grant.lease,
            job: grant.job,
            frames: grant.frames.clone(),
            share: grant.share,
            bake: grant.bake,
        })
    }

    pub fn hand_in(&mut self, slave: SlaveId, job: JobId, frame: Frame) -> bool {
        match self.step(Command::HandIn { job, frame, result: Box::new(result(slave)) }).unwrap() {
            Reply::HandedIn(fresh) => fresh,
            other => panic!("{other:?}"),
        }
    }

    /// Hands in the first frame of a lease, or its share, and merges the frame if it is complete.
    pub fn hand_in_held(&mut self, slave: SlaveId, held: &HeldLease) -> Result<bool, Refusal> {
        let (job, frame) = (held.job, held.frames[0]);
        let command = match held.share {
            _ if held.bake => Command::HandInBake { job, baked: Box::new(baked(slave)) },
            None => Command::HandIn { job, frame, result: Box::new(result(slave)) },
            Some(share) => {
                let part = Box::new(Part {
                    share,
                    result: result(slave),
                    view: None,
                    build: None,
                    warm_up_s: 0.0,
                    at: Timestamp(0),
                });
                Command::HandInPart { job, frame, lease: held.lease, part }
            }
        };
        let fresh = match self.step(command)? {
            Reply::HandedIn(fresh) => fresh,
            other => panic!("{other:?}"),
        };
        self.merge(job, frame);
        Ok(fresh)
    }

    /// Merges a shared frame if it is complete, as the master does. Returns whether it was.
    pub fn merge(&mut self, job: JobId, frame: Frame) -> bool {
        let TaskState::Sharing(sharing) = &self.farm.jobs[&job].tasks[&frame].state else { return false };
        let open = matches!(self.farm.jobs[&job].state, JobState::Active | JobState::Paused);
        if !sharing.is_complete() || !open {
            return false;
        }
        let build = self.farm.build_of(&self.farm.jobs[&job].tasks[&frame]).cloned();
        let merged = Box::new(Merged { spans: sharing.done(), result: result(SlaveId(1)), view: None, build });
        let told = self.step(Command::Merge { job, frame, merged });
        assert_eq!(told, Ok(Reply::HandedIn(true)), "a merged frame is welcome");
        true
    }

    /// Merges all complete frames.
    pub fn merge_all(&mut self) {
        let frames: Vec<_> = self.farm.jobs.values().flat_map(|job| job.tasks.keys().map(|f| (job.id, *f))).collect();
        for (job, frame) in frames {
            self.merge(job, frame);
        }
    }

    pub fn fail(&mut self, slave: SlaveId, lease: LeaseId, job: JobId, frame: Frame) {
        let error = TaskError { kind: FailureKind::RenderFailed, message: "no camera".into() };
        self.step(Command::Fail { slave, lease, job, frame, error, log: None }).unwrap();
    }
}

pub fn spec(frames: &str) -> JobSpec {
    JobSpec {
        name: "shot".into(),
        category: String::new(),
        priority: 50,
        chunk: 1,
        tags: Default::default(),
        frames: frames.parse().unwrap(),
        scene: None,
        engine: "CYCLES".into(),
        blender: [3, 4],
        width: 16,
        height: 9,
        split: Split::Off,
        cut: None,
        mixed: false,
        split_note: String::new(),
        scripts: false,
        warnings: Vec::new(),
        simulations: Simulations::AsIs,
        draws: false,
        manifest: Digest([0; 32]),
        key: String::new(),
    }
}

pub fn info() -> SlaveInfo {
    SlaveInfo {
        host: "host".into(),
        os: "linux x86_64".into(),
        blender: Version([3, 4, 1]),
        build_hash: String::new(),
        build_options: Default::default(),
        engines: ["CYCLES".to_owned()].into(),
        denoises: true,
        devices: vec![],
        device: DeviceKind::Cpu,
        threads: 2,
        memory_bytes: 1 << 30,
        tags: Default::default(),
        upload_interval_s: 8,
        hang_timeout_s: None,
        cache_limit_gb: None,
        cannot_draw: false,
    }
}

pub fn result(slave: SlaveId) -> TaskResult {
    TaskResult {
        slave,
        film: Digest([1; 32]),
        film_bytes: 1,
        preview: None,
        log: None,
        seconds: 0.5,
        outputs: Vec::new(),
    }
}

pub fn baked(slave: SlaveId) -> Baked {
    Baked { slave, blend: Digest([2; 32]), bytes: 1, log: None, seconds: 2.0 }
}
