//! Errors as Python exceptions.

use netrender_client::ClientError;
use netrender_net::api::ApiError;
use pyo3::{create_exception, exceptions::PyException, prelude::*};
use std::time::Duration;

create_exception!(netrender_native, NetrenderError, PyException);
create_exception!(netrender_native, UsageError, NetrenderError);
create_exception!(netrender_native, NoMasterError, NetrenderError);
create_exception!(netrender_native, ServiceError, NetrenderError);
create_exception!(netrender_native, RefusedError, NetrenderError);

/// Adds the exceptions to the module.
pub fn register(py: Python<'_>, module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NetrenderError", py.get_type::<NetrenderError>())?;
    module.add("UsageError", py.get_type::<UsageError>())?;
    module.add("NoMasterError", py.get_type::<NoMasterError>())?;
    module.add("ServiceError", py.get_type::<ServiceError>())?;
    module.add("RefusedError", py.get_type::<RefusedError>())
}

/// The exception for an error of a client.
pub fn from_client(error: ClientError) -> PyErr {
    let message = error.to_string();
    match error {
        error if error.is_no_master() => NoMasterError::new_err(message),
        ClientError::Usage(_)
        | ClientError::File { .. }
        | ClientError::FileChanged(_)
        | ClientError::Incomplete(_)
        | ClientError::NoRoom { .. } => UsageError::new_err(message),
        ClientError::Api(ApiError::Refused { .. }) => RefusedError::new_err(message),
        _ => NetrenderError::new_err(message),
    }
}

/// Converts seconds from Python.
pub fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| UsageError::new_err(format!("{value} is not a number of seconds from 0 up")))
}
