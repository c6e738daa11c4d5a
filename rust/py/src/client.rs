//! Python classes of the client: `Client` and `Transfer`.

use crate::{
    convert::to_python,
    errors,
    runtime::{SLICE, runtime},
};
use netrender_client::{
    self as client, Changes, ClientError, FetchWhat, JobRequest, KnownRows, TransferState, WatchState, Watcher,
};
use netrender_core::{
    model::{
        frames::FrameList,
        ids::{Frame, JobId, SlaveId},
        job_settings::JobEdit,
    },
    wire::{FarmView, JobVerb, SlaveVerb},
};
use netrender_net::api::Api;
use parking_lot::Mutex;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};
use serde::Serialize;
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Instant};
use strum::VariantNames;

/// A submission or a download.
#[pyclass(frozen)]
pub struct Transfer {
    inner: client::Transfer,
}

#[pymethods]
impl Transfer {
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_python(py, &self.inner.snapshot())
    }

    fn wait(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let until = Instant::now() + errors::seconds(timeout_s)?;
        loop {
            if self.inner.snapshot().state != TransferState::Running {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            py.check_signals()?;
            let inner = self.inner.clone();
            let runtime = runtime()?;
            py.detach(|| {
                runtime.block_on(async { tokio::time::timeout(left.min(SLICE), inner.ended()).await.is_ok() })
            });
        }
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}

/// Sends jobs, follows the farm, fetches frames.
#[pyclass(frozen)]
pub struct Client {
    master: String,
    watcher: Mutex<Option<Watcher>>,
    known: Mutex<KnownRows>,
}

impl Client {
    /// Makes a call to the master.
    fn ask<T, E, F>(&self, py: Python<'_>, question: impl FnOnce(Api) -> F + Send) -> PyResult<T>
    where
        T: Send,
        ClientError: From<E>,
        F: Future<Output = Result<T, E>>,
    {
        let runtime = runtime()?;
        let work = || runtime.block_on(async { Ok(question(client::connect(&self.master).await?).await?) });
        py.detach(work).map_err(errors::from_client)
    }

    fn change(&self, py: Python<'_>, job: u32, verb: JobVerb) -> PyResult<()> {
        self.ask(py, async |api| api.change_job(JobId(job), verb).await)
    }
}

/// The farm at one moment, without the rows that the reader knows.
#[derive(Serialize)]
struct News<'a> {
    state: WatchState,
    message: &'a str,
    master: &'a str,
    name: &'a str,
    revision: u64,
    #[serde(flatten)]
    rows: Changes,
}

/// Rows of the lists that the reader does not know; all of them if `anew`.
pub fn changes(known: &Mutex<KnownRows>, farm: &Arc<FarmView>, anew: bool, limit: usize) -> Changes {
    let mut known = known.lock();
    if anew {
        *known = KnownRows::default();
    }
    known.changes(farm, limit.max(1))
}

/// Parses frames in the artist's notation. Empty text means all frames: `None`.
fn frame_list(text: &str) -> PyResult<Option<FrameList>> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| errors::UsageError::new_err(format!("{error}"))),
    }
}

