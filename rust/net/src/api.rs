//! The master's HTTP interface as functions, for slaves and clients. Calls are not repeated here:
//! the caller knows for how long that makes sense.

use crate::retry::Retry;
use bytes::Bytes;
use futures_util::{Stream, stream};
use netrender_core::{
    model::{
        digest::Digest,
        frames::FrameList,
        ids::{Frame, JobId, SlaveId},
        job_settings::JobEdit,
        result::OutputFile,
        spec::JobSpec,
    },
    wire::{
        BakeRequest, DEFAULT_PORT, EditReply, ErrorBody, ErrorCode, FailRequest, FarmView, FrameDetail, HandInReply,
        HandInRequest, Heartbeat, JobDetail, JobProgress, JobSummary, JobVerb, MasterInfo, MissingReply,
        MissingRequest, MoreRequest, PROTOCOL, PollReply, PollRequest, RegisterReply, RegisterRequest, RequeueRequest,
        SlaveVerb, StopRequest, SubmitReply,
    },
};
use netrender_store::{
    blobs::{BlobError, BlobStore},
    pieces::{Record, Records},
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};

/// Time after which a machine that does not answer the first packet counts as absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which a connection is given up. The master answers a poll before that.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that an unused connection is kept. The master closes it a little later.
const IDLE: Duration = Duration::from_secs(20);
/// Upper bound of a JSON answer in bytes.
pub(crate) const MAX_JSON: usize = 256 << 20;

/// Reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address can't be parsed.
    #[error("{0:?} is not a master's address; write host, host:port or http://host:port")]
    BadAddress(String),
    /// Nothing answers at the address, or the connection broke.
    #[error("the master at {url} can't be reached: {why}")]
    Unreachable {
        /// Address of the master.
        url: String,
        /// Error of the operating system.
        why: String,
    },
    /// A server answers that is not a netrender master.
    #[error("{url} answers, but it is not a netrender master ({why})")]
    NotAMaster {
        /// Address of the master.
        url: String,
        /// Sign by which it was recognised.
        why: String,
    },
    /// A master of another protocol version answers.
    #[error(
        "the master at {url} is netrender {version} (protocol {theirs}); this is protocol {PROTOCOL}: \
         install the same netrender version on both machines"
    )]
    OtherProtocol {
        /// Address of the master.
        url: String,
        /// Version of its product.
        version: String,
        /// Version of its protocol.
        theirs: u32,
    },
    /// The master understood the call and refused it.
    #[error("{message}{}{hint}", if hint.is_empty() { "" } else { ": " })]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable word for programs.
        code: ErrorCode,
        /// Explanation for people.
        message: String,
        /// Suggestion what to do; may be empty.
        hint: String,
    },
    /// The bytes are damaged, or a file operation on this side failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl ApiError {
    /// Returns whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } => Retry::Later,
            // 408 and 429 come from proxies.
            Self::Refused { status, .. } if *status >= 500 || matches!(*status, 408 | 429) => Retry::Later,
            Self::NotAMaster { .. }
            | Self::OtherProtocol { .. }
            | Self::Refused { code: ErrorCode::ForeignHost, .. } => Retry::AnotherServer,
            Self::BadAddress(_) | Self::Refused { .. } | Self::Blob(_) => Retry::Never,
        }
    }

    /// True if the master refused with this code.
    pub fn is_code(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }
}

/// HTTP interface of one master.
#[derive(Clone, Debug)]
pub struct Api {
    base: Url,
    http: Client,
}

