//! The web interface, embedded if it was built before the program.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, HeaderValue, PRAGMA};

use super::HTML;
use crate::envelope::{Body, respond};

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

fn file(path: &str) -> Option<Bytes> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, content)| Bytes::from_static(content))
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
pub(super) fn page(path: &str) -> Option<Response<Body>> {
    let first = path.split('/').nth(1).unwrap_or_default();
    let path = if PAGES.contains(&first) {
        "/index.html"
    } else {
        path
    };
    let mut response = respond(200, "OK", Some(content_type(path)), file(path)?);
    if path.starts_with(HASHED) && !UNHASHED.contains(&path) {
        let headers = response.headers_mut();
        let forever = "public, max-age=31536000, immutable";
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(forever));
        headers.remove(PRAGMA);
    }
    Some(response)
}
