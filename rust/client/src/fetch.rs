//! Fetching finished frames as files. A file with its final name is complete.

use super::{
    error::ClientError,
    transfer::{Phase, Transfer},
};
use netrender_core::{
    model::{
        digest::Digest,
        frames::FrameList,
        ids::{Frame, JobId},
        result::OutputFile,
    },
    wire::{ErrorCode, TaskView},
};
use netrender_net::api::{Api, ApiError};
use netrender_store::blobs::{BlobError, digest_of_file};
use std::{
    io::{self, Write},
    path::{Component, Path, PathBuf},
};

/// Number of frames up to which each is asked for by itself, rather than the whole job.
const FEW: usize = 50;

/// File of a frame to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchWhat {
    /// The multilayer EXR.
    Exr,
    /// The JPEG preview.
    Jpg,
    /// The files of the compositor's File Output nodes.
    Outputs,
}

impl FetchWhat {
    /// Parses the word of the command line.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        match text {
            "exr" => Ok(Self::Exr),
            "jpg" => Ok(Self::Jpg),
            "outputs" => Ok(Self::Outputs),
            "final" => Err(ClientError::Usage(
                "fetching frames in the scene's own format is not there yet: use exr, jpg or outputs".into(),
            )),
            _ => Err(ClientError::Usage(format!("{text:?} can't be fetched: use exr, jpg or outputs"))),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Exr => "exr",
            Self::Jpg => "jpg",
            Self::Outputs => "",
        }
    }
}

/// Fetches the finished ones of `frames` (`None` for all) into `folder` as `0007.exr`, numbered as
/// Blender does; files of File Output nodes under the names that Blender gave them, in a folder for
/// each node. A film that is there with the right digest is not fetched again. Name and size are
/// no proof: it may be another job's or an older one.
pub async fn fetch(
    api: &Api,
    job: JobId,
    frames: Option<&FrameList>,
    what: FetchWhat,
    folder: &Path,
    transfer: &Transfer,
) -> Result<Vec<PathBuf>, ClientError> {
    transfer.accepted(job.0);
    let tasks = tasks(api, job, frames).await?;
    let wanted: Vec<(Frame, Option<(u64, Digest)>)> = tasks
        .iter()
        .filter(|task| match what {
            FetchWhat::Exr => task.film.is_some(),
            FetchWhat::Jpg => task.preview,
            FetchWhat::Outputs => task.outputs > 0,
        })
        .map(|task| (task.frame, task.film_bytes.zip(task.film).filter(|_| what == FetchWhat::Exr)))
        .collect();
    if wanted.is_empty() {
        let lacks = match what {
            FetchWhat::Outputs => "is finished and has files of File Output nodes",
            FetchWhat::Exr | FetchWhat::Jpg => "is finished yet",
        };
        return Err(ClientError::Usage(format!("none of these frames of job {job} {lacks}")));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    transfer.enter(Phase::Receiving);
    if what == FetchWhat::Outputs {
        let frames: Vec<Frame> = wanted.into_iter().map(|(frame, _)| frame).collect();
        return fetch_outputs(api, job, &frames, folder, transfer).await;
    }
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

/// Fetches the state of the job's frames, of all or of those among `frames`. A few frames of a long
/// job are asked for one by one.
async fn tasks(api: &Api, job: JobId, frames: Option<&FrameList>) -> Result<Vec<TaskView>, ClientError> {
    let chosen = frames.map(FrameList::frames);
    let Some(few) = chosen.as_ref().filter(|chosen| chosen.len() <= FEW) else {
        let mut tasks = api.job(job).await?.tasks;
        tasks.retain(|task| chosen.as_ref().is_none_or(|chosen| chosen.contains(&task.frame)));
        return Ok(tasks);
    };
    let mut tasks = Vec::with_capacity(few.len());
    for frame in few {
        match api.frame(job, *frame).await {
            Ok(detail) => tasks.push(detail.task),
            Err(error) if error.is_code(ErrorCode::UnknownFrame) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tasks)
}

/// Fetches the files of File Output nodes. Where two frames have a file of the same name, the later
/// frame's stays, as in Blender.
async fn fetch_outputs(
    api: &Api,
    job: JobId,
    frames: &[Frame],
    folder: &Path,
    transfer: &Transfer,
) -> Result<Vec<PathBuf>, ClientError> {
    let mut wanted = Vec::new();
    for frame in frames {
        let outputs = api.outputs(job, *frame).await?;
        OutputFile::check(&outputs).map_err(|why| failed(folder, io::Error::other(why)))?;
        for output in outputs {
            // A name that is plain on the slave may mean a drive here.
            if !Path::new(&output.path).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(failed(Path::new(&output.path), io::Error::other("it could lie outside of the folder")));
            }
            wanted.push(output);
        }
    }
    transfer.expect(wanted.iter().map(|output| output.bytes).sum());
    let mut files = Vec::new();
    for OutputFile { path, digest, bytes } in wanted {
        let path = folder.join(path);
        let there = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes);
        if there && digest_of_file(&path).is_ok_and(|found| found == digest) {
            transfer.moved(bytes);
        } else {
            let below = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(below).map_err(|error| failed(below, error))?;
            download(api, api.blob(digest).await?, &path, Some(digest), transfer).await?;
        }
        transfer.wrote(path.to_string_lossy().into_owned());
        files.push(path);
    }
    Ok(files)
}

/// Fetches the samples that a shared frame has so far, into the file `path`.
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

/// Writes a response into a file, which gets its name once it is complete and has the expected
/// digest.
async fn download(
    api: &Api,
    mut response: reqwest::Response,
    path: &Path,
    expected: Option<Digest>,
    transfer: &Transfer,
) -> Result<(), ClientError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(folder, error))?;
    let broke = |error: reqwest::Error| ApiError::Unreachable {
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
            return Err(ApiError::from(BlobError::WrongDigest { expected, found }).into());
        }
    }
    // A temporary file is private; a frame is for everybody who may read the folder.
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

/// Frame number as in Blender's file names: at least four digits, and a sign before them (`0007`,
/// `-0005`).
fn blender_number(frame: Frame) -> String {
    let sign = if frame.0 < 0 { "-" } else { "" };
    format!("{sign}{:04}", frame.0.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_as_blender_numbers_them() {
        // `scene.render.frame_path(frame=...)` of Blender 3.4.1 and 5.0.1
        let names = [-100_000, -12_345, -1234, -5, 0, 7, 9999, 100_000].map(|frame| blender_number(Frame(frame)));
        assert_eq!(names, ["-100000", "-12345", "-1234", "-0005", "0000", "0007", "9999", "100000"]);
    }
}
