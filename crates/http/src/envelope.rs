//! Answers: status line, headers, and what is wrapped around the data.

use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, PRAGMA, SERVER, VARY,
};
use hyper::{Response, StatusCode};
use model::{Error, ErrorKind, FieldErrors};
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use crate::conditional::{EntityTag, has_tag};
use crate::gzip;
use crate::index::{Frame, List};

pub(crate) use crate::answer_body::Body;

pub(crate) const JSON: &str = "application/json;charset=UTF-8";
const PNG: &str = "image/png";

/// Clients look for this name; our own version follows it.
const SERVER_NAME: &str = concat!("pve-api-daemon/3.0 ostler/", env!("CARGO_PKG_VERSION"));

/// The longest reason in a status line; clients read lines into buffers of a few kilobytes.
const REASON_BYTES: usize = 1024;

/// The beginning of a text, in whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// How an answer is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    /// Always status 200; success and status are in the body.
    ExtJs,
    /// ExtJS inside a page, for uploads from old browsers.
    HtmlJs,
    /// The picture in the answer, by itself. Errors are as in JSON.
    Png,
}

impl Format {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "extjs" => Some(Self::ExtJs),
            "htmljs" => Some(Self::HtmlJs),
            "png" => Some(Self::Png),
            _ => None,
        }
    }
}

/// A request that is turned down before it is an operation's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// Sent as plain text; none: an empty body.
    pub(crate) body: Option<String>,
}

impl Refusal {
    /// A status line and nothing else.
    pub(crate) fn bare(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            body: None,
        }
    }

    /// The reason is the body too.
    pub(crate) fn text(status: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            status,
            body: Some(reason.clone()),
            reason,
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = self.body.unwrap_or_default();
        respond(self.status, &self.reason, None, body.into_bytes())
    }
}

/// The status of a kind of error.
pub(crate) fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::Absent => 404,
        ErrorKind::Unmet => 424,
        ErrorKind::TooMany => 429,
        ErrorKind::NotImplemented => 501,
        ErrorKind::NodeUnreachable => 595,
        ErrorKind::NodeLost => 596,
        ErrorKind::NodeGarbled => 599,
        // What does not exist, exists already, is busy or broken: Proxmox VE says 500 to all.
        ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Busy
        | ErrorKind::Unavailable
        | ErrorKind::Bug => 500,
    }
}

/// Whether an error is of the way to another node; its answer has no body.
fn is_of_the_way(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NodeUnreachable | ErrorKind::NodeLost | ErrorKind::NodeGarbled
    )
}

/// An operation's answer.
pub(crate) fn success(format: Format, answer: Answer) -> Response<Body> {
    if format == Format::Png {
        return picture(&answer.data);
    }
    let mut object = Map::new();
    if format != Format::Json {
        object.insert("success".into(), 1.into());
    }
    object.insert("data".into(), answer.data);
    if let Some(total) = answer.total {
        object.insert("total".into(), total.into());
    }
    wrapped(format, 200, "OK", object)
}

/// The picture of an answer that has one, whose text has a character for each byte.
fn picture(data: &Value) -> Response<Body> {
    let bytes = |text: &str| -> Option<Vec<u8>> {
        let bytes = text.chars().map(|byte| u8::try_from(byte).ok());
        bytes.collect()
    };
    match data["image"].as_str().and_then(bytes) {
        Some(bytes) => respond(200, "OK", Some(PNG), bytes),
        None => Refusal::text(501, "the answer of this method is no picture").into_response(),
    }
}

fn frame(format: Format) -> Frame {
    match format {
        Format::Json | Format::Png => Frame::Data,
        Format::ExtJs | Format::HtmlJs => Frame::SuccessAndData,
    }
}

/// An operation's answer whose data is JSON text already.
pub(crate) fn success_text(format: Format, data: &[u8]) -> Response<Body> {
    if format == Format::Png {
        return picture(&Value::Null);
    }
    let (before, after) = frame(format).text();
    wrapped_text(format, 200, "OK", [before, data, after].concat())
}

