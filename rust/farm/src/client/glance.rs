//! A job as the panel beside a list shows it: little, however many frames the job has.

use super::ClientError;
use crate::api::Api;
use netrender_core::{
    ids::{Frame, JobId, SlaveId},
    job::Split,
    share::Unit,
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
    /// What is counted as samples.
    pub unit: Unit,
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
        unit: detail.spec.unit(),
        split_note: detail.spec.split_note,
        blacklist: detail.blacklist,
        speeds: detail.speeds,
    }
}

#[cfg(test)]
mod tests {
    use super::{JobDetail, of};
    use serde_json::json;

    fn task(frame: i32, state: &str, more: serde_json::Value) -> serde_json::Value {
        let mut task = json!({ "frame": frame, "state": state, "slave": 2, "attempts": 1, "error": null, "seconds": null,
            "film": null, "film_bytes": null, "preview": false });
        if let (Some(task), Some(more)) = (task.as_object_mut(), more.as_object()) {
            task.extend(more.clone());
        }
        task
    }

    #[test]
    fn what_is_given_up_comes_before_what_may_yet_come_out_well() {
        let why = |message: &str| json!({ "error": { "kind": "render_failed", "message": message } });
        let detail: JobDetail = serde_json::from_value(json!({
            "id": 3, "name": "a", "category": "", "priority": 50, "state": "active", "status": "Rendering", "frames": "1-4",
            "total": 4, "done": 1, "failed": 1, "rendering": 1, "why": "", "created_ms": 0, "blacklist": [7],
            "spec": { "name": "a", "frames": "1-4", "engine": "CYCLES", "blender": [3, 4], "width": 4, "height": 4,
                "split": "auto", "split_note": "by samples", "manifest": "0".repeat(64) },
            "tasks": [
                task(1, "waiting", why("it may yet")),
                task(2, "failed", why("it won't")),
                task(3, "sharing", json!({ "samples": [16, 64], "slaves": [1, 2], "efficiency": 0.9 })),
                task(4, "done", json!({})),
            ],
        }))
        .expect("a job as the master tells it");
        let seen = serde_json::to_value(of(detail)).expect("JSON");
        assert_eq!(
            seen,
            json!({
                "id": 3, "blacklist": [7], "split": "auto", "split_note": "by samples", "samples": 0, "unit": "samples",
                "speeds": [],
                "errors": [
                    { "frame": 2, "slave": 2, "message": "it won't" },
                    { "frame": 1, "slave": 2, "message": "it may yet" },
                ],
                "sharing": [{ "frame": 3, "samples": [16, 64], "slaves": [1, 2], "efficiency": 0.9 }],
            })
        );
    }
}
