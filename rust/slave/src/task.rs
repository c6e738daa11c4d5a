//! Frames to render, as the slave's parts hand them on to each other.

use netrender_core::model::{
    cut::Span,
    digest::Digest,
    ids::{Frame, JobId, LeaseId},
    spec::JobSpec,
};
use std::sync::Arc;

/// A job of one farm. Job numbers repeat across farms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    /// Random id of the farm.
    pub farm: Arc<str>,
    /// Number of the job in that farm.
    pub job: JobId,
    /// The .blend with the simulations baked that takes the place of the job's own. The job has
    /// other files with it.
    pub baked: Option<Digest>,
}

/// One frame to render.
#[derive(Clone, Debug)]
pub struct Task {
    /// Lease that the frame belongs to.
    pub lease: LeaseId,
    /// Job that the frame belongs to.
    pub key: JobKey,
    /// Number of the frame.
    pub frame: Frame,
    /// Part of the frame to render; `None` means all of it.
    pub share: Option<Span>,
    /// Merged film of a frame whose parts are complete: it is denoised and composited instead of
    /// rendered.
    pub merged: Option<Digest>,
    /// True if the job's simulations are to be baked instead.
    pub bake: bool,
    /// The job's specification.
    pub spec: Arc<JobSpec>,
    /// Allows the scene's own Python to run.
    pub scripts: bool,
}
