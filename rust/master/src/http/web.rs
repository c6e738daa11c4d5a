//! The web monitor's files, which are part of the program. A strict policy says what they may load:
//! scripts, styles and pictures of this master only, nothing inline. They are compressed once, and
//! tagged with the digest of their bytes.

use super::error::HttpError;
use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use std::{collections::BTreeMap, io::Write, sync::LazyLock};

/// The Content-Security-Policy of all pages.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! carried {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!(concat!("../../web/", $name)))),*] };
}

const FILES: &[(&str, &[u8])] = carried![
    "api.js",
    "controls.js",
    "editing.js",
    "farm-feed.js",
    "format.js",
    "html.js",
    "icon.svg",
    "index.html",
    "lang/de.js",
    "language.js",
    "main.js",
    "pages/farm.js",
    "pages/frame.js",
    "pages/job.js",
    "pages/overview.js",
    "pages/slave.js",
    "parts/attempts.js",
    "parts/balance.js",
    "parts/disk.js",
    "parts/files.js",
    "parts/film.js",
    "parts/frames.js",
    "parts/job-settings.js",
    "parts/log.js",
    "parts/priority.js",
    "parts/slave-settings.js",
    "parts/timeline.js",
    "parts/times.js",
    "parts/viewer.js",
    "parts/warnings.js",
    "plain.css",
    "route.js",
    "rows.js",
    "style.css",
    "text-window.js",
    "use-detail.js",
    "utilisation.js",
    "vendor/hooks.js",
    "vendor/htm.js",
    "vendor/preact.js",
    "vendor/signals-core.js",
    "vendor/signals.js",
];

struct Packed {
    plain: &'static [u8],
    gzip: Bytes,
    tag: String,
}

static PACKED: LazyLock<BTreeMap<&'static str, Packed>> = LazyLock::new(|| {
    let pack = |plain: &'static [u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; if it did, the file would be sent plain.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        let tag = format!("\"{}\"", &blake3::hash(plain).to_hex()[..16]);
        Packed { plain, gzip: gzip.into(), tag }
    };
    FILES.iter().map(|(name, plain)| (*name, pack(plain))).collect()
});

/// `/`
pub(super) async fn index(headers: HeaderMap) -> Result<Response, HttpError> {
    answer("index.html", &headers)
}

/// `/web/...`
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, HttpError> {
    answer(&name, &headers)
}

fn answer(name: &str, asked: &HeaderMap) -> Result<Response, HttpError> {
    let packed = PACKED.get(name).ok_or_else(|| HttpError::NotFound(format!("/web/{name}")))?;
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| value.parse().map(|value| headers.insert(name, value));
    let _ = set(header::CONTENT_TYPE, mime(name));
    let _ = set(header::ETAG, &packed.tag);
    let _ = set(header::CACHE_CONTROL, "no-cache");
    let _ = set(header::VARY, "Accept-Encoding");
    let _ = set(header::CONTENT_SECURITY_POLICY, POLICY);
    let _ = set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let _ = set(header::REFERRER_POLICY, "no-referrer");
    let says = |name, word: &str| {
        asked.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(word))
    };
    if says(header::IF_NONE_MATCH, &packed.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    if says(header::ACCEPT_ENCODING, "gzip") && !packed.gzip.is_empty() {
        return Ok((headers, [(header::CONTENT_ENCODING, "gzip")], packed.gzip.clone()).into_response());
    }
    Ok((headers, packed.plain).into_response())
}

fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_carried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for sub in ["", "pages", "parts", "lang", "vendor"] {
            for entry in std::fs::read_dir(folder.join(sub)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
                let about = name.ends_with(".md") || name.ends_with(".LICENSE");
                assert!(path.is_dir() || about || PACKED.contains_key(&*name), "{name} is not in the list");
            }
        }
    }

    #[test]
    fn the_page_is_small() {
        let bytes: usize = PACKED.values().map(|file| file.gzip.len()).sum();
        assert!(bytes < 150_000, "{bytes} bytes compressed");
    }
}
