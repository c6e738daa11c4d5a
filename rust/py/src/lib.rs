//! `netrender_native`: the farm for Python. Thin: handles, one runtime, exceptions. Everything that waits releases the
//! interpreter lock; a Rust panic arrives as a Python exception.
//!
//! What each class promises is written in `netrender_native.pyi`.

mod client;
mod errors;
mod runtime;
mod services;

use netrender_film::Expect;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runtime::runtime;
use std::path::PathBuf;
use std::time::Duration;

/// Masters heard on UDP 8000 within the time.
#[pyfunction]
#[pyo3(signature = (timeout_s = 0.3))]
fn discover(py: Python<'_>, timeout_s: f64) -> PyResult<Py<PyAny>> {
    let timeout = errors::seconds(timeout_s)?;
    let runtime = runtime()?;
    let found = py
        .detach(|| runtime.block_on(netrender_farm::discovery::discover(timeout)))
        .map_err(|error| errors::NetrenderError::new_err(format!("can't look for masters: {error}")))?;
    to_python(py, &found)
}

/// Frame numbers in the artist's notation, in order.
#[pyfunction]
fn frames(text: &str) -> PyResult<Vec<i32>> {
    let list: netrender_core::frames::FrameList =
        text.trim().parse().map_err(|error| errors::UsageError::new_err(format!("{error}")))?;
    Ok(list.frames().into_iter().map(|frame| frame.0).collect())
}

/// A film's passes as files of plain floats, for Blenders that can't read them themselves.
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

/// Ends the threads behind all handles. The next call that needs some starts new ones.
#[pyfunction]
fn end_threads(py: Python<'_>) {
    py.detach(runtime::end);
}

/// The `netrender` command; returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<String>) -> i32 {
    py.detach(|| netrender_farm::cli::run(argv))
}

/// The installed `netrender` command.
#[pyfunction]
fn console_script(py: Python<'_>) -> PyResult<i32> {
    let argv: Vec<String> = py.import("sys")?.getattr("argv")?.extract()?;
    Ok(main(py, argv.into_iter().skip(1).collect()))
}

fn to_python<T: serde::Serialize + ?Sized>(py: Python<'_>, value: &T) -> PyResult<Py<PyAny>> {
    Ok(pythonize::pythonize(py, value)?.unbind())
}

/// A bound on waiting in one call, so that Python's own signals are seen.
const SLICE: Duration = Duration::from_millis(100);

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
    module.add_function(wrap_pyfunction!(end_threads, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(console_script, module)?)?;
    Ok(())
}
