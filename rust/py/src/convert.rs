//! Conversion of values to Python.

use pyo3::prelude::*;
use serde::Serialize;

/// Converts to dictionaries, lists and plain values.
pub fn to_python<T: Serialize + ?Sized>(py: Python<'_>, value: &T) -> PyResult<Py<PyAny>> {
    Ok(pythonize::pythonize(py, value)?.unbind())
}
