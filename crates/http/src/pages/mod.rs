//! The pages that are not the API: the web interface, or without it a front page, and a reader
//! for the operation table.

mod policy;
mod ui;

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::Response;
use hyper::http::request::Parts;

use crate::envelope::{Body, JSON, respond};
use crate::gzip;

const FRONT: &str = include_str!("front.html");
const VIEWER: &str = include_str!("viewer.html");
const VIEWER_SCRIPT: &str = include_str!("viewer.js");
const HTML: &str = "text/html;charset=UTF-8";
const SCRIPT: &str = "text/javascript;charset=UTF-8";

/// Made once: everybody may ask for it, and take as long as they like to read it.
static TABLE: LazyLock<Bytes> = LazyLock::new(|| {
    let table = proto::dump_table(proto::table::rows());
    serde_json::to_vec(&table).unwrap_or_default().into()
});

/// The same as an OpenAPI document.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| {
    let document = proto::openapi(proto::table::rows());
    serde_json::to_vec(&document).unwrap_or_default().into()
});

/// The page at a path; none where there is none.
pub(crate) fn page(parts: &Parts) -> Option<Response<Body>> {
    let path = parts.uri.path();
    let wants_gzip = gzip::is_wanted(&parts.headers);
    let mut response = ui::page(path, wants_gzip).or_else(|| own_page(path))?;
    policy::protect(response.headers_mut());
    Some(response)
}

fn own_page(path: &str) -> Option<Response<Body>> {
    let (content_type, content) = match path {
        "/" | "/index.html" => {
            let front = FRONT.replace("{version}", env!("CARGO_PKG_VERSION"));
            (HTML, front.into())
        }
        "/pve-docs/api-viewer" | "/pve-docs/api-viewer/" | "/pve-docs/api-viewer/index.html" => {
            (HTML, Bytes::from_static(VIEWER.as_bytes()))
        }
        "/pve-docs/api-viewer/viewer.js" => (SCRIPT, Bytes::from_static(VIEWER_SCRIPT.as_bytes())),
        "/pve-docs/api-viewer/operations.json" => (JSON, TABLE.clone()),
        "/pve-docs/api-viewer/openapi.json" => (JSON, OPENAPI.clone()),
        _ => return None,
    };
    Some(respond(200, "OK", Some(content_type), content))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    fn get(path: &str) -> Option<Response<Body>> {
        let request = hyper::Request::builder().uri(path).body(()).unwrap();
        page(&request.into_parts().0)
    }

    fn body(path: &str) -> Option<Bytes> {
        let body = get(path)?.into_body().collect().now_or_never()?;
        Some(body.unwrap().to_bytes())
    }

    #[test]
    fn the_reader_gets_the_table() {
        let table = body("/pve-docs/api-viewer/operations.json").unwrap();
        let table: Vec<serde_json::Value> = serde_json::from_slice(&table).unwrap();
        assert_eq!(table.len(), proto::table::rows().count());
        for page in ["/", "/pve-docs/api-viewer/"] {
            assert!(body(page).unwrap().starts_with(b"<!"), "{page}");
        }
        assert!(body("/nothing").is_none());
    }

    #[test]
    fn pages_have_a_policy_and_no_script_within() {
        for path in ["/", "/pve-docs/api-viewer/", "/guest/100"] {
            let Some(page) = get(path) else {
                continue; // The web interface is not built.
            };
            let policy = &page.headers()["content-security-policy"];
            let policy = policy.to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            let html = String::from_utf8(body(path).unwrap().to_vec()).unwrap();
            assert!(!html.contains("<script>"), "{path}");
        }
    }
}
