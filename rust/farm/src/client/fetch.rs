//! Fetching finished frames as files. A file under its final name is complete.

use super::{ClientError, transfer::Phase, transfer::Transfer};
use crate::{
    api::Api,
    blobs::{BlobError, digest_of_file},
};
use netrender_core::{
    digest::Digest,
    frames::FrameList,
    ids::{Frame, JobId},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Which file of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchWhat {
    /// The multilayer EXR.
    Exr,
    /// The JPEG preview.
    Jpg,
}

impl FetchWhat {
    /// As on the command line.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        match text {
            "exr" => Ok(Self::Exr),
            "jpg" => Ok(Self::Jpg),
            "final" => Err(ClientError::Usage(
                "fetching frames in the scene's own format is not there yet: use exr or jpg".into(),
            )),
            _ => Err(ClientError::Usage(format!("{text:?} can't be fetched: use exr or jpg"))),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Exr => "exr",
            Self::Jpg => "jpg",
        }
    }
}

/// Fetches the finished ones of `frames` (None: all) into `folder` as `0007.exr`, numbered as Blender does. A film that is
/// there with the right digest is not fetched again; the same name and size may be another job's or an older take.
pub async fn fetch(
    api: &Api,
    job: JobId,
    frames: Option<&FrameList>,
    what: FetchWhat,
    folder: &Path,
    transfer: &Transfer,
) -> Result<Vec<PathBuf>, ClientError> {
    transfer.accepted(job.0);
    let detail = api.job(job).await?;
    let chosen = frames.map(FrameList::frames);
    let wanted: Vec<(Frame, Option<(u64, Digest)>)> = detail
        .tasks
        .iter()
        .filter(|task| chosen.as_ref().is_none_or(|chosen| chosen.contains(&task.frame)))
        .filter(|task| match what {
            FetchWhat::Exr => task.film.is_some(),
            FetchWhat::Jpg => task.preview,
        })
        .map(|task| (task.frame, task.film_bytes.zip(task.film).filter(|_| what == FetchWhat::Exr)))
        .collect();
    if wanted.is_empty() {
        return Err(ClientError::Usage(format!("none of these frames of job {job} is finished yet")));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    transfer.enter(Phase::Receiving);
    transfer.expect(wanted.iter().filter_map(|(_, film)| film.map(|(bytes, _)| bytes)).sum());
    let mut files = Vec::new();
    for (frame, film) in wanted {
        let path = folder.join(format!("{}.{}", blender_number(frame), what.extension()));
        let there = std::fs::metadata(&path).ok().map(|meta| meta.len());
        let same = |(bytes, digest)| there == Some(bytes) && digest_of_file(&path).is_ok_and(|found| found == digest);
        if let Some((bytes, _)) = film.filter(|film| same(*film)) {
            transfer.moved(bytes);
        } else {
            let response = api.plain(&Api::plain_name(what.extension(), job, frame)).await?;
            download(api, response, &path, film.map(|(_, digest)| digest), transfer).await?;
        }
        transfer.wrote(path.to_string_lossy().into_owned());
        files.push(path);
    }
    Ok(files)
}

/// Fetches what there is of a frame whose samples still come, into the file `path`.
pub async fn fetch_unfinished(
    api: &Api,
    job: JobId,
    frame: Frame,
    path: &Path,
    transfer: &Transfer,
) -> Result<Vec<PathBuf>, ClientError> {
    transfer.accepted(job.0);
    transfer.enter(Phase::Receiving);
    let response = api.unfinished(job, frame).await?;
    transfer.expect(response.content_length().unwrap_or(0));
    download(api, response, path, None, transfer).await?;
    transfer.wrote(path.to_string_lossy().into_owned());
    Ok(vec![path.to_owned()])
}

/// Writes an answer to a file that has its name once it is complete, and right if it is known what it must be.
async fn download(
    api: &Api,
    mut response: reqwest::Response,
    path: &Path,
    expected: Option<Digest>,
    transfer: &Transfer,
) -> Result<(), ClientError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(folder, error))?;
    let broke = |error: reqwest::Error| crate::api::ApiError::Unreachable {
        url: api.url(),
        why: format!("the download broke off: {error}"),
    };
    while let Some(chunk) = response.chunk().await.map_err(broke)? {
        file.write_all(&chunk).map_err(|error| failed(path, error))?;
        transfer.moved(chunk.len() as u64);
    }
    if let Some(expected) = expected {
        let found = digest_of_file(file.path()).map_err(|error| failed(path, error))?;
        if found != expected {
            return Err(crate::api::ApiError::from(BlobError::WrongDigest { expected, found }).into());
        }
    }
    // A temporary file is private; a frame is for whoever may read the folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644));
    }
    file.persist(path).map_err(|error| failed(path, error.error))?;
    Ok(())
}

fn failed(path: &Path, error: std::io::Error) -> ClientError {
    ClientError::File { path: path.into(), why: error.to_string() }
}

/// Four digits at least, as Blender numbers files: `0007`, `-003`.
fn blender_number(frame: Frame) -> String {
    format!("{:04}", frame.0)
}
