//! Websockets: the handshake and the frames (RFC 6455).
//!
//! Less than the standard allows: no fragments, no extensions, 128 KiB a frame from a client.

pub(crate) mod connection;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Response, StatusCode};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::envelope::{Body, Refusal};

/// What the standard has a server add to the client's key.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest payload.
const PAYLOAD_LIMIT: u64 = 128 * 1024;

/// The longest payload of frames that are about the connection.
const CONTROL_LIMIT: u64 = 125;

/// Kinds of frames.
pub(crate) mod opcode {
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
}

/// Whether a request wants to become a websocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    has_word(headers, &UPGRADE, "websocket") && has_word(headers, &CONNECTION, "upgrade")
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().eq_ignore_ascii_case(word))
}

/// Refuses pages of other sites (cross-site websocket hijacking): a browser sends its cookies for
/// a page of any site, and names the site in `Origin`. Other clients send no `Origin`.
pub(crate) fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(ORIGIN) else {
        return Ok(());
    };
    let site = origin.split_once("://").map(|(_, site)| site);
    match (site, text(HOST)) {
        (Some(site), Some(host)) if site.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Refusal::text(
            403,
            "a websocket is only for pages of this host",
        )),
    }
}

/// What a client's request to become a websocket is answered with.
pub(crate) struct Handshake {
    accept: String,
    /// If the client names any.
    protocol: Option<&'static str>,
}

impl Handshake {
    /// Reads a client's request for a websocket on which `protocol` is spoken.
    pub(crate) fn of(headers: &HeaderMap, protocol: &'static str) -> Result<Self, Refusal> {
        let refused = |text: &str| Refusal::text(400, text);
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            return Err(refused("websocket version 13 is needed"));
        }
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .and_then(|key| key.to_str().ok());
        let is_key = |key: &&str| STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
        let key = key.filter(is_key);
        let key = key.ok_or_else(|| refused("the websocket's key is missing or damaged"))?;
        let names_protocol = headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
        if names_protocol && !has_word(headers, &SEC_WEBSOCKET_PROTOCOL, protocol) {
            let text = format!("the websocket's subprotocol must be '{protocol}'");
            return Err(refused(&text));
        }
        Ok(Self {
            accept: accept(key),
            protocol: names_protocol.then_some(protocol),
        })
    }

    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        // Base64 is always a header's value.
        if let Ok(accept) = HeaderValue::try_from(self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }
}

fn accept(key: &str) -> String {
    let text = format!("{key}{KEY_SUFFIX}");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Error)]
pub(crate) enum FrameError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("a frame is longer than 128 KiB")]
    TooLong,
}

impl FrameError {
    /// The reason that a client gets when the connection is closed over it.
    pub(crate) fn close_code(&self) -> u16 {
        match self {
            Self::Io(_) => 1001,
            Self::Protocol(_) => 1002,
            Self::TooLong => 1009,
        }
    }
}

/// Reads the next frame. Not to be dropped before it ends.
pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Result<Frame, FrameError> {
    let mut head = [0; 2];
    reader.read_exact(&mut head).await?;
    if head[0] & 0x80 == 0 {
        return Err(FrameError::Protocol("fragments are not supported"));
    }
    if head[0] & 0x70 != 0 {
        return Err(FrameError::Protocol("extensions are not supported"));
    }
    if head[1] & 0x80 == 0 {
        return Err(FrameError::Protocol("a client's frames must be masked"));
    }
    let opcode = head[0] & 0x0f;
    let is_control = opcode >= opcode::CLOSE;
    if !(opcode::TEXT..=opcode::BINARY).contains(&opcode)
        && !(opcode::CLOSE..=opcode::PONG).contains(&opcode)
    {
        return Err(FrameError::Protocol("unknown kind of frame"));
    }
    let length = match head[1] & 0x7f {
        126 => u64::from(reader.read_u16().await?),
        127 => reader.read_u64().await?,
        short => u64::from(short),
    };
    if is_control && length > CONTROL_LIMIT {
        return Err(FrameError::Protocol("a control frame is too long"));
    }
    if length > PAYLOAD_LIMIT {
        return Err(FrameError::TooLong);
    }
    let mut mask = [0; 4];
    reader.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).map_err(|_| FrameError::TooLong)?];
    reader.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Frame { opcode, payload })
}

/// A server's frame: whole and not masked.
pub(crate) fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The head of a frame with a payload of `length` bytes.
fn head(opcode: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match length {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame
}

/// The frame that says goodbye. The reason is cut to what a control frame holds.
pub(crate) fn encode_close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    let end = reason.floor_char_boundary(reason.len().min(120));
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    encode(opcode::CLOSE, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = encode(0, payload);
        frame[0] = first;
        frame[1] |= 0x80;
        let at = frame.len() - payload.len();
        let mask = [1, 2, 3, 4];
        for (byte, mask) in frame[at..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        frame.splice(at..at, mask);
        frame
    }

    #[test]
    fn the_key_is_answered_as_in_the_standard() {
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[tokio::test]
    async fn frames_of_all_lengths_are_read() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 128 * 1024] {
            let payload = vec![7; length];
            let frame = read(&mut &*masked(0x82, &payload)).await.unwrap();
            assert_eq!((frame.opcode, frame.payload), (opcode::BINARY, payload));
        }
    }

    #[tokio::test]
    async fn what_is_not_supported_closes_the_connection() {
        let long = masked(0x82, &vec![0; 128 * 1024 + 1]);
        let cases = [
            (masked(0x02, b"x"), 1002),
            (masked(0xc2, b"x"), 1002),
            (masked(0x83, b"x"), 1002),
            (masked(0x80, b"x"), 1002),
            (masked(0x89, &[0; 126]), 1002),
            (encode(opcode::BINARY, b"x"), 1002),
            (long, 1009),
            (vec![0x82], 1001),
        ];
        for (frame, code) in cases {
            let error = read(&mut &*frame).await.unwrap_err();
            assert_eq!(error.close_code(), code, "{error}");
        }
    }

    #[test]
    fn a_handshake_names_version_key_and_protocol() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            Handshake::of(&headers, "binary").map(|handshake| handshake.response())
        };
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        let protocol = "sec-websocket-protocol";
        let good = of(&[key, version, (protocol, "base64, binary")]).unwrap();
        assert_eq!(good.headers()[protocol], "binary");
        assert!(
            !of(&[key, version])
                .unwrap()
                .headers()
                .contains_key(protocol)
        );
        assert!(of(&[key]).is_err());
        assert!(of(&[version]).is_err());
        assert!(of(&[key, version, (protocol, "base64")]).is_err());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for (origin, host, is_let_in) in [
            (None, "node:8006", true),
            (Some("https://node:8006"), "node:8006", true),
            (Some("https://Node.example"), "node.example", true),
            (Some("https://node:8006"), "node", false),
            (Some("https://node:8006.evil.example"), "node:8006", false),
            (Some("https://evil.example/node:8006"), "node:8006", false),
            (Some("https://evil.example"), "node:8006", false),
            (Some("null"), "node:8006", false),
            (Some(""), "node:8006", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            let refused = refuse_other_sites(&headers);
            assert_eq!(refused.is_ok(), is_let_in, "{origin:?} at {host}");
        }
    }
}
