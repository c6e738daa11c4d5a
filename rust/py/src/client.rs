//! Sending jobs, watching the farm and fetching frames as Python handles.

use crate::{SLICE, errors, runtime, to_python};
use netrender_core::{
    frames::FrameList,
    ids::{Frame, JobId},
};
use netrender_farm::client::{self, ClientError, FetchWhat, JobRequest, TransferState, Watcher};
use pyo3::{prelude::*, types::PyDict};
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A submission or a download on its way.
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

/// Sends jobs, watches the farm, fetches frames.
#[pyclass(frozen)]
pub struct Client {
    master: String,
    watcher: Mutex<Option<Watcher>>,
}

impl Client {
    fn change(&self, py: Python<'_>, job: u32, verb: &'static str) -> PyResult<()> {
        let runtime = runtime()?;
        let work = async { Ok(client::connect(&self.master).await?.change_job(JobId(job), verb).await?) };
        py.detach(|| runtime.block_on(work)).map_err(errors::from_client)
    }
}

/// Empty: None.
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
        Self { master, watcher: Mutex::new(None) }
    }

    fn start(&self) -> PyResult<()> {
        let _inside = runtime()?.enter();
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher.get_or_insert_with(|| Watcher::start(self.master.clone()));
        Ok(())
    }

    fn stop(&self) {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.watcher.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(watcher) => to_python(py, &watcher.snapshot()),
            None => to_python(
                py,
                &json!({ "state": "stopped", "message": "", "master": self.master, "name": "",
                "revision": 0, "jobs": [], "slaves": [] }),
            ),
        }
    }

    fn submit(&self, request: &Bound<'_, PyDict>) -> PyResult<Transfer> {
        let request = job_request(request)?;
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        runtime()?.spawn(async move {
            let work = async {
                let api = client::connect(&master).await?;
                client::submit(&api, request, &working).await
            };
            working.run(work).await
        });
        Ok(Transfer { inner: transfer })
    }

    fn check(&self, request: &Bound<'_, PyDict>) -> PyResult<Transfer> {
        let request = job_request(request)?;
        let transfer = client::Transfer::default();
        let (working, master) = (transfer.clone(), self.master.clone());
        runtime()?.spawn(async move {
            let work = async {
                // Without a farm the files can be looked at all the same.
                let api = client::connect(&master).await.ok();
                client::check(api.as_ref(), &request, &working).await
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
        let runtime = runtime()?;
        let work = async { Ok(client::connect(&self.master).await?.job(JobId(job)).await?) };
        let detail = py.detach(|| runtime.block_on(work)).map_err(|error: ClientError| errors::from_client(error))?;
        to_python(py, &detail)
    }

    fn frame(&self, py: Python<'_>, job: u32, frame: i32) -> PyResult<Py<PyAny>> {
        let runtime = runtime()?;
        let work = async { Ok(client::connect(&self.master).await?.frame(JobId(job), Frame(frame)).await?) };
        let detail = py.detach(|| runtime.block_on(work)).map_err(|error: ClientError| errors::from_client(error))?;
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

    fn cancel(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, "cancel")
    }

    fn pause(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, "pause")
    }

    fn resume(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, "resume")
    }

    fn requeue(&self, py: Python<'_>, job: u32) -> PyResult<()> {
        self.change(py, job, "requeue")
    }

    #[pyo3(signature = (job, frames = ""))]
    fn hand_over(&self, py: Python<'_>, job: u32, frames: &str) -> PyResult<()> {
        let (runtime, frames) = (runtime()?, frame_list(frames)?);
        let work = async { Ok(client::connect(&self.master).await?.stop(JobId(job), frames).await?) };
        py.detach(|| runtime.block_on(work)).map_err(errors::from_client)
    }

    #[pyo3(signature = (job, samples, frames = ""))]
    fn more(&self, py: Python<'_>, job: u32, samples: u32, frames: &str) -> PyResult<()> {
        let (runtime, frames) = (runtime()?, frame_list(frames)?);
        let work = async { Ok(client::connect(&self.master).await?.more(JobId(job), samples, frames).await?) };
        py.detach(|| runtime.block_on(work)).map_err(errors::from_client)
    }
}
