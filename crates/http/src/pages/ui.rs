//! The web interface, embedded if it was built before the program.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, HeaderValue, PRAGMA};

use super::HTML;
use crate::envelope::{Body, respond};
use crate::gzip;

/// Path and content of each file.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// The first parts of the addresses of its pages; all of them are one document.
const PAGES: [&str; 8] = [
    "",
    "api",
    "console",
    "create",
    "datacenter",
    "guest",
    "node",
    "storage",
];

/// Names of these files have a hash of their content, so that they never change.
const HASHED: &str = "/assets/";
/// These do not.
const UNHASHED: [&str; 2] = ["/assets/icon.svg", "/assets/scheme.js"];

/// The same files compressed, as well as that can be done: once, when the first is requested.
static PACKED: LazyLock<Vec<Option<Bytes>>> =
    LazyLock::new(|| FILES.iter().map(|(_, content)| packed(content)).collect());

fn packed(content: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript;charset=UTF-8",
        Some("css") => "text/css;charset=UTF-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("html") => HTML,
        _ => "application/octet-stream",
    }
}

/// The file at a path, or the document of a page's address; none if the interface is not built.
pub(super) fn page(path: &str, wants_gzip: bool) -> Option<Response<Body>> {
    let first = path.split('/').nth(1).unwrap_or_default();
    let path = if PAGES.contains(&first) {
        "/index.html"
    } else {
        path
    };
    let place = FILES.iter().position(|(name, _)| *name == path)?;
    let packed = wants_gzip.then(|| PACKED[place].clone()).flatten();
    let is_packed = packed.is_some();
    let content = packed.unwrap_or(Bytes::from_static(FILES[place].1));
    let mut response = respond(200, "OK", Some(content_type(path)), content);
    if is_packed {
        gzip::mark(response.headers_mut());
    }
    if path.starts_with(HASHED) && !UNHASHED.contains(&path) {
        let headers = response.headers_mut();
        let forever = "public, max-age=31536000, immutable";
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(forever));
        headers.remove(PRAGMA);
    }
    Some(response)
}
