//! Outcome of an attempt at a frame: a film or a failure.

use crate::model::{
    digest::Digest,
    ids::{SlaveId, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use strum::Display;

/// A film that a slave handed in, or that the master merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The slave that rendered the film.
    pub slave: SlaveId,
    /// The film: a multilayer EXR.
    pub film: Digest,
    /// Size of the film in bytes.
    pub film_bytes: u64,
    /// The preview, a JPEG; `None` if none could be made.
    pub preview: Option<Digest>,
    /// Blender's output while it rendered.
    pub log: Option<Digest>,
    /// Blender's time for the frame, in seconds.
    pub seconds: f64,
    /// Files that the scene's File Output nodes wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputFile>,
}

impl TaskResult {
    /// True if the frame is not whole without this blob: its film, or a File Output node's file.
    pub fn needs(&self, blob: Digest) -> bool {
        self.film == blob || self.outputs.iter().any(|output| output.digest == blob)
    }
}

/// A file that a File Output node of the compositor wrote for a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutputFile {
    /// Folder of the node, then the path below it as Blender named the file, with `/` between:
    /// `File Output/beauty_0007.png`.
    pub path: String,
    /// Content of the file.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub bytes: u64,
}

impl OutputFile {
    /// Upper bound of such files of one frame.
    pub const MAX_COUNT: usize = 1024;
    /// Upper bound of a path's length, in bytes.
    pub const MAX_PATH_BYTES: usize = 1024;

    /// Refuses a list that is too long, names a file twice, or has a path that is too long or
    /// could lead out of the folder that it is put into.
    pub fn check(outputs: &[Self]) -> Result<(), String> {
        if outputs.len() > Self::MAX_COUNT {
            return Err(format!(
                "the File Output nodes wrote {} files for one frame; {} at most are taken",
                outputs.len(),
                Self::MAX_COUNT
            ));
        }
        let mut seen = BTreeSet::new();
        for Self { path, .. } in outputs {
            if path.len() > Self::MAX_PATH_BYTES || !is_plain(path) {
                return Err(format!("a File Output node's file has an unusable path: {path:?}"));
            }
            if !seen.insert(path) {
                return Err(format!("a File Output node's file comes twice: {path:?}"));
            }
        }
        Ok(())
    }
}

/// True for a relative path of which every part is a name.
fn is_plain(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(is_name) && !path.chars().any(|letter| letter == '\\' || letter.is_control())
}

/// The .blend of a job with its simulations baked, as a slave handed it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baked {
    /// The slave that baked.
    pub slave: SlaveId,
    /// The .blend. It takes the place of the job's own.
    pub blend: Digest,
    /// Size of the .blend in bytes.
    pub bytes: u64,
    /// Blender's output while it baked.
    pub log: Option<Digest>,
    /// Blender's time for it, in seconds.
    pub seconds: f64,
}

/// An attempt that ended without a film.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The slave that tried.
    pub slave: SlaveId,
    /// Time of the report.
    pub at: Timestamp,
    /// Cause of the failure.
    pub error: TaskError,
    /// Blender's output.
    pub log: Option<Digest>,
}

/// Cause of a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// Blender could not open the scene, or lacks what it needs.
    LoadFailed,
    /// Blender reported an error while it rendered.
    RenderFailed,
    /// A file that the scene names is not on the slave.
    MissingFile,
    /// Blender ended while it loaded or rendered.
    WorkerCrashed,
    /// Blender neither printed nor computed for longer than the hang timeout, and was killed.
    WorkerHung,
    /// The film is not what the job asks for.
    BadPicture,
    /// The part of a frame can't be merged.
    BadPart,
    /// The simulations of the scene can't be baked.
    BakeFailed,
    /// The job's files could not be fetched.
    FetchFailed,
    /// The slave's disk is full.
    DiskFull,
    /// The master refused the result.
    HandInFailed,
    /// A fault of the slave or its worker.
    Internal,
    /// A cause that another version of netrender reported.
    #[serde(untagged)]
    #[strum(to_string = "{0}")]
    Other(String),
}

/// Cause of a failed attempt, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskError {
    /// Kind of the cause, for programs.
    pub kind: FailureKind,
    /// Message for people: the fault, its place, its cause and a remedy; ends with
    /// the log's last lines.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_file_output_node_never_leaves_its_folder() {
        let file = |path: &str| OutputFile { path: path.into(), digest: Digest([0; 32]), bytes: 1 };
        for good in ["File Output/beauty_0007.png", "a", "Ebene 1/\u{5c42}/..x.exr", "a:b/c "] {
            assert_eq!(OutputFile::check(&[file(good)]), Ok(()), "{good}");
        }
        let long = "x".repeat(OutputFile::MAX_PATH_BYTES + 1);
        for bad in ["", "/", "/etc/passwd", "a/../b", "..", "a//b", "a/", "./a", "a\\b", "a\nb", "a\0", &long] {
            assert!(OutputFile::check(&[file(bad)]).is_err(), "{bad:?}");
        }
        assert!(OutputFile::check(&[file("a"), file("a")]).is_err());
        let many: Vec<_> = (0..=OutputFile::MAX_COUNT).map(|number| file(&number.to_string())).collect();
        assert!(OutputFile::check(&many).is_err() && OutputFile::check(&many[1..]).is_ok());
    }
}
