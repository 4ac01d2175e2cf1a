//! Compression, for those who ask for it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{HeaderMap, Response};

/// Below this nothing is won.
const SMALLEST: usize = 1024;

pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    accepts.unwrap_or_default().split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && quality.replace(' ', "") != "q=0"
    })
}

/// Compresses a body that is worth it. Level 1: most of the gain for a tenth of the time.
pub(crate) async fn compress(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    if body.len() <= SMALLEST {
        return Response::from_parts(parts, Full::new(body));
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    match encoder.write_all(&body).and_then(|()| encoder.finish()) {
        Ok(compressed) => {
            parts
                .headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, Full::new(compressed.into()))
        }
        // Writing to memory does not fail; if it did, the plain body is as good.
        Err(_) => Response::from_parts(parts, Full::new(body)),
    }
}
