//! Python classes of the services: `Master` and `Slave`.

use crate::{convert::to_python, errors, runtime::runtime};
use netrender_client::{Changes, KnownRows};
use netrender_core::{
    model::{build::UnknownDevice, slave_settings::SlaveSettings},
    wire::FarmView,
};
use netrender_master::MasterOptions;
use netrender_slave::{self as slave, SlaveOptions};
use parking_lot::Mutex;
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

/// Keeps jobs and hands out work.
#[pyclass(frozen)]
pub struct Master {
    options: MasterOptions,
    running: Mutex<Option<netrender_master::Master>>,
    known: Mutex<KnownRows>,
}

#[pymethods]
impl Master {
    #[new]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    #[pyo3(signature = (data, *, host = String::new(), port = 8000, name = String::new(), broadcast = true, clear_on_exit = false, slave_timeout_s = 60.0, allow_scripts = false, allow_host = Vec::new()))]
    fn new(
        data: PathBuf,
        host: String,
        port: u16,
        name: String,
        broadcast: bool,
        clear_on_exit: bool,
        slave_timeout_s: f64,
        allow_scripts: bool,
        allow_host: Vec<String>,
    ) -> PyResult<Self> {
        let slave_timeout = errors::seconds(slave_timeout_s)?;
        if slave_timeout.is_zero() {
            return Err(errors::UsageError::new_err("the slave timeout is more than 0 seconds"));
        }
        let options = MasterOptions {
            data,
            host,
            port,
            name,
            broadcast,
            clear_on_exit,
            slave_timeout,
            allow_scripts,
            host_names: allow_host,
        };
        Ok(Self { options, running: Mutex::new(None), known: Mutex::default() })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            let mut running = self.running.lock();
            if running.is_none() {
                let started = runtime.block_on(netrender_master::Master::start(self.options.clone()));
                *running = Some(started.map_err(|error| errors::ServiceError::new_err(error.to_string()))?);
            }
            Ok(())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            if let Some(running) = self.running.lock().take() {
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
        let rows = crate::client::changes(&self.known, &farm, anew, limit);
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
    /// The master's state, and its lists.
    fn look(&self) -> (Value, Arc<FarmView>) {
        let resting = |state| {
            let seen = json!({ "state": state, "url": "", "port": self.options.port, "name": self.options.name,
                "data": self.options.data, "error": null });
            (seen, Arc::default())
        };
        // Start and stop hold the lock while they wait; a look never does.
        let Some(running) = self.running.try_lock() else { return resting("busy") };
        let Some(master) = running.as_ref() else { return resting("stopped") };
        let seen = json!({ "state": "running", "url": master.url(), "port": master.port(), "name": master.info().name,
            "data": self.options.data, "error": null });
        (seen, master.view())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.running.lock().take(), runtime()) {
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
    #[pyo3(signature = (data, blender, *, master = String::new(), name = String::new(), threads = 0, device = "auto".into(), tags = vec![], console = false, cache_limit_gb = None, hang_timeout_s = None, upload_interval_s = None, clear_on_exit = false))]
    fn new(
        data: PathBuf,
        blender: PathBuf,
        master: String,
        name: String,
        threads: u32,
        device: String,
        tags: Vec<String>,
        console: bool,
        cache_limit_gb: Option<f64>,
        hang_timeout_s: Option<f64>,
        upload_interval_s: Option<u32>,
        clear_on_exit: bool,
    ) -> PyResult<Self> {
        let usage = |why: String| errors::UsageError::new_err(why);
        let settings = SlaveSettings {
            name: Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
            tags: Some(tags.into_iter().filter(|tag| !tag.is_empty()).collect()),
            threads: Some(threads).filter(|threads| *threads != 0),
            hang_timeout_s,
            cache_limit_gb,
            upload_interval_s,
        };
        settings.check().map_err(|why| usage(why.to_owned()))?;
        let options = SlaveOptions {
            data,
            blender,
            master: Some(master).filter(|address| !address.is_empty()),
            device: device.parse().map_err(|error: UnknownDevice| usage(error.to_string()))?,
            console,
            clear_on_exit,
            settings,
        };
        Ok(Self { options, running: Mutex::new(None) })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            let mut running = self.running.lock();
            // Stopped from the master, or by a fault, it is still here.
            if let Some(ended) = running.take_if(|slave| slave.has_ended()) {
                runtime.block_on(ended.stop());
            }
            if running.is_none() {
                let started = runtime.block_on(slave::Slave::start(self.options.clone()));
                *running = Some(started.map_err(|error| errors::ServiceError::new_err(error.to_string()))?);
            }
            Ok(())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let runtime = runtime()?;
        py.detach(|| {
            if let Some(running) = self.running.lock().take() {
                runtime.block_on(running.stop());
            }
        });
        Ok(())
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let waiting = |state: &str| {
            json!({ "state": state, "message": "", "master": self.options.master.clone().unwrap_or_default(),
                "name": self.options.settings.name.clone().unwrap_or_default(), "blender": "", "job": null, "frame": null, "progress": "",
                "rendered": 0, "failed": 0, "error": null })
        };
        match self.running.try_lock() {
            None => to_python(py, &waiting("starting")),
            Some(running) => match running.as_ref() {
                Some(slave) => to_python(py, &slave.snapshot()),
                None => to_python(py, &waiting("stopped")),
            },
        }
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.running.lock().take(), runtime()) {
            runtime.spawn(running.stop());
        }
    }
}
