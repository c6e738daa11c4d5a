//! State of a slave as shown to people.

use serde::Serialize;

/// Activity of a slave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlaveStatus {
    /// Opens its folder and starts Blender.
    #[default]
    Starting,
    /// Has not reached a master yet.
    Looking,
    /// Waits for work.
    Idle,
    /// Renders a frame.
    Rendering,
    /// Lost the master. Frames that are leased already are still rendered.
    Reconnecting,
    /// Ended as asked.
    Stopped,
    /// Ended by a fault of its own.
    Failed,
}

impl SlaveStatus {
    /// True once the slave has ended for good.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// State of a slave at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SlaveSnapshot {
    /// Activity, for programs.
    pub state: SlaveStatus,
    /// Activity in a sentence.
    pub message: String,
    /// Address of the master that was reached last; empty before the first one.
    pub master: String,
    /// Effective name of the slave.
    pub name: String,
    /// Version of its Blender, for example `3.4.1`.
    pub blender: String,
    /// Job of the frame that is rendered now.
    pub job: Option<u32>,
    /// Frame that is rendered now.
    pub frame: Option<i32>,
    /// Progress of that frame in Blender's words.
    pub progress: String,
    /// Number of frames handed in since the start.
    pub rendered: u32,
    /// Number of frames failed since the start.
    pub failed: u32,
    /// Most recent error.
    pub error: Option<String>,
}
