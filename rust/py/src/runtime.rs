//! Threads of all classes: one set, made when it is first needed and ended when the add-on is
//! disabled. Blender may disable and enable add-ons at any time.

use crate::errors::NetrenderError;
use parking_lot::Mutex;
use pyo3::{PyErr, PyResult};
use std::{io, ops::Deref, sync::Arc, time::Duration};
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::runtime::{Builder, Handle, Runtime};

static THREADS: Mutex<Option<Arc<Threads>>> = Mutex::new(None);

/// Upper bound of a wait in one call, so that Python handles its signals in between.
pub const SLICE: Duration = Duration::from_millis(100);
/// Time that running work has to end: a file being written, a connection being closed.
const PATIENCE: Duration = Duration::from_secs(2);

struct Threads {
    /// Threads of the lowest priority, for all work.
    runtime: Runtime,
    /// One thread of the priority that Blender's main thread has. It only starts programs that the
    /// artist waits for: a program of the lowest priority may take minutes to open a scene while
    /// Blender renders or plays an animation with all processors.
    starter: Runtime,
}

impl Threads {
    fn make() -> io::Result<Self> {
        Ok(Self {
            runtime: Builder::new_multi_thread()
                .worker_threads(4)
                .thread_name("netrender")
                .on_thread_start(lower_priority)
                .enable_all()
                .build()?,
            starter: Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("netrender-start")
                .enable_all()
                .build()?,
        })
    }
}

/// The runtime, held for the duration of a call.
pub struct Borrowed(Option<Arc<Threads>>);

impl Borrowed {
    fn threads(&self) -> &Threads {
        self.0.as_ref().expect("only Drop takes it")
    }

    /// Starts programs at the priority of Blender itself.
    pub fn starter(&self) -> Handle {
        self.threads().starter.handle().clone()
    }
}

impl Deref for Borrowed {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.threads().runtime
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Only the last holder gets here, after the add-on was disabled. Dropping a runtime would
        // wait without limit.
        if let Some(threads) = self.0.take().and_then(Arc::into_inner) {
            threads.runtime.shutdown_background();
            threads.starter.shutdown_background();
        }
    }
}

/// Returns the runtime and makes it if there is none.
pub fn runtime() -> PyResult<Borrowed> {
    let mut shared = THREADS.lock();
    if let Some(threads) = shared.as_ref() {
        return Ok(Borrowed(Some(Arc::clone(threads))));
    }
    let no_threads =
        |error: io::Error| -> PyErr { NetrenderError::new_err(format!("this machine gives no threads: {error}")) };
    let made = Threads::make().map_err(no_threads)?;
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

/// Ends the threads and drops their work. Waits for them, but not long.
pub fn end() {
    let threads = THREADS.lock().take();
    if let Some(threads) = threads.and_then(Arc::into_inner) {
        threads.runtime.shutdown_timeout(PATIENCE);
        threads.starter.shutdown_timeout(PATIENCE);
    }
}
