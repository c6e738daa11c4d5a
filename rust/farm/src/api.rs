//! The master's HTTP interface as functions: what slaves and clients call. No retries here: whoever waits knows for how
//! long it makes sense.

use crate::{
    blobs::{BlobError, BlobStore},
    pieces::{Record, Records},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use netrender_core::{
    digest::Digest,
    edit::JobEdit,
    frames::FrameList,
    ids::{Frame, JobId, SlaveId},
    job::JobSpec,
    wire::{
        EditReply, ErrorBody, FailRequest, FarmView, FrameDetail, HandInReply, HandInRequest, Heartbeat, JobDetail,
        MasterInfo, MissingReply, MissingRequest, MoreRequest, PROTOCOL, PollReply, PollRequest, RegisterReply,
        RegisterRequest, RequeueRequest, StopRequest, SubmitReply,
    },
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};

/// The port masters listen on, and of discovery.
pub const DEFAULT_PORT: u16 = 8000;
/// A machine that does not answer the first packet within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence on an open connection after which it is given up. The master says something on a poll before that.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer read into memory as JSON.
const MAX_JSON: usize = 256 << 20;

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Not an address.
    #[error("{0:?} is not a master's address; write host, host:port or http://host:port")]
    BadAddress(String),
    /// Nobody there, or the connection broke.
    #[error("the master at {url} can't be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// The system's words.
        why: String,
    },
    /// Somebody else's server.
    #[error("{url} answers, but it is not a netrender master ({why})")]
    NotAMaster {
        /// Where.
        url: String,
        /// What was odd.
        why: String,
    },
    /// Another generation of netrender.
    #[error(
        "the master at {url} is netrender {version} (protocol {theirs}); this is protocol {PROTOCOL}: \
         install the same netrender version on both machines"
    )]
    OtherProtocol {
        /// Where.
        url: String,
        /// Its product version.
        version: String,
        /// Its protocol.
        theirs: u32,
    },
    /// The master understood and said no.
    #[error("{message}{}{hint}", if hint.is_empty() { "" } else { ": " })]
    Refused {
        /// HTTP status.
        status: u16,
        /// A stable word.
        code: String,
        /// What, where, why.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// The bytes were damaged, or the local disk said no.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl ApiError {
    /// Whether trying again later can help: nobody there, or the master itself is in trouble.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the master refused with this code.
    pub fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// One master.
#[derive(Clone, Debug)]
pub struct Api {
    base: Url,
    http: Client,
}

impl Api {
    /// `address`: `host`, `host:port` or a URL. Nothing is sent yet.
    pub fn new(address: &str) -> Result<Self, ApiError> {
        let bad = || ApiError::BadAddress(address.to_owned());
        let address = address.trim();
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut base: Url = url.parse().map_err(|_| bad())?;
        if base.scheme() != "http" || base.host_str().is_none_or(str::is_empty) {
            return Err(bad());
        }
        if base.port().is_none() {
            base.set_port(Some(DEFAULT_PORT)).map_err(|()| bad())?;
        }
        base.set_path("/");
        base.set_query(None);
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ApiError::Unreachable { url: base.to_string(), why: error.to_string() })?;
        Ok(Self { base, http })
    }

    /// The master's address.
    pub fn url(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Who is there? Refuses what is not a master of our protocol.
    pub async fn info(&self) -> Result<MasterInfo, ApiError> {
        let odd = |why: &str| ApiError::NotAMaster { url: self.url(), why: why.to_owned() };
        let info: MasterInfo = match self.get("api/v1/info").await {
            Err(ApiError::Refused { status, .. }) => return Err(odd(&format!("it answered {status}"))),
            other => other?,
        };
        if info.service != "netrender" {
            return Err(odd("it is another service"));
        }
        if info.protocol != PROTOCOL {
            return Err(ApiError::OtherProtocol { url: self.url(), version: info.version, theirs: info.protocol });
        }
        Ok(info)
    }

    /// Jobs and slaves as lists show them.
    pub async fn farm(&self) -> Result<FarmView, ApiError> {
        self.get("api/v1/farm").await
    }

    /// One job with its frames.
    pub async fn job(&self, job: JobId) -> Result<JobDetail, ApiError> {
        self.get(&format!("api/v1/jobs/{job}")).await
    }

    /// One frame, looked at closely.
    pub async fn frame(&self, job: JobId, frame: Frame) -> Result<FrameDetail, ApiError> {
        self.get(&format!("api/v1/jobs/{job}/frames/{frame}")).await
    }

    /// What there is of a frame whose samples still come, as a film.
    pub async fn unfinished(&self, job: JobId, frame: Frame) -> Result<Response, ApiError> {
        self.send(self.request(Method::GET, &format!("api/v1/jobs/{job}/frames/{frame}/unfinished.exr"))).await
    }

    /// Queues a job whose files are all there.
    pub async fn submit(&self, spec: &JobSpec) -> Result<SubmitReply, ApiError> {
        self.post("api/v1/jobs", spec).await
    }

    /// `pause`, `resume`, `cancel` or `requeue`.
    pub async fn change_job(&self, job: JobId, verb: &str) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/jobs/{job}/{verb}"))).await.map(drop)
    }

    /// Hands shared frames over with the samples they have: these, or all that have any.
    pub async fn stop(&self, job: JobId, frames: Option<FrameList>) -> Result<(), ApiError> {
        let request = self.request(Method::POST, &format!("api/v1/jobs/{job}/stop"));
        self.send(request.json(&StopRequest { frames })).await.map(drop)
    }

    /// Gives finished frames that were shared more samples: these, or all that can have more.
    pub async fn more(&self, job: JobId, samples: u32, frames: Option<FrameList>) -> Result<(), ApiError> {
        let request = self.request(Method::POST, &format!("api/v1/jobs/{job}/more"));
        self.send(request.json(&MoreRequest { samples, frames })).await.map(drop)
    }

    /// Changes settings of a job; returns the number of the edit.
    pub async fn edit_job(&self, job: JobId, edit: &JobEdit) -> Result<EditReply, ApiError> {
        let request = self.request(Method::PATCH, &format!("api/v1/jobs/{job}")).json(edit);
        self.json(self.send(request).await?).await
    }

    /// Renders frames again, done or failed.
    pub async fn requeue_frames(&self, job: JobId, frames: FrameList) -> Result<(), ApiError> {
        let path = format!("api/v1/jobs/{job}/frames/requeue");
        self.send(self.request(Method::POST, &path).json(&RequeueRequest { frames })).await.map(drop)
    }

    /// Tells a slave to `pause`, `resume`, `drain` or `stop`.
    pub async fn order_slave(&self, slave: SlaveId, verb: &str) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/{verb}"))).await.map(drop)
    }

    /// Removes a job with all its files.
    pub async fn delete_job(&self, job: JobId) -> Result<(), ApiError> {
        self.send(self.request(Method::DELETE, &format!("api/v1/jobs/{job}"))).await.map(drop)
    }

    /// Keeps a slave from a job (`listed`), or lets it have it again.
    pub async fn blacklist(&self, job: JobId, slave: SlaveId, listed: bool) -> Result<(), ApiError> {
        let method = if listed { Method::PUT } else { Method::DELETE };
        self.send(self.request(method, &format!("api/v1/jobs/{job}/blacklist/{slave}"))).await.map(drop)
    }

    /// A slave says what it is.
    pub async fn register(&self, request: &RegisterRequest) -> Result<RegisterReply, ApiError> {
        self.post("api/v1/slaves", request).await
    }

    /// Waits for work or for something to drop. The master answers at the latest after half of [`READ_TIMEOUT`].
    pub async fn poll(&self, slave: SlaveId, request: &PollRequest) -> Result<PollReply, ApiError> {
        self.post(&format!("api/v1/slaves/{slave}/poll"), request).await
    }

    /// A sign of life.
    pub async fn heartbeat(&self, slave: SlaveId, beat: &Heartbeat) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/heartbeat")).json(beat)).await.map(drop)
    }

    /// A slave stops; what it holds goes back to the queue.
    pub async fn leave(&self, slave: SlaveId) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/leave"))).await.map(drop)
    }

    /// A frame is done; its blobs were sent before. Durable once this returns; may be repeated.
    pub async fn hand_in(&self, request: &HandInRequest) -> Result<HandInReply, ApiError> {
        self.post("api/v1/results", request).await
    }

    /// A frame failed.
    pub async fn fail(&self, request: &FailRequest) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, "api/v1/failures").json(request)).await.map(drop)
    }

    /// Which of these blobs the master does not have.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, ApiError> {
        let request = MissingRequest { digests: digests.to_vec() };
        Ok(self.post::<_, MissingReply>("api/v1/blobs/missing", &request).await?.missing)
    }

    /// Sends a blob that is in memory. Durable once this returns; may be repeated.
    pub async fn put_blob(&self, digest: Digest, bytes: impl Into<reqwest::Body>) -> Result<(), ApiError> {
        self.send(self.request(Method::PUT, &format!("api/v1/blobs/{digest}")).body(bytes)).await.map(drop)
    }

    /// Sends a file as one blob, streamed.
    pub async fn put_file(&self, digest: Digest, path: &Path) -> Result<(), ApiError> {
        let failed = |source| BlobError::Io { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10));
        let request = self.request(Method::PUT, &format!("api/v1/blobs/{digest}"));
        self.send(request.header(reqwest::header::CONTENT_LENGTH, length).body(body)).await.map(drop)
    }

    /// For each of these pieces whether the master lacks it. At most 500,000 in one call.
    pub async fn missing_pieces(&self, digests: &[Digest]) -> Result<Vec<bool>, ApiError> {
        let question: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
        let request = self.request(Method::POST, "api/v1/pieces/missing").body(question);
        let response = self.send(request).await?;
        let bits = self.body(response).await?;
        if bits.len() != digests.len().div_ceil(8) {
            let why = format!("{} bytes for {} pieces", bits.len(), digests.len());
            return Err(ApiError::NotAMaster { url: self.url(), why });
        }
        Ok((0..digests.len()).map(|at| bits[at / 8] >> (at % 8) & 1 == 1).collect())
    }

    /// Sends pieces. They are durable once a job that needs them is accepted; may be repeated.
    pub async fn put_pieces(&self, records: &[Record]) -> Result<(), ApiError> {
        let length: usize = records.iter().map(Record::length).sum();
        let parts: Vec<_> = records
            .iter()
            .flat_map(|record| {
                std::iter::once(Bytes::copy_from_slice(&record.head())).chain(record.parts().iter().cloned())
            })
            .map(Ok::<_, std::convert::Infallible>)
            .collect();
        let body = reqwest::Body::wrap_stream(stream::iter(parts));
        let request = self.request(Method::POST, "api/v1/pieces");
        self.send(request.header(reqwest::header::CONTENT_LENGTH, length).body(body)).await.map(drop)
    }

    /// Fetches pieces; they come in this order, not yet proved.
    pub async fn get_pieces(
        &self,
        digests: &[Digest],
    ) -> Result<Records<impl Stream<Item = reqwest::Result<Bytes>> + Unpin + use<>>, ApiError> {
        let question: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
        let response = self.send(self.request(Method::POST, "api/v1/pieces/get").body(question)).await?;
        Ok(Records::new(Box::pin(response.bytes_stream())))
    }

    /// Fetches a blob into a store, streamed and checked.
    pub async fn fetch_blob(&self, digest: Digest, into: &BlobStore) -> Result<(), ApiError> {
        if into.has(&digest) {
            return Ok(());
        }
        let mut response = self.send(self.request(Method::GET, &format!("api/v1/blobs/{digest}"))).await?;
        let mut incoming = into.incoming()?;
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            tokio::task::block_in_place(|| incoming.write(&bytes))?;
        }
        tokio::task::block_in_place(|| incoming.finish(Some(digest)))?;
        Ok(())
    }

    /// One of the plain URLs (`render_1_7.exr`), as a stream of bytes.
    pub async fn plain(&self, name: &str) -> Result<Response, ApiError> {
        self.send(self.request(Method::GET, name)).await
    }

    /// The name of a frame's file under the plain URLs.
    pub fn plain_name(what: &str, job: JobId, frame: Frame) -> String {
        match what {
            "exr" => format!("render_{job}_{frame}.exr"),
            "jpg" => format!("thumb_{job}_{frame}.jpg"),
            _ => format!("log_{job}_{frame}.log"),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(path);
        self.http.request(method, url)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let response = self.send(self.request(Method::GET, path)).await?;
        self.json(response).await
    }

    async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ApiError> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        self.json(response).await
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ApiError> {
        let bytes = self.body(response).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::NotAMaster { url: self.url(), why: format!("its answer is not ours: {error}") })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > MAX_JSON {
                return Err(ApiError::NotAMaster { url: self.url(), why: "its answer has no end".into() });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = self.body(response).await.unwrap_or_default();
        Err(match serde_json::from_slice::<ErrorBody>(&text) {
            Ok(ErrorBody { error }) => ApiError::Refused {
                status: status.as_u16(),
                code: error.code,
                message: error.message,
                hint: error.hint,
            },
            Err(_) => self.odd_status(status),
        })
    }

    fn odd_status(&self, status: StatusCode) -> ApiError {
        ApiError::NotAMaster { url: self.url(), why: format!("it answered {status}") }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        // reqwest's own text repeats the URL; the innermost cause is what helps ("Connection refused").
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        ApiError::Unreachable { url: self.url(), why: cause.to_string() }
    }
}
