//! A farm in a temporary folder for tests of services: everything of a master but HTTP.

use crate::{
    ledger::{
        data_folder::{DataFolder, OpenFolder},
        farm_handle::FarmHandle,
    },
    services::{gc::Gc, job_files::JobFiles, jobs::Jobs, results::Results},
};
use netrender_core::{
    decide::{Command, Reply},
    model::{
        digest::Digest,
        ids::{Frame, JobId, SlaveId},
        result::TaskResult,
        spec::JobSpec,
        task::{Task, TaskState},
    },
    wire::{HandInRequest, LeaseGrant, PollRequest, Want},
};
use netrender_store::{blobs::BlobStore, pieces::PieceStore};
use serde_json::json;
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// Films of 8 x 6 pixels that Blender wrote.
pub const FILM: &str = "blender-5.0.1-plain.exr";
pub const OTHER_FILM: &str = "blender-3.4.1-composite.exr";

pub struct TestFarm {
    pub farm: FarmHandle,
    pub folder: DataFolder,
    pub blobs: BlobStore,
    pub pieces: Arc<PieceStore>,
    pub gc: Arc<Gc>,
    pub jobs: Jobs,
    pub results: Results,
    _dir: TempDir,
}

impl TestFarm {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(dir.path());
        let OpenFolder { store, blobs, pieces, .. } = folder.open().unwrap();
        let pieces = Arc::new(pieces);
        let (farm, _) = FarmHandle::start(Box::new(store), Duration::from_secs(60)).unwrap();
        let gc = Arc::new(Gc::new(farm.clone(), blobs.clone(), pieces.clone()));
        let jobs = Jobs::new(farm.clone(), JobFiles::new(blobs.clone(), pieces.clone()), gc.clone());
        let results = Results::new(farm.clone(), blobs.clone(), gc.clone());
        Self { farm, folder, blobs, pieces, gc, jobs, results, _dir: dir }
    }

    /// A job of 8 x 6 pixels without files.
    pub async fn job(&self, frames: &str) -> JobId {
        match self.farm.command(Command::Submit(Box::new(spec(frames, Digest([0; 32]))))).await.unwrap() {
            Reply::Accepted(job) => job,
            other => panic!("{other:?}"),
        }
    }

    pub async fn slave(&self, name: &str) -> SlaveId {
        let info = json!({
            "host": "h", "os": "linux", "blender": [3, 4, 1], "engines": ["CYCLES"], "threads": 1, "memory_bytes": 1,
        });
        let info = serde_json::from_value(info).unwrap();
        let command = Command::Register { key: name.into(), name: name.into(), info, started: true };
        match self.farm.command(command).await.unwrap() {
            Reply::Registered(slave) => slave,
            other => panic!("{other:?}"),
        }
    }

    /// The next work of an idle slave.
    pub async fn lease(&self, slave: SlaveId) -> Box<LeaseGrant> {
        let poll = PollRequest { held: Vec::new(), want: Want::Now, number: 0, edits: None, session: String::new() };
        self.farm.poll(slave, poll).await.unwrap().grant.unwrap()
    }

    /// Stores a film of the film crate's fixtures.
    pub fn film(&self, name: &str) -> Digest {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../film/tests/fixtures").join(name);
        self.blobs.put(&std::fs::read(path).unwrap()).unwrap()
    }

    pub fn result(&self, slave: SlaveId, job: JobId, frame: i32, film: Digest) -> HandInRequest {
        let (frame, outputs) = (Frame(frame), Vec::new());
        HandInRequest { slave, job, frame, film, preview: None, log: None, seconds: 1.5, outputs, part: None }
    }

    pub async fn task(&self, job: JobId, frame: i32) -> Task {
        self.farm.task(job, Frame(frame), |_, _, task| task.clone()).await.unwrap()
    }

    /// The result of a frame that is done.
    pub async fn done(&self, job: JobId, frame: i32) -> TaskResult {
        match self.task(job, frame).await.state {
            TaskState::Done { result, .. } => *result,
            other => panic!("{other:?}"),
        }
    }
}

pub fn spec(frames: &str, manifest: Digest) -> JobSpec {
    let spec = json!({
        "name": "n", "frames": frames, "engine": "CYCLES", "blender": [3, 4], "width": 8, "height": 6,
        "manifest": manifest,
    });
    serde_json::from_value(spec).unwrap()
}
