//! Threads of all classes: one runtime, made when it is first needed and ended when the add-on is
//! disabled. Blender may disable and enable add-ons at any time.

use crate::errors::NetrenderError;
use parking_lot::Mutex;
use pyo3::PyResult;
use std::{ops::Deref, sync::Arc, time::Duration};
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::runtime::Runtime;

static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

/// Upper bound of a wait in one call, so that Python handles its signals in between.
pub const SLICE: Duration = Duration::from_millis(100);
/// Time that running work has to end: a file being written, a connection being closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime, held for the duration of a call.
pub struct Borrowed(Option<Arc<Runtime>>);

impl Deref for Borrowed {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("only Drop takes it")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Only the last holder gets here, after the add-on was disabled. Dropping a runtime would
        // wait without limit.
        if let Some(runtime) = self.0.take().and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

/// Returns the runtime and makes it if there is none.
pub fn runtime() -> PyResult<Borrowed> {
    let mut shared = RUNTIME.lock();
    if let Some(runtime) = shared.as_ref() {
        return Ok(Borrowed(Some(Arc::clone(runtime))));
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("netrender")
        .on_thread_start(lower_priority)
        .enable_all()
        .build()
        .map_err(|error| NetrenderError::new_err(format!("this machine gives no threads: {error}")))?;
    Ok(Borrowed(Some(Arc::clone(shared.insert(Arc::new(made))))))
}

/// Gives a thread the lowest priority, because Blender's own threads come first: an artist notices
/// a mouse that waits, not a file that is sent a little later. On Linux this is nice 19, which
/// processes inherit that are started here, such as a slave's Blender. Without the right to change
/// it the priority stays. (SCHED_IDLE delays Blender a little less, but a transfer takes five times
/// as long while Blender renders with all processors.)
fn lower_priority() {
    let _ = set_current_thread_priority(ThreadPriority::Min);
}

/// Ends the runtime and drops its work. Waits for its threads, but not long.
pub fn end() {
    let runtime = RUNTIME.lock().take();
    if let Some(runtime) = runtime.and_then(Arc::into_inner) {
        runtime.shutdown_timeout(PATIENCE);
    }
}
