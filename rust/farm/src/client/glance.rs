//! A job as the panel beside a list shows it: little, however many frames the job has.

use super::ClientError;
use crate::api::Api;
use netrender_core::{
    ids::{Frame, JobId, SlaveId},
    job::Split,
    wire::{JobDetail, SpeedView},
};
use serde::Serialize;

/// Frames and errors of a job that are shown.
const SHOWN: usize = 8;

/// Of a job what its row in the list does not say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Glance {
    /// Its number.
    pub id: JobId,
    /// Slaves that must not touch it.
    pub blacklist: Vec<SlaveId>,
    /// Frames with errors, the first ones.
    pub errors: Vec<FrameError>,
    /// What was asked for.
    pub split: Split,
    /// What was chosen and why.
    pub split_note: String,
    /// Samples of a frame that can be shared; 0 when none can.
    pub samples: u32,
    /// Frames that slaves render together now, the first ones.
    pub sharing: Vec<SharedFrame>,
    /// How fast slaves were last.
    pub speeds: Vec<SpeedView>,
}

/// Why a frame failed last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameError {
    /// Its number.
    pub frame: Frame,
    /// Who failed it.
    pub slave: Option<SlaveId>,
    /// In words.
    pub message: String,
}

/// A frame in several hands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SharedFrame {
    /// Its number.
    pub frame: Frame,
    /// Handed in, and all.
    pub samples: [u32; 2],
    /// Who is at it.
    pub slaves: Vec<SlaveId>,
    /// What part of their time they rendered, of 1.
    pub efficiency: Option<f64>,
}

/// Looks at a job.
pub async fn glance(api: &Api, job: JobId) -> Result<Glance, ClientError> {
    Ok(of(api.job(job).await?))
}

fn of(detail: JobDetail) -> Glance {
    // Given up ones first: those that others try again may yet come out well.
    let failed = detail.tasks.iter().filter(|task| task.state == "failed");
    let tried = detail.tasks.iter().filter(|task| task.state != "failed");
    let errors = failed.chain(tried).filter_map(|task| {
        let message = task.error.as_ref()?.message.clone();
        Some(FrameError { frame: task.frame, slave: task.slave, message })
    });
    let sharing = detail.tasks.iter().filter(|task| task.state == "sharing").filter_map(|task| {
        Some(SharedFrame {
            frame: task.frame,
            samples: task.samples?,
            slaves: task.slaves.clone(),
            efficiency: task.efficiency,
        })
    });
    Glance {
        id: detail.job.id,
        errors: errors.take(SHOWN).collect(),
        sharing: sharing.take(SHOWN).collect(),
        split: detail.spec.split,
        samples: detail.spec.frame_samples(),
        split_note: detail.spec.split_note,
        blacklist: detail.blacklist,
        speeds: detail.speeds,
    }
}
