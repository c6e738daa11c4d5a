//! Rules for failures: when a slave gets no more of a job.
//!
//! | Failure | Counts as an attempt | Tried again by |
//! |---|---|---|
//! | Blender crashed, hung or failed; a bad picture | yes | a slave that has not failed the frame |
//! | a slave fell silent, stopped or gave the lease back | no | any slave |
//! | one slave failed several times in a row | | other slaves, for this job, if there are any |

use crate::{
    decide::eligibility::fit_slaves,
    model::{farm::Farm, ids::SlaveId, job::Job, retry::RetryPolicy},
};

/// True if one more failure of this slave puts it on the job's blacklist. Never while no other
/// slave could do the job: then the job may be at fault, and its frames' attempts end it.
pub(super) fn gives_up_on(policy: RetryPolicy, farm: &Farm, job: &Job, slave: SlaveId) -> bool {
    let failures = job.failing.get(&slave).copied().unwrap_or(0) + 1;
    failures >= policy.slave_failures && fit_slaves(farm, job).any(|other| other.id != slave)
}
