//! The pages that are not the API: a front page and a reader for the operation table.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::Response;
use hyper::http::request::Parts;

use crate::envelope::{Body, JSON, respond};

const FRONT: &str = include_str!("front.html");
const VIEWER: &str = include_str!("viewer.html");
const HTML: &str = "text/html;charset=UTF-8";

/// Made once: everybody may ask for it, and take as long as they like to read it.
static TABLE: LazyLock<Bytes> = LazyLock::new(|| {
    let table = proto::dump_table(proto::table::rows());
    serde_json::to_vec(&table).unwrap_or_default().into()
});

/// The page at a path; none where there is none.
pub(crate) fn page(parts: &Parts) -> Option<Response<Body>> {
    let (content_type, content) = match parts.uri.path() {
        "/" | "/index.html" => {
            let front = FRONT.replace("{version}", env!("CARGO_PKG_VERSION"));
            (HTML, front.into())
        }
        "/pve-docs/api-viewer" | "/pve-docs/api-viewer/" | "/pve-docs/api-viewer/index.html" => {
            (HTML, Bytes::from_static(VIEWER.as_bytes()))
        }
        "/pve-docs/api-viewer/operations.json" => (JSON, TABLE.clone()),
        _ => return None,
    };
    Some(respond(200, "OK", Some(content_type), content))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_reader_gets_the_table() {
        let body = |path: &str| {
            let request = hyper::Request::builder().uri(path).body(()).unwrap();
            let page = page(&request.into_parts().0)?;
            let body = page.into_body().collect().now_or_never()?;
            Some(body.unwrap().to_bytes())
        };
        let table = body("/pve-docs/api-viewer/operations.json").unwrap();
        let table: Vec<serde_json::Value> = serde_json::from_slice(&table).unwrap();
        assert_eq!(table.len(), proto::table::rows().count());
        for page in ["/", "/pve-docs/api-viewer/"] {
            assert!(body(page).unwrap().starts_with(b"<!"), "{page}");
        }
        assert!(body("/nothing").is_none());
    }
}
