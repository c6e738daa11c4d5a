//! How often a failed task is tried again.

use crate::task::Task;

/// One place for what counts and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts after which a task is given up. A lost slave or a lease given back does not count.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3 }
    }
}

impl RetryPolicy {
    /// Whether the task goes back to the queue after one more failure.
    pub fn tries_again(&self, task: &Task) -> bool {
        task.strikes + 1 < self.attempts
    }
}
