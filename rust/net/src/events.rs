//! Server-sent events: the change feed of the farm's lists as a stream.

use crate::api::{Api, ApiError, MAX_JSON};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use netrender_core::wire::{FarmChange, FarmView};
use serde::de::DeserializeOwned;
use std::io;
use tokio_util::{
    codec::{FramedRead, LinesCodec, LinesCodecError},
    io::StreamReader,
};

/// An event of the change feed.
#[derive(Clone, Debug, PartialEq)]
pub enum FarmEvent {
    /// The whole lists.
    Farm(FarmView),
    /// The difference from the event before.
    Change(FarmChange),
}

impl Api {
    /// Follows the farm's lists: the whole lists first, then each change of them. The stream ends
    /// with an error, at the latest when the master stops. The master sends a comment every 15 s,
    /// so a silent connection is broken.
    pub async fn follow_farm(
        &self,
    ) -> Result<impl Stream<Item = Result<FarmEvent, ApiError>> + Send + use<>, ApiError> {
        let response = self.get_query("api/v1/events", &[("what", "farm")]).await?;
        let api = self.clone();
        let broken = move |error: LinesCodecError| ApiError::Unreachable { url: api.url(), why: why(&error) };
        let bytes = response.bytes_stream().map_err(io::Error::other);
        let lines = FramedRead::new(StreamReader::new(bytes), LinesCodec::new_with_max_length(MAX_JSON));
        let api = self.clone();
        let state = (Box::pin(lines.map_err(broken)), api, String::new());
        Ok(stream::try_unfold(state, |(mut lines, api, mut kind)| async move {
            loop {
                let Some(line) = lines.next().await.transpose()? else {
                    return Err(ApiError::Unreachable { url: api.url(), why: "it ended the connection".into() });
                };
                if let Some(event) = line.strip_prefix("event: ") {
                    event.clone_into(&mut kind);
                } else if let Some(data) = line.strip_prefix("data: ")
                    && let Some(event) = read(&api, &kind, data)?
                {
                    return Ok(Some((event, (lines, api, kind))));
                }
            }
        }))
    }
}

/// Reads the data of an event; `None` if it is of a kind that this version does not know.
fn read(api: &Api, kind: &str, data: &str) -> Result<Option<FarmEvent>, ApiError> {
    Ok(match kind {
        "farm" => Some(FarmEvent::Farm(parse(api, data)?)),
        "change" => Some(FarmEvent::Change(parse(api, data)?)),
        _ => None,
    })
}

fn parse<T: DeserializeOwned>(api: &Api, data: &str) -> Result<T, ApiError> {
    let odd = |error| ApiError::NotAMaster { url: api.url(), why: format!("its event is not ours: {error}") };
    serde_json::from_str(data).map_err(odd)
}

/// The innermost cause of an error, which is what helps.
fn why(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A master that answers one request with these pieces of bytes and then closes the connection.
    async fn master(pieces: &'static [&'static str]) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /api/v1/events?what=farm HTTP/1.1\r\n"));
            for piece in ["HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"].iter().chain(pieces) {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        Api::new(&address.to_string()).unwrap()
    }

    #[tokio::test]
    async fn events_are_read_however_they_are_cut_until_the_connection_ends() {
        let api = master(&[
            "event: farm\ndata: {\"revision\":3,\"jo",
            "bs\":[],\"slaves\":[]}\n\n:\n\nevent: news\ndata: of a later version\n\n",
            "event: change\ndata: {\"revision\":4,\"jobs\":[],\"slaves\":[],\"gone_jobs\":[2],\"gone_slaves\":[]}\n\n",
        ])
        .await;
        let mut events = Box::pin(api.follow_farm().await.unwrap());
        let farm = FarmView { revision: 3, ..FarmView::default() };
        assert_eq!(events.next().await.unwrap().unwrap(), FarmEvent::Farm(farm));
        let FarmEvent::Change(change) = events.next().await.unwrap().unwrap() else { panic!("the whole lists") };
        assert_eq!((change.revision, change.gone_jobs.len()), (4, 1));
        assert!(matches!(events.next().await, Some(Err(ApiError::Unreachable { .. }))));
    }

    #[tokio::test]
    async fn an_event_that_is_not_ours_is_an_error() {
        let api = master(&["event: farm\ndata: {}\n\n"]).await;
        let mut events = Box::pin(api.follow_farm().await.unwrap());
        assert!(matches!(events.next().await, Some(Err(ApiError::NotAMaster { .. }))));
    }
}
