//! Pictures of unfinished frames: what is there of them so far.

use super::shared_frame::FrameKey;
use netrender_core::model::ids::{Frame, JobId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The latest picture of each unfinished frame, in memory.
#[derive(Debug, Default)]
pub struct UnfinishedPictures(Mutex<BTreeMap<FrameKey, UnfinishedPicture>>);

/// The picture of an unfinished frame.
#[derive(Clone, Debug)]
pub struct UnfinishedPicture {
    pub jpeg: Arc<Vec<u8>>,
    /// The film with all passes, while more samples are to come. The last holder of the path
    /// removes the file.
    pub film: Option<Arc<tempfile::TempPath>>,
}

impl UnfinishedPictures {
    /// The latest picture of a frame.
    pub fn get(&self, job: JobId, frame: Frame) -> Option<UnfinishedPicture> {
        self.0.lock().get(&(job, frame)).cloned()
    }

    /// Replaces the picture of a frame.
    pub fn put(&self, frame: FrameKey, jpeg: Vec<u8>, film: Option<tempfile::TempPath>) {
        let picture = UnfinishedPicture { jpeg: Arc::new(jpeg), film: film.map(Arc::new) };
        self.0.lock().insert(frame, picture);
    }

    /// Drops the pictures of all other frames.
    pub fn retain(&self, is_kept: impl Fn(&FrameKey) -> bool) {
        self.0.lock().retain(|frame, _| is_kept(frame));
    }
}
