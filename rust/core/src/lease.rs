//! A chunk of tasks in a slave's hands.

use crate::{
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
    share::Share,
    slave::Build,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Tasks of one job that one slave has. Lives until every task is handed in or failed, or the slave is lost;
/// there is no limit of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// Who has it.
    pub slave: SlaveId,
    /// Of which job.
    pub job: JobId,
    /// The frames not handed in yet. Never empty.
    pub frames: BTreeSet<Frame>,
    /// Only these samples of the only frame.
    #[serde(default)]
    pub share: Option<Share>,
    /// What the slave draws them with.
    #[serde(default)]
    pub build: Option<Build>,
    /// When it was granted.
    pub granted: Timestamp,
}

/// Why a lease ended before its tasks were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEnd {
    /// The slave does not have it: it gave it back, or the grant never reached it.
    Released,
    /// The slave fell silent.
    Lost,
    /// The job was canceled.
    Revoked,
}
