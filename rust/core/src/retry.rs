//! What is tried again, how often and where. The one place for it.
//!
//! | What happened | Counts as an attempt | Where next |
//! |---|---|---|
//! | Blender crashed, hung, could not load or render; a bad picture | yes | a slave that has not failed the frame, if there is one |
//! | a slave fell silent, stopped or gave the lease back | no | any |
//! | the same slave failed several times running | | not there, for this job, while another can do it |

use crate::{balance, farm::Farm, ids::SlaveId, job::Job, slave::SlaveState, task::Task};
use serde::{Deserialize, Serialize};

/// The limits. Counted per frame and per slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryPolicy {
    /// Failed attempts after which a frame is given up and a person must look.
    pub attempts: u32,
    /// Failures of one slave in one job, with no frame done between them, after which it gets no more of that job.
    pub slave_failures: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, slave_failures: 3 }
    }
}

impl RetryPolicy {
    /// Whether the task goes back to the queue after one more failure.
    pub fn tries_again(&self, task: &Task) -> bool {
        task.strikes + 1 < self.attempts
    }

    /// Whether one more failure of this slave is enough. Never while no other slave could do the job: then the job may
    /// be at fault, and ends by its frames' attempts.
    pub fn gives_up_on(&self, farm: &Farm, job: &Job, slave: SlaveId) -> bool {
        let failures = job.failing.get(&slave).copied().unwrap_or(0) + 1;
        failures >= self.slave_failures
            && farm.slaves.values().any(|other| {
                other.id != slave && other.state == SlaveState::Ready && balance::unfit(job, other).is_none()
            })
    }
}
