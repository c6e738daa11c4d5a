//! Frames, or a share of one frame, in a slave's hands.

use crate::model::{
    build::Build,
    cut::Span,
    ids::{Frame, JobId, LeaseId, SlaveId, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Frames of one job that one slave holds. A lease has no time limit: it ends when each of its
/// frames is handed in or has failed, when the slave gives it back, or when the slave is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the types say what the other fields are")]
pub struct Lease {
    pub id: LeaseId,
    pub slave: SlaveId,
    pub job: JobId,
    /// The frames that are not handed in yet. Never empty.
    pub frames: BTreeSet<Frame>,
    /// The units that the slave renders of the only frame; `None` if it renders whole frames.
    #[serde(default)]
    pub share: Option<Span>,
    /// True if the slave bakes the job's simulations. The frame only holds the place in the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bake: bool,
    /// The build that the slave renders the share with.
    #[serde(default)]
    pub build: Option<Build>,
    /// Time of the grant.
    pub granted: Timestamp,
}

/// Cause of a lease's end before its frames were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEnd {
    /// The slave does not have it: it gave it back, or the grant never reached it.
    Released,
    /// The slave was lost.
    Lost,
    /// The master took it back: its job was canceled, or the slave is on the job's blacklist.
    Revoked,
}
