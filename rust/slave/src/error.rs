//! Reasons why a slave can't start.

use super::worker::StartError;
use netrender_net::api::ApiError;
use std::path::PathBuf;

/// Reason why a slave can't start.
#[derive(Debug, thiserror::Error)]
pub enum SlaveError {
    /// The data folder can't be used.
    #[error("the slave's data folder {} can't be used ({source}): choose one that you, and nobody else, may write to (--data)", path.display())]
    Folder {
        /// Path of the folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Another slave uses the data folder.
    #[error("the data folder {} is in use by another slave: stop that one or choose another folder (--data)", path.display())]
    FolderInUse {
        /// Path of the folder.
        path: PathBuf,
    },
    /// There is no such program.
    #[error(
        "there is no Blender at {tried:?}: install Blender, or say where a Blender or a Python with the bpy module is (--blender)"
    )]
    NoBlender {
        /// Path or name that was tried.
        tried: String,
    },
    /// Blender starts but does not work.
    #[error("Blender does not work: {0}\nStart it by hand to see why, or use another one (--blender)")]
    BadBlender(String),
    /// Blender does not find the device to render with.
    #[error(
        "this machine has no {wanted} device that its Blender can render with; it has {there}: choose one of these, or auto (--device)"
    )]
    NoDevice {
        /// Kind of device that was asked for.
        wanted: String,
        /// Devices that Blender finds.
        there: String,
    },
    /// The master's address can't be parsed.
    #[error(transparent)]
    Address(ApiError),
}

impl From<StartError> for SlaveError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Spawn { program, source } if source.kind() == std::io::ErrorKind::NotFound => {
                Self::NoBlender { tried: program }
            }
            other => Self::BadBlender(other.to_string()),
        }
    }
}
