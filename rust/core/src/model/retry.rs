//! Limits of retrying failed attempts.

use crate::model::task::Task;
use serde::{Deserialize, Serialize};

/// Limits after which the farm gives up on a frame, or on a slave for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryPolicy {
    /// Failed attempts after which a frame is given up, and a person must look at it.
    pub attempts: u32,
    /// Failures of one slave in one job, with no frame done between them, after which the slave
    /// gets no more of that job.
    pub slave_failures: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, slave_failures: 3 }
    }
}

impl RetryPolicy {
    /// True if the frame is tried again after one more failure.
    pub fn tries_again(&self, task: &Task) -> bool {
        task.strikes + 1 < self.attempts
    }
}