fn job_request(request: &Bound<'_, PyDict>) -> PyResult<JobRequest> {
    let request: JobRequest = pythonize::depythonize(request)
        .map_err(|error| errors::UsageError::new_err(format!("the job can't be read: {error}")))?;
    request.check().map_err(errors::from_client)?;
    Ok(request)
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (master = String::new()))]
    fn new(master: String) -> Self {
        let master =
            if master.trim().is_empty() { std::env::var("NETRENDER_MASTER").unwrap_or_default() } else { master };
        Self { master, watcher: Mutex::new(None), known: Mutex::default() }
    }

    fn start(&self) -> PyResult<()> {
        let _inside = runtime()?.enter();
        let mut watcher = self.watcher.lock();
        watcher.get_or_insert_with(|| Watcher::start(self.master.clone()));
        Ok(())
    }

    fn stop(&self) {
        self.watcher.lock().take();
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.watcher.lock().as_ref() {
            Some(watcher) => to_python(py, &watcher.snapshot()),
            None => to_python(
                py,
                &json!({ "state": "stopped", "message": "", "master": self.master, "name": "",
                "revision": 0, "jobs": [], "slaves": [] }),
            ),
        }
    }

    #[pyo3(signature = (anew = false, limit = 100))]
    fn changes(&self, py: Python<'_>, anew: bool, limit: usize) -> PyResult<Py<PyAny>> {
        let seen = self.watcher.lock().as_ref().map(Watcher::snapshot);
        let Some(seen) = seen else {
            let nothing = Changes::default();
            let stopped = json!({ "state": "stopped", "message": "", "master": self.master, "name": "", "revision": 0,
                "jobs": nothing.jobs, "gone_jobs": [], "slaves": nothing.slaves, "gone_slaves": [], "more": false });
            return to_python(py, &stopped);
        };
        let rows = changes(&self.known, &seen.farm, anew, limit);
        let (message, master, name) = (&*seen.message, &*seen.master, &*seen.name);
        to_python(py, &News { state: seen.state, message, master, name, revision: seen.farm.revision, rows })
    }

    fn submit(&self, request: &Bound<'_, PyDict>) -> PyResult<Transfer> {
        let request = job_request(request)?;
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        let runtime = runtime()?;
        let starter = runtime.starter();
        runtime.spawn(async move {
            let work = async {
                let api = client::connect(&master).await?;
                client::submit(&api, request, &working, &starter).await
            };
            working.run(work).await
        });
        Ok(Transfer { inner: transfer })
    }

    fn check(&self, request: &Bound<'_, PyDict>) -> PyResult<Transfer> {
        let request = job_request(request)?;
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        let runtime = runtime()?;
        let starter = runtime.starter();
        runtime.spawn(async move {
            let work = async {
                // The files can be checked without a farm too.
                let api = client::connect(&master).await.ok();
                client::check(api.as_ref(), &request, &working, &starter).await
            };
            working.run(work).await
        });
        Ok(Transfer { inner: transfer })
    }

    fn fetch(&self, job: u32, frames: &str, what: &str, output: PathBuf) -> PyResult<Transfer> {
        let frames = frame_list(frames)?;
        let what = FetchWhat::parse(what).map_err(errors::from_client)?;
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        runtime()?.spawn(async move {
            let work = async {
                let api = client::connect(&master).await?;
                client::fetch(&api, JobId(job), frames.as_ref(), what, &output, &working).await
            };
            working.run(work).await
        });
        Ok(Transfer { inner: transfer })
    }

    fn job(&self, py: Python<'_>, job: u32) -> PyResult<Py<PyAny>> {
        let detail = self.ask(py, async |api| api.job(JobId(job)).await)?;
        to_python(py, &detail)
    }

    fn frame(&self, py: Python<'_>, job: u32, frame: i32) -> PyResult<Py<PyAny>> {
        let detail = self.ask(py, async |api| api.frame(JobId(job), Frame(frame)).await)?;
        to_python(py, &detail)
    }

    fn fetch_unfinished(&self, job: u32, frame: i32, path: PathBuf) -> PyResult<Transfer> {
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        runtime()?.spawn(async move {
            let work = async {
                let api = client::connect(&master).await?;
                client::fetch_unfinished(&api, JobId(job), Frame(frame), &path, &working).await
            };
            working.run(work).await
        });
        Ok(Transfer { inner: transfer })
    }

    fn job_summary(&self, py: Python<'_>, job: u32) -> PyResult<Py<PyAny>> {
        let summary = self.ask(py, async |api| api.summary(JobId(job)).await)?;
        to_python(py, &summary)
    }

    #[pyo3(signature = (job, side = 256))]
    fn thumbnail<'py>(
        &self,
        py: Python<'py>,
        job: u32,
        side: usize,
    ) -> PyResult<Option<(usize, usize, Bound<'py, PyBytes>)>> {
        let picture = self.ask(py, async |api| client::thumbnail(&api, JobId(job), side).await)?;
        Ok(picture.map(|picture| (picture.width, picture.height, PyBytes::new(py, &picture.pixels))))
    }

    fn edit(&self, py: Python<'_>, job: u32, settings: &Bound<'_, PyDict>) -> PyResult<()> {
        let edit: JobEdit = pythonize::depythonize(settings)
            .map_err(|error| errors::UsageError::new_err(format!("the settings can't be read: {error}")))?;
        self.ask(py, async |api| api.edit_job(JobId(job), &edit).await.map(drop))
    }

    fn cancel(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, JobVerb::Cancel)
    }

    fn cancel_all(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, async |api| client::cancel_all(&api).await)
    }

    fn pause(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, JobVerb::Pause)
    }

    fn resume(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, JobVerb::Resume)
    }

    #[pyo3(signature = (job, frames = ""))]
    fn requeue(&self, py: Python<'_>, job: u32, frames: &str) -> PyResult<()> {
        match frame_list(frames)? {
            Some(frames) => self.ask(py, async |api| api.requeue_frames(JobId(job), frames).await),
            None => self.change(py, job, JobVerb::Requeue),
        }
    }

    fn delete(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.ask(py, async |api| api.delete_job(JobId(job)).await)
    }

    #[pyo3(signature = (job, slave, listed = true))]
    fn blacklist(&self, py: Python<'_>, job: u32, slave: u32, listed: bool) -> PyResult<()> {
        self.ask(py, async |api| api.blacklist(JobId(job), SlaveId(slave), listed).await)
    }

    fn order(&self, py: Python<'_>, slave: u32, verb: &str) -> PyResult<()> {
        let verb: SlaveVerb = verb.parse().map_err(|_| {
            let verbs = SlaveVerb::VARIANTS.join(", ");
            errors::UsageError::new_err(format!("a slave can't {verb:?}: say one of {verbs}"))
        })?;
        self.ask(py, async |api| api.order_slave(SlaveId(slave), verb).await)
    }

    #[pyo3(signature = (job, frames = ""))]
    fn hand_over(&self, py: Python<'_>, job: u32, frames: &str) -> PyResult<()> {
        let frames = frame_list(frames)?;
        self.ask(py, async |api| api.stop(JobId(job), frames).await)
    }

    #[pyo3(signature = (job, samples, frames = ""))]
    fn more(&self, py: Python<'_>, job: u32, samples: u32, frames: &str) -> PyResult<()> {
        let frames = frame_list(frames)?;
        self.ask(py, async |api| api.more(JobId(job), samples, frames).await)
    }
}
