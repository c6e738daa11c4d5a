//! Who may ask from a browser. A page of another site can send requests here too: by its own name,
//! which its owner lets point to this machine (DNS rebinding), or across sites (CSRF). Programs are
//! not concerned: they name this machine, and no site.

use super::error::HttpError;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Names of this machine. Its IP addresses need none: an address can't be made to point elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames(Arc<BTreeSet<String>>);

impl OwnNames {
    /// Names under which a machine called `machine` is known in its network, and `more`.
    pub(crate) fn new(machine: &str, more: &[String]) -> Self {
        let machine = normal(machine);
        let first = machine.split('.').next().unwrap_or_default();
        let own = ["localhost".into(), first.into(), format!("{first}.local"), machine.clone()];
        Self(Arc::new(
            own.into_iter().chain(more.iter().map(|name| normal(name))).filter(|name| !name.is_empty()).collect(),
        ))
    }

    fn has(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok() || self.0.contains(&normal(host))
    }
}

/// A name as it is compared: without case and without the dot of the root.
fn normal(name: &str) -> String {
    name.trim().trim_end_matches('.').to_ascii_lowercase()
}

/// Answers requests that name this machine and, if they change something, come from no other site.
pub(super) async fn check(State(names): State<OwnNames>, request: Request, next: Next) -> Response {
    let mut answer = match refusal(&names, &request) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn refusal(names: &OwnNames, request: &Request) -> Option<HttpError> {
    let Some(place) = place(request) else { return Some(HttpError::ForeignHost(String::new())) };
    if !names.has(place.host()) {
        return Some(HttpError::ForeignHost(place.host().to_owned()));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    (!reads && is_of_another_site(request.headers(), &place)).then_some(HttpError::CrossSite)
}

/// The machine and port that the request names; `None` unless there is exactly one and it is well
/// formed.
fn place(request: &Request) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, further) = (hosts.next(), hosts.next());
    let named = host.map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let place = match (request.uri().authority(), named) {
        // The whole URL in the request's first line counts, and the header has to say the same.
        (Some(url), Some(host)) => Some(url.clone()).filter(|url| host.as_ref() == Some(url)),
        (Some(url), None) => Some(url.clone()),
        (None, host) => host?,
    };
    place.filter(|place| further.is_none() && !place.as_str().contains('@'))
}

/// True if a browser sends the request for a page of another site, or for one that has none, such
/// as a file.
fn is_of_another_site(headers: &HeaderMap, place: &Authority) -> bool {
    let mut sites = headers.get_all(SITE).iter();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    sites.any(|site| site != "same-origin" && site != "none") || origins.any(|origin| !is_origin(origin, place))
}

fn is_origin(origin: &HeaderValue, place: &Authority) -> bool {
    let text = origin.to_str().unwrap_or_default();
    let site = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    site.is_some_and(|site| site.eq_ignore_ascii_case(place.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn names() -> OwnNames {
        OwnNames::new("Render-Box.studio.example", &["farm.example.".into()])
    }

    #[test]
    fn a_machine_answers_to_its_addresses_and_its_own_names() {
        for host in [
            "127.0.0.1:8000",
            "10.0.0.7",
            "[::1]:8000",
            "[fe80::1]",
            "localhost:8000",
            "LOCALHOST",
            "render-box:8000",
            "render-box.local",
            "render-box.studio.example",
            "farm.example",
            "Farm.Example.:8000",
        ] {
            assert!(refusal(&names(), &request("PUT", "/", &[("host", host)])).is_none(), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.nip.io:8000",
            "localhost.evil.example",
            "a:b@localhost",
            "other.local",
            "",
            "::1",
        ] {
            let refused = refusal(&names(), &request("GET", "/", &[("host", host)]));
            assert!(matches!(refused, Some(HttpError::ForeignHost(_))), "{host}");
        }
    }

    #[test]
    fn a_request_names_one_machine() {
        let two = [("host", "localhost"), ("host", "localhost")];
        let other = [("host", "evil.example")];
        for refused in [
            request("GET", "/", &[]),
            request("GET", "/", &two),
            request("GET", "http://localhost/", &other),
            request("GET", "http://evil.example/", &[("host", "localhost")]),
        ] {
            assert!(matches!(refusal(&names(), &refused), Some(HttpError::ForeignHost(_))), "{refused:?}");
        }
        let whole = request("GET", "http://localhost:8000/", &[("host", "localhost:8000")]);
        assert!(refusal(&names(), &whole).is_none());
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let host = ("host", "10.0.0.7:8000");
        for allowed in [
            &[host][..],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://10.0.0.7:8000")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(refusal(&names(), &request("POST", "/", allowed)).is_none(), "{allowed:?}");
        }
        for refused in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "null"),
            ("origin", ""),
            ("origin", "http://evil.example"),
            ("origin", "http://10.0.0.7"),
            ("origin", "http://10.0.0.7:8001"),
            ("origin", "file://10.0.0.7:8000"),
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let refusal = refusal(&names(), &request(method, "/", &[host, refused]));
                assert!(matches!(refusal, Some(HttpError::CrossSite)), "{method} {refused:?}");
            }
            assert!(refusal(&names(), &request("GET", "/", &[host, refused])).is_none(), "{refused:?}");
        }
    }
}