impl Api {
    /// An interface at `host`, `host:port` or a URL. Nothing is sent yet.
    pub fn new(address: &str) -> Result<Self, ApiError> {
        // A password that somebody put in it is not repeated.
        let bad = || ApiError::BadAddress(address.rsplit('@').next().unwrap_or_default().to_owned());
        let address = address.trim();
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut base: Url = url.parse().map_err(|_| bad())?;
        let has_login = !base.username().is_empty() || base.password().is_some();
        if base.scheme() != "http" || base.host_str().is_none_or(str::is_empty) || has_login {
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
            .pool_idle_timeout(IDLE)
            .no_proxy()
            // Only the master itself may say where it is: a redirect would ask machines that its sender
            // can't reach.
            .redirect(Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ApiError::Unreachable { url: base.to_string(), why: error.to_string() })?;
        Ok(Self { base, http })
    }

    /// URL of the master.
    pub fn url(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Fetches facts about the master. Fails if the server is not a master of this protocol.
    pub async fn info(&self) -> Result<MasterInfo, ApiError> {
        let odd = |why: &str| ApiError::NotAMaster { url: self.url(), why: why.to_owned() };
        let info: MasterInfo = match self.get("api/v1/info").await {
            Err(ApiError::Refused { status, code, .. }) if code != ErrorCode::ForeignHost => {
                return Err(odd(&format!("it answered {status}")));
            }
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

    /// Fetches the lists of jobs and slaves.
    pub async fn farm(&self) -> Result<FarmView, ApiError> {
        self.get("api/v1/farm").await
    }

    /// Fetches a job with its frames.
    pub async fn job(&self, job: JobId) -> Result<JobDetail, ApiError> {
        self.get(&format!("api/v1/jobs/{job}")).await
    }

    /// Fetches how far a job is; with the frames that are done if `with_frames`.
    pub async fn progress(&self, job: JobId, with_frames: bool) -> Result<JobProgress, ApiError> {
        let path = format!("api/v1/jobs/{job}/progress");
        self.json(self.get_query(&path, &[("frames", if with_frames { "true" } else { "false" })]).await?).await
    }

    /// Fetches what a job's row in the list does not have.
    pub async fn summary(&self, job: JobId) -> Result<JobSummary, ApiError> {
        self.get(&format!("api/v1/jobs/{job}/summary")).await
    }

    /// Fetches the details of a frame.
    pub async fn frame(&self, job: JobId, frame: Frame) -> Result<FrameDetail, ApiError> {
        self.get(&format!("api/v1/jobs/{job}/frames/{frame}")).await
    }

    /// Fetches the samples that a shared frame has so far, as a film.
    pub async fn unfinished(&self, job: JobId, frame: Frame) -> Result<Response, ApiError> {
        self.send(self.request(Method::GET, &format!("api/v1/jobs/{job}/frames/{frame}/unfinished.exr"))).await
    }

    /// Queues a job. The master must have all of its files.
    pub async fn submit(&self, spec: &JobSpec) -> Result<SubmitReply, ApiError> {
        self.post("api/v1/jobs", spec).await
    }

    /// Applies `pause`, `resume`, `cancel` or `requeue` to a job.
    pub async fn change_job(&self, job: JobId, verb: JobVerb) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/jobs/{job}/{verb}"))).await.map(drop)
    }

    /// Completes shared frames with the samples they have: these frames, or all that have any.
    pub async fn stop(&self, job: JobId, frames: Option<FrameList>) -> Result<(), ApiError> {
        let request = self.request(Method::POST, &format!("api/v1/jobs/{job}/stop"));
        self.send(request.json(&StopRequest { frames })).await.map(drop)
    }

    /// Adds samples to finished frames that were shared: these frames, or all that can have more.
    pub async fn more(&self, job: JobId, samples: u32, frames: Option<FrameList>) -> Result<(), ApiError> {
        let request = self.request(Method::POST, &format!("api/v1/jobs/{job}/more"));
        self.send(request.json(&MoreRequest { samples, frames })).await.map(drop)
    }

    /// Changes settings of a job. Returns the revision.
    pub async fn edit_job(&self, job: JobId, edit: &JobEdit) -> Result<EditReply, ApiError> {
        let request = self.request(Method::PATCH, &format!("api/v1/jobs/{job}")).json(edit);
        self.json(self.send(request).await?).await
    }

    /// Queues frames again that are done or failed.
    pub async fn requeue_frames(&self, job: JobId, frames: FrameList) -> Result<(), ApiError> {
        let path = format!("api/v1/jobs/{job}/frames/requeue");
        self.send(self.request(Method::POST, &path).json(&RequeueRequest { frames })).await.map(drop)
    }

    /// Applies `pause`, `resume`, `drain` or `stop` to a slave.
    pub async fn order_slave(&self, slave: SlaveId, verb: SlaveVerb) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/{verb}"))).await.map(drop)
    }

    /// Removes a job with all of its files.
    pub async fn delete_job(&self, job: JobId) -> Result<(), ApiError> {
        self.send(self.request(Method::DELETE, &format!("api/v1/jobs/{job}"))).await.map(drop)
    }

    /// Puts a slave on a job's blacklist, or takes it off.
    pub async fn blacklist(&self, job: JobId, slave: SlaveId, listed: bool) -> Result<(), ApiError> {
        let method = if listed { Method::PUT } else { Method::DELETE };
        self.send(self.request(method, &format!("api/v1/jobs/{job}/blacklist/{slave}"))).await.map(drop)
    }

    /// Registers a slave.
    pub async fn register(&self, request: &RegisterRequest) -> Result<RegisterReply, ApiError> {
        self.post("api/v1/slaves", request).await
    }

    /// Waits for work or for frames to drop. The master answers after half of [`READ_TIMEOUT`] at
    /// the latest.
    pub async fn poll(&self, slave: SlaveId, request: &PollRequest) -> Result<PollReply, ApiError> {
        self.post(&format!("api/v1/slaves/{slave}/poll"), request).await
    }

    /// Sends a heartbeat.
    pub async fn heartbeat(&self, slave: SlaveId, beat: &Heartbeat) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/heartbeat")).json(beat)).await.map(drop)
    }

    /// Removes a slave. The frames that it holds go back to the queue.
    pub async fn leave(&self, slave: SlaveId) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, &format!("api/v1/slaves/{slave}/leave"))).await.map(drop)
    }

    /// Hands in a frame whose blobs were sent before. It is durable once this returns; the call may
    /// be repeated.
    pub async fn hand_in(&self, request: &HandInRequest) -> Result<HandInReply, ApiError> {
        self.post("api/v1/results", request).await
    }

    /// Hands in a job's baked .blend, which was sent before. The call may be repeated.
    pub async fn hand_in_bake(&self, request: &BakeRequest) -> Result<HandInReply, ApiError> {
        self.post("api/v1/bakes", request).await
    }

    /// Reports a failed frame.
    pub async fn fail(&self, request: &FailRequest) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, "api/v1/failures").json(request)).await.map(drop)
    }

    /// Returns which of these blobs the master lacks.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, ApiError> {
        let request = MissingRequest { digests: digests.to_vec() };
        Ok(self.post::<_, MissingReply>("api/v1/blobs/missing", &request).await?.missing)
    }

    /// Sends a blob that is in memory. It is durable once this returns; the call may be repeated.
    pub async fn put_blob(&self, digest: Digest, bytes: impl Into<reqwest::Body>) -> Result<(), ApiError> {
        self.send(self.request(Method::PUT, &format!("api/v1/blobs/{digest}")).body(bytes)).await.map(drop)
    }

    /// Streams a file as one blob.
    pub async fn put_file(&self, digest: Digest, path: &Path) -> Result<(), ApiError> {
        let failed = |source| BlobError::Io { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10));
        let request = self.request(Method::PUT, &format!("api/v1/blobs/{digest}"));
        self.send(request.header(reqwest::header::CONTENT_LENGTH, length).body(body)).await.map(drop)
    }

    /// Returns for each of these pieces whether the master lacks it. Takes at most 500,000 pieces.
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

    /// Sends pieces. They are durable once a job that needs them is queued; the call may be
    /// repeated.
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

    /// Fetches pieces. They come in this order and are not verified yet.
    pub async fn get_pieces(
        &self,
        digests: &[Digest],
    ) -> Result<Records<impl Stream<Item = reqwest::Result<Bytes>> + Unpin + use<>>, ApiError> {
        let question: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
        let response = self.send(self.request(Method::POST, "api/v1/pieces/get").body(question)).await?;
        Ok(Records::new(Box::pin(response.bytes_stream())))
    }

    /// Streams a blob into a store, which verifies it.
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

    /// Returns the files that File Output nodes wrote for a frame that is done.
    pub async fn outputs(&self, job: JobId, frame: Frame) -> Result<Vec<OutputFile>, ApiError> {
        self.get(&format!("api/v1/jobs/{job}/frames/{frame}/outputs")).await
    }

    /// Fetches a blob as a stream of bytes, which the caller must verify.
    pub async fn blob(&self, digest: Digest) -> Result<Response, ApiError> {
        self.send(self.request(Method::GET, &format!("api/v1/blobs/{digest}"))).await
    }

    /// Fetches one of the plain URLs (`render_1_7.exr`) as a stream of bytes.
    pub async fn plain(&self, name: &str) -> Result<Response, ApiError> {
        self.send(self.request(Method::GET, name)).await
    }

    /// Name of a frame's file among the plain URLs.
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

    /// Requests a resource whose body is to be read as it comes.
    pub(crate) async fn get_query(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, ApiError> {
        let mut url = self.base.clone();
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(query);
        self.send(self.http.get(url)).await
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
        if status.is_redirection() {
            return Err(self.odd_status(status));
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
        // reqwest's own text repeats the URL. The innermost cause is what helps ("Connection
        // refused").
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        ApiError::Unreachable { url: self.url(), why: cause.to_string() }
    }
}
