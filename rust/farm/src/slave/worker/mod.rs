//! One warm Blender: start it, ask it, kill it. What it says and how is written at the top of `worker.py`; time, retries
//! and pictures are not decided here.

mod log;
mod process;

pub use log::last_lines;
pub use process::{Answer, Died, Worker};
