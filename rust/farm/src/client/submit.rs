//! Sending a job: read and name every file, ask what the master lacks, send that, queue the job.

use super::{ClientError, cut::CutFile, transfer::Phase, transfer::Transfer};
use crate::api::{Api, ApiError};
use futures_util::{StreamExt, TryStreamExt, stream};
use netrender_core::{
    digest::Digest,
    frames::FrameList,
    ids::JobId,
    job::{JobSpec, Split},
    manifest::{MAX_ASSETS, Manifest, mirror},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Pieces on their way at once.
const CONNECTIONS: usize = 4;
/// Digests asked for in one request.
const ASK: usize = 10_000;
/// How long a connection that broke is tried again before the send is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to render and which files it needs, as the add-on or the tracer found them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// As shown in lists.
    pub name: String,
    /// The .blend whose bytes are sent; a copy of `source`.
    pub blend: PathBuf,
    /// The .blend's own path.
    pub source: String,
    /// Absolute paths of every other file.
    #[serde(default)]
    pub files: Vec<String>,
    /// The scene to render.
    #[serde(default)]
    pub scene: Option<String>,
    /// Blender id of the engine.
    pub engine: String,
    /// In the artist's notation.
    pub frames: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Major, minor.
    pub blender: [u16; 2],
    /// For grouping.
    #[serde(default)]
    pub category: String,
    /// 0 to 100.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// Frames per dispatch.
    #[serde(default = "default_chunk")]
    pub chunk: u32,
    /// A slave must have them.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Whether one frame may be shared out.
    #[serde(default)]
    pub split: Split,
}

const fn default_priority() -> u8 {
    50
}

const fn default_chunk() -> u32 {
    1
}

impl JobRequest {
    /// Says at once what is plainly wrong, before a byte is read.
    pub fn check(&self) -> Result<FrameList, ClientError> {
        let frames = self.frames.parse::<FrameList>().map_err(|error| ClientError::Usage(error.to_string()))?;
        if self.source.is_empty() || mirror(&self.source).is_empty() {
            return Err(ClientError::Usage("save the .blend first: a job needs a file".into()));
        }
        if self.files.len() >= MAX_ASSETS {
            return Err(ClientError::Usage(format!("a job may name at most {MAX_ASSETS} files")));
        }
        Ok(frames)
    }
}

/// Sends the job; its number is durable when this returns. What the master has is not sent again, so that a second try
/// goes on where the first broke off.
pub async fn submit(api: &Api, request: JobRequest, transfer: &Transfer) -> Result<JobId, ClientError> {
    let frames = request.check()?;
    transfer.enter(Phase::Reading);
    let files = read_files(&request, transfer).await?;
    let assets = files.iter().map(|file| file.asset.clone()).collect();
    let manifest = Manifest { blend: mirror(&request.source), assets };
    manifest.check().map_err(|error| ClientError::Usage(error.to_string()))?;
    let text = serde_json::to_vec(&manifest).map_err(|error| ClientError::Usage(error.to_string()))?;
    let manifest_digest = crate::blobs::digest_of(&text);

    transfer.enter(Phase::Sending);
    send_missing(api, &files, transfer).await?;
    patiently(|| api.put_blob(manifest_digest, text.clone())).await?;

    transfer.enter(Phase::Queueing);
    let spec = JobSpec {
        name: request.name,
        category: request.category,
        priority: request.priority,
        chunk: request.chunk,
        tags: request.tags,
        frames,
        scene: request.scene,
        engine: request.engine,
        blender: request.blender,
        width: request.width,
        height: request.height,
        split: request.split,
        manifest: manifest_digest,
    };
    let job = api.submit(&spec).await?.job;
    transfer.accepted(job.0);
    Ok(job)
}

async fn read_files(request: &JobRequest, transfer: &Transfer) -> Result<Arc<Vec<CutFile>>, ClientError> {
    let mut wanted: BTreeMap<String, (PathBuf, String)> = BTreeMap::new();
    for source in &request.files {
        wanted.insert(mirror(source), (Path::new(source).to_owned(), source.clone()));
    }
    // Last, so that a library that links the .blend itself gets the copy as well.
    wanted.insert(mirror(&request.source), (request.blend.clone(), request.source.clone()));
    let transfer = transfer.clone();
    let read = move || {
        let mut files = Vec::new();
        for (read, source) in wanted.into_values() {
            if transfer.is_canceled() {
                return Err(ClientError::Canceled);
            }
            files.push(CutFile::read(&read, &source)?);
        }
        Ok(Arc::new(files))
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| ClientError::Usage(format!("reading the files ended: {error}")))?
}

/// Where a piece's bytes are.
#[derive(Clone, Copy)]
struct At {
    file: usize,
    offset: u64,
    bytes: u64,
}

async fn send_missing(api: &Api, files: &Arc<Vec<CutFile>>, transfer: &Transfer) -> Result<(), ClientError> {
    let mut places: BTreeMap<Digest, At> = BTreeMap::new();
    for (file, cut) in files.iter().enumerate() {
        let mut offset = 0;
        for piece in &cut.asset.pieces {
            places.entry(piece.digest).or_insert(At { file, offset, bytes: piece.bytes });
            offset += piece.bytes;
        }
    }
    let digests: Vec<Digest> = places.keys().copied().collect();
    let mut missing = Vec::new();
    for some in digests.chunks(ASK) {
        missing.extend(patiently(|| api.missing(some)).await?);
    }
    let missing: Vec<(Digest, At)> =
        missing.into_iter().filter_map(|digest| places.get(&digest).map(|at| (digest, *at))).collect();
    transfer.expect(missing.iter().map(|(_, at)| at.bytes).sum());
    stream::iter(missing.into_iter().map(Ok::<_, ClientError>))
        .try_for_each_concurrent(CONNECTIONS, |(digest, at)| async move {
            let reading = files.clone();
            let bytes = tokio::task::spawn_blocking(move || read_piece(&reading[at.file], at))
                .await
                .map_err(|error| ClientError::Usage(format!("reading a file ended: {error}")))??;
            patiently(|| api.put_blob(digest, bytes.clone())).await?;
            transfer.moved(at.bytes);
            Ok(())
        })
        .await?;
    stream::iter(files.iter()).map(Ok).try_for_each(|file| async move { file.check_unchanged() }).await
}

fn read_piece(file: &CutFile, at: At) -> Result<Vec<u8>, ClientError> {
    let failed = |error: std::io::Error| ClientError::File { path: file.read.clone(), why: error.to_string() };
    let mut reader = File::open(&file.read).map_err(failed)?;
    reader.seek(SeekFrom::Start(at.offset)).map_err(failed)?;
    let mut bytes = vec![0; at.bytes as usize];
    match reader.read_exact(&mut bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ClientError::FileChanged(file.read.clone()))
        }
        other => other.map(|()| bytes).map_err(failed),
    }
}

/// Tries again while the connection is down or the bytes were damaged on the way, for [`PATIENCE`].
async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(mut call: impl FnMut() -> F) -> Result<T, ClientError> {
    let started = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match call().await {
            Err(error) if (error.is_transient() && !error.is_code("disk_full")) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            other => return other.map_err(ClientError::from),
        }
    }
}
