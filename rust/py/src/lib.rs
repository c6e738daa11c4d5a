//! The Python module `netrender_native`: thin classes, one runtime, exceptions. Everything that
//! waits releases the interpreter lock; a Rust panic becomes a Python exception.
//! `netrender_native.pyi` documents each class.

mod client;
mod convert;
mod errors;
mod runtime;
mod services;

use convert::to_python;
use netrender_core::model::slave_settings::SlaveSetting;
use netrender_film::Expect;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runtime::runtime;
use std::{collections::BTreeMap, path::PathBuf};

/// Masters that answer on UDP port 8000 within the time.
#[pyfunction]
#[pyo3(signature = (timeout_s = 0.3))]
fn discover(py: Python<'_>, timeout_s: f64) -> PyResult<Py<PyAny>> {
    let timeout = errors::seconds(timeout_s)?;
    let runtime = runtime()?;
    let found = py
        .detach(|| runtime.block_on(netrender_net::discovery::discover(timeout)))
        .map_err(|error| errors::NetrenderError::new_err(format!("can't look for masters: {error}")))?;
    to_python(py, &found)
}

/// Frame numbers in the artist's notation, in order.
#[pyfunction]
fn frames(text: &str) -> PyResult<Vec<i32>> {
    let list: netrender_core::model::frames::FrameList =
        text.trim().parse().map_err(|error| errors::UsageError::new_err(format!("{error}")))?;
    Ok(list.frames().into_iter().map(|frame| frame.0).collect())
}

/// Unpacks a film into files of plain floats, one a pass, for Blenders that can't read it.
#[pyfunction]
fn unfold(py: Python<'_>, film: PathBuf, width: u32, height: u32, folder: PathBuf) -> PyResult<Vec<Py<PyAny>>> {
    let unfolded = py
        .detach(|| netrender_film::unfold(&film, &Expect { width, height }, &folder))
        .map_err(|error| errors::NetrenderError::new_err(format!("{}: {error}", film.display())))?;
    let mut passes = Vec::new();
    for pass in unfolded.passes {
        let entry = PyDict::new(py);
        entry.set_item("layer", pass.layer)?;
        entry.set_item("view", pass.view)?;
        entry.set_item("pass", pass.pass)?;
        entry.set_item("channels", pass.channels)?;
        entry.set_item("file", pass.file)?;
        passes.push(entry.into_any().unbind());
    }
    Ok(passes)
}

/// The engine's texts in a film's header, by name.
#[pyfunction]
fn words(py: Python<'_>, film: PathBuf) -> PyResult<BTreeMap<String, String>> {
    py.detach(|| netrender_film::words(&film))
        .map_err(|error| errors::NetrenderError::new_err(format!("{}: {error}", film.display())))
}

/// Folder where a service keeps its files if none is named.
#[pyfunction]
fn data_folder(service: &str) -> Option<PathBuf> {
    netrender_net::folders::data(service)
}

/// Ranges, units, defaults and meanings of a slave's settings.
#[pyfunction]
fn slave_settings(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let infos: Vec<_> = SlaveSetting::ALL.iter().map(|setting| setting.info()).collect();
    to_python(py, &infos)
}

/// Ends the threads of all classes. The next call that needs some starts new ones.
#[pyfunction]
fn end_threads(py: Python<'_>) {
    py.detach(runtime::end);
}

/// Runs the program `netrender`; returns its exit code.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<String>) -> i32 {
    py.detach(|| netrender_cli::run(argv))
}

/// Entry point of the installed program `netrender`.
#[pyfunction]
fn console_script(py: Python<'_>) -> PyResult<i32> {
    let argv: Vec<String> = py.import("sys")?.getattr("argv")?.extract()?;
    Ok(main(py, argv.into_iter().skip(1).collect()))
}

#[pymodule]
fn netrender_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    errors::register(py, module)?;
    module.add_class::<services::Master>()?;
    module.add_class::<services::Slave>()?;
    module.add_class::<client::Client>()?;
    module.add_class::<client::Transfer>()?;
    module.add_function(wrap_pyfunction!(discover, module)?)?;
    module.add_function(wrap_pyfunction!(frames, module)?)?;
    module.add_function(wrap_pyfunction!(unfold, module)?)?;
    module.add_function(wrap_pyfunction!(words, module)?)?;
    module.add_function(wrap_pyfunction!(data_folder, module)?)?;
    module.add_function(wrap_pyfunction!(slave_settings, module)?)?;
    module.add_function(wrap_pyfunction!(end_threads, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(console_script, module)?)?;
    Ok(())
}