/// A list that the client may have already, and takes compressed if its headers say so.
pub(crate) fn success_list(format: Format, list: &List, headers: &HeaderMap) -> Response<Body> {
    if matches!(format, Format::HtmlJs | Format::Png) {
        return success_text(format, &list.text());
    }
    let frame = frame(format);
    let (before, after) = frame.text();
    let length = before.len() + list.len() + after.len();
    let is_packed = length as u64 > gzip::SMALLEST && gzip::is_wanted(headers);
    let tag = EntityTag::new(list.tag, is_packed);
    let mut response = if has_tag(headers, &tag) {
        respond(304, "Not Modified", None, Body::default())
    } else if is_packed {
        let mut response = respond(200, "OK", Some(JSON), list.packed(frame));
        gzip::mark(response.headers_mut());
        response
    } else {
        let pieces = list.pieces().clone();
        let body = Body::framed(
            Bytes::from_static(before),
            pieces,
            Bytes::from_static(after),
        );
        respond(200, "OK", Some(JSON), body)
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, tag.header());
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// An operation's error.
pub(crate) fn failure(format: Format, error: &Error) -> Response<Body> {
    let status = status_of(error.kind);
    if is_of_the_way(error.kind) {
        return Refusal::bare(status, error.message.clone()).into_response();
    }
    let reason = first_line(&error.message);
    let mut object = Map::new();
    object.insert("data".into(), Value::Null);
    let end = match error.kind {
        ErrorKind::NotImplemented | ErrorKind::Absent => "",
        _ => "\n",
    };
    object.insert("message".into(), format!("{}{end}", error.message).into());
    if !error.fields.is_empty() {
        object.insert("errors".into(), json!(fields(&error.fields)));
    }
    if matches!(format, Format::Json | Format::Png) {
        return wrapped(format, status, reason, object);
    }
    object.insert("success".into(), 0.into());
    object.insert("status".into(), status.into());
    wrapped(format, 200, "OK", object)
}

fn fields(errors: &FieldErrors) -> Map<String, Value> {
    errors
        .iter()
        .map(|(name, reason)| (name.clone(), reason.clone().into()))
        .collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn wrapped(
    format: Format,
    status: u16,
    reason: &str,
    object: Map<String, Value>,
) -> Response<Body> {
    wrapped_text(
        format,
        status,
        reason,
        serde_json::to_vec(&object).unwrap_or_default(),
    )
}

fn wrapped_text(format: Format, status: u16, reason: &str, text: Vec<u8>) -> Response<Body> {
    if format != Format::HtmlJs {
        return respond(status, reason, Some(JSON), text);
    }
    // Inside a page, nothing of the data may end the script.
    let text = String::from_utf8_lossy(&text).replace('<', "\\u003c");
    let page = format!("<html><body><script>var result = {text};</script></body></html>");
    respond(
        status,
        reason,
        Some("text/html;charset=UTF-8"),
        page.into_bytes(),
    )
}

/// Any answer. A reason that cannot stand in a status line is left to the body alone.
pub(crate) fn respond(
    status: u16,
    reason: &str,
    content_type: Option<&'static str>,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = cut(reason, REASON_BYTES);
    let is_usual = response.status().canonical_reason() == Some(reason);
    if !is_usual && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes().to_vec()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=0"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if status >= 400 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_picture_is_sent_as_its_bytes() {
        let image: String = [0x89, b'P', 0xff].map(char::from).iter().collect();
        let answer = Answer::new(json!({"filename": "x.png", "image": image}));
        let response = success(Format::Png, answer);
        assert_eq!(response.headers()[CONTENT_TYPE], PNG);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], [0x89, b'P', 0xff]);
        let response = success(Format::Png, Answer::new(json!({"image": "\u{100}"})));
        assert_eq!(response.status(), 501);
    }

    #[tokio::test]
    async fn an_error_of_the_way_to_a_node_has_a_status_and_no_body() {
        for (kind, status) in [
            (ErrorKind::NodeUnreachable, 595),
            (ErrorKind::NodeLost, 596),
            (ErrorKind::NodeGarbled, 599),
        ] {
            for format in [Format::Json, Format::ExtJs] {
                let response = failure(format, &Error::new(kind, "Connection timed out"));
                assert_eq!(response.status(), status);
                let reason = response.extensions().get::<ReasonPhrase>().cloned();
                assert_eq!(reason.unwrap().as_bytes(), b"Connection timed out");
                let body = response.into_body().collect().await;
                assert!(body.unwrap().to_bytes().is_empty());
            }
        }
    }
}
