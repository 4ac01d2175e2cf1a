//! The pages that are not the API: a front page and a reader for the operation table.

use hyper::Response;
use hyper::http::request::Parts;

use crate::envelope::{Body, respond};

const FRONT: &str = include_str!("front.html");
const VIEWER: &str = include_str!("viewer.html");
const HTML: &str = "text/html;charset=UTF-8";

/// The page at a path; none where there is none.
pub(crate) fn page(parts: &Parts) -> Option<Response<Body>> {
    let (content_type, content) = match parts.uri.path() {
        "/" | "/index.html" => (HTML, FRONT.replace("{version}", env!("CARGO_PKG_VERSION"))),
        "/pve-docs/api-viewer" | "/pve-docs/api-viewer/" | "/pve-docs/api-viewer/index.html" => {
            (HTML, VIEWER.to_owned())
        }
        "/pve-docs/api-viewer/operations.json" => ("application/json;charset=UTF-8", table()),
        _ => return None,
    };
    Some(respond(200, "OK", Some(content_type), content.into_bytes()))
}

fn table() -> String {
    serde_json::to_string(&proto::dump_table(proto::table::rows())).unwrap_or_default()
}
