//! Master and slave as Python handles.

use crate::{errors, runtime, to_python};
use netrender_core::wire::FarmView;
use netrender_farm::{
    cli::Heard,
    client::{Changes, Told},
    master::{self, MasterOptions},
    slave::{self, SlaveOptions},
};
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Keeps jobs and hands out work.
#[pyclass(frozen)]
pub struct Master {
    options: MasterOptions,
    running: Mutex<Option<master::Master>>,
    told: Mutex<Told>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Master {
    #[new]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    #[pyo3(signature = (data, *, host = String::new(), port = 8000, name = String::new(), broadcast = true, clear_on_exit = false, slave_timeout_s = 60.0, allow_scripts = false))]
    fn new(
        data: PathBuf,
        host: String,
        port: u16,
        name: String,
        broadcast: bool,
        clear_on_exit: bool,
        slave_timeout_s: f64,
        allow_scripts: bool,
    ) -> PyResult<Self> {
        let slave_timeout = errors::seconds(slave_timeout_s)?;
        if slave_timeout.is_zero() {
            return Err(errors::UsageError::new_err("the slave timeout is more than 0 seconds"));
        }
        let options = MasterOptions { data, host, port, name, broadcast, clear_on_exit, slave_timeout, allow_scripts };
        Ok(Self { options, running: Mutex::new(None), told: Mutex::default() })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            let mut running = lock(&self.running);
            if running.is_none() {
                let started = runtime.block_on(master::Master::start(self.options.clone()));
                *running = Some(started.map_err(|error| errors::ServiceError::new_err(error.to_string()))?);
            }
            Ok(())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            if let Some(running) = lock(&self.running).take() {
                runtime.block_on(running.stop());
            }
        });
        Ok(())
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (mut seen, farm) = self.look();
        seen["jobs"] = json!(farm.jobs);
        seen["slaves"] = json!(farm.slaves);
        to_python(py, &seen)
    }

    #[pyo3(signature = (anew = false, limit = 100))]
    fn changes(&self, py: Python<'_>, anew: bool, limit: usize) -> PyResult<Py<PyAny>> {
        let (head, farm) = self.look();
        let rows = crate::client::changes(&self.told, &farm, anew, limit);
        to_python(py, &News { head, rows })
    }
}

/// A look at the master without the rows that are known.
#[derive(Serialize)]
struct News {
    #[serde(flatten)]
    head: Value,
    #[serde(flatten)]
    rows: Changes,
}

impl Master {
    /// What it says of itself, and its lists.
    fn look(&self) -> (Value, Arc<FarmView>) {
        let resting = |state| {
            let seen = json!({ "state": state, "url": "", "port": self.options.port, "name": self.options.name,
                "data": self.options.data, "error": null });
            (seen, Arc::default())
        };
        // Start and stop hold the lock while they wait; a look never does.
        let Ok(running) = self.running.try_lock() else { return resting("busy") };
        let Some(master) = running.as_ref() else { return resting("stopped") };
        let seen = json!({ "state": "running", "url": master.url(), "port": master.port(), "name": master.info().name,
            "data": self.options.data, "error": null });
        (seen, master.view())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (lock(&self.running).take(), runtime()) {
            runtime.spawn(running.stop());
        }
    }
}

/// Renders for a master.
#[pyclass(frozen)]
pub struct Slave {
    options: SlaveOptions,
    running: Mutex<Option<slave::Slave>>,
}

#[pymethods]
impl Slave {
    #[new]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    #[pyo3(signature = (data, blender, *, master = String::new(), name = String::new(), threads = 0, device = "auto".into(), tags = vec![], console = false, cache_limit_gb = slave::DEFAULT_CACHE_GB, hang_timeout_s = slave::DEFAULT_HANG_TIMEOUT_S, upload_interval_s = slave::UPLOAD_INTERVAL_S, clear_on_exit = false))]
    fn new(
        data: PathBuf,
        blender: PathBuf,
        master: String,
        name: String,
        threads: u32,
        device: String,
        tags: Vec<String>,
        console: bool,
        cache_limit_gb: f64,
        hang_timeout_s: f64,
        upload_interval_s: u32,
        clear_on_exit: bool,
    ) -> PyResult<Self> {
        let upload_interval_s = slave::upload_interval(upload_interval_s)
            .ok_or_else(|| errors::UsageError::new_err("the upload interval is 1 to 3600 seconds"))?;
        let cache_limit_bytes = slave::cache_limit(cache_limit_gb)
            .ok_or_else(|| errors::UsageError::new_err("the cache limit is a number of gigabytes from 0 up"))?;
        let master = Some(master).filter(|address| !address.is_empty());
        let tags = tags.into_iter().filter(|tag| !tag.is_empty()).collect();
        let hang_timeout = errors::seconds(hang_timeout_s)?;
        let options = SlaveOptions {
            data,
            blender,
            master,
            name,
            threads,
            device,
            tags,
            console,
            cache_limit_bytes,
            hang_timeout,
            upload_interval_s,
            clear_on_exit,
        };
        Ok(Self { options, running: Mutex::new(None) })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            let mut running = lock(&self.running);
            // Stopped from the master, or by a fault, it is still here.
            if let Some(ended) = running.take_if(|slave| slave.has_ended()) {
                runtime.block_on(ended.stop());
            }
            if running.is_none() {
                let started = runtime.block_on(slave::Slave::start(self.options.clone(), Arc::new(Heard)));
                *running = Some(started.map_err(|error| errors::ServiceError::new_err(error.to_string()))?);
            }
            Ok(())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            if let Some(running) = lock(&self.running).take() {
                runtime.block_on(running.stop());
            }
        });
        Ok(())
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let waiting = |state: &str| {
            json!({ "state": state, "message": "", "master": self.options.master.clone().unwrap_or_default(),
                "name": self.options.name, "blender": "", "job": null, "frame": null, "progress": "",
                "rendered": 0, "failed": 0, "error": null })
        };
        match self.running.try_lock() {
            Err(_) => to_python(py, &waiting("starting")),
            Ok(running) => match running.as_ref() {
                Some(slave) => to_python(py, &slave.snapshot()),
                None => to_python(py, &waiting("stopped")),
            },
        }
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (lock(&self.running).take(), runtime()) {
            runtime.spawn(running.stop());
        }
    }
}
