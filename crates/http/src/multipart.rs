//! A `multipart/form-data` body (RFC 7578), part by part, in flat memory.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use memchr::memmem::Finder;

/// The longest head of a part.
const HEAD_LIMIT: usize = 16 * 1024;

/// Why a body cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    #[error("the upload broke off")]
    BrokenOff,
    #[error("the upload is no well-formed multipart/form-data")]
    Malformed,
}

/// The head of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
}

pub(crate) struct Multipart<B> {
    body: B,
    /// What was received and not yet handed out.
    buffer: BytesMut,
    /// CR LF, two hyphens, the boundary: what ends a part.
    delimiter: Finder<'static>,
}

/// The boundary that a content type names; none where it is no `multipart/form-data`.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (media, parameters) = content_type.split_once(';')?;
    if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// A parameter of a header: `; name="value"; other=value`.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([';', ' ', '\t']).trim_end();
        let (value, after) = value(after.trim_start());
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            // Browsers escape quotes alone: other backslashes are folders of Windows.
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|(_, c)| c));
            }
            c => value.push(c),
        }
    }
    (value, "")
}

impl<B: Body<Data = Bytes> + Unpin> Multipart<B> {
    pub(crate) fn new(body: B, boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}");
        Self {
            body,
            // The first boundary begins the body, without a line end before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
        }
    }

    /// The head of the next part, after passing over what is left of the last one. None after
    /// the last part.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Part>, MultipartError> {
        while self.chunk().await?.is_some() {}
        let _ = self.buffer.split_to(self.delimiter.needle().len());
        // Two hyphens end it all; else a line end follows, perhaps after white space.
        let line = self.line(HEAD_LIMIT).await?;
        if line.starts_with(b"--") {
            return Ok(None);
        }
        if !line.iter().all(|byte| b" \t".contains(byte)) {
            return Err(MultipartError::Malformed);
        }
        self.head().await.map(Some)
    }

    async fn head(&mut self) -> Result<Part, MultipartError> {
        let mut part = Part::default();
        let mut room = HEAD_LIMIT;
        loop {
            let line = self.line(room).await?;
            room = room.saturating_sub(line.len() + 2);
            if line.is_empty() {
                return Ok(part);
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            let Some((name, rest)) = line.split_once(':') else {
                return Err(MultipartError::Malformed);
            };
            if name.trim().eq_ignore_ascii_case("content-disposition") {
                let parameters = rest.split_once(';').map_or("", |(_, rest)| rest);
                part.name = parameter(parameters, "name").unwrap_or_default();
                part.file_name = parameter(parameters, "filename");
            }
        }
    }

    /// The next line without its end; the end of the body counts as the end of a line that
    /// says that there is nothing more.
    async fn line(&mut self, limit: usize) -> Result<Bytes, MultipartError> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                let _ = self.buffer.split_to(2);
                return Ok(line);
            }
            if self.buffer.len() > limit {
                return Err(MultipartError::Malformed);
            }
            if !self.more().await? {
                let rest = self.buffer.split().freeze();
                let is_end = rest.starts_with(b"--");
                return if is_end {
                    Ok(rest)
                } else {
                    Err(MultipartError::BrokenOff)
                };
            }
        }
    }

    /// The next piece of the part's content; none at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let length = self.delimiter.needle().len();
        loop {
            match self.delimiter.find(&self.buffer) {
                Some(0) => return Ok(None),
                Some(end) => return Ok(Some(self.buffer.split_to(end).freeze())),
                // The last bytes may be the beginning of a delimiter.
                None if self.buffer.len() >= length => {
                    let sure = self.buffer.len() - (length - 1);
                    return Ok(Some(self.buffer.split_to(sure).freeze()));
                }
                None if self.more().await? => {}
                None => return Err(MultipartError::BrokenOff),
            }
        }
    }

    /// Receives more. False at the end of the body.
    async fn more(&mut self) -> Result<bool, MultipartError> {
        loop {
            match self.body.frame().await {
                None => return Ok(false),
                Some(Err(_)) => return Err(MultipartError::BrokenOff),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Throws away what is still to come, up to a limit: a client that is sending does not
    /// listen, and would miss the answer.
    pub(crate) async fn drain(mut self, limit: u64) {
        let mut left = limit;
        self.buffer.clear();
        while left > 0 && self.more().await == Ok(true) {
            left = left.saturating_sub(self.buffer.len() as u64);
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use proptest::prelude::*;
    use std::convert::Infallible;

    type Read = Result<Vec<(Part, Vec<u8>)>, MultipartError>;

    /// Reads a body that arrives in pieces of these lengths.
    fn read(body: &[u8], piece: usize) -> Read {
        let pieces: Vec<Result<Frame<Bytes>, Infallible>> = body
            .chunks(piece)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let mut multipart = Multipart::new(StreamBody::new(stream::iter(pieces)), "XX");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut parts = Vec::new();
            while let Some(part) = multipart.next_part().await? {
                let mut content = Vec::new();
                while let Some(chunk) = multipart.chunk().await? {
                    content.extend_from_slice(&chunk);
                }
                parts.push((part, content));
            }
            Ok(parts)
        })
    }

    fn body(content: &[u8]) -> Vec<u8> {
        let head = "--XX\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"filename\"; \
                    filename=\"a \\\"b\\\".iso\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\n";
        let mut body = head.as_bytes().to_vec();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--XX--\r\n");
        body
    }

    proptest! {
        #[test]
        fn content_arrives_as_it_was_sent(
            content in prop::collection::vec(prop::sample::select(&b"\r\n-Xa"[..]), 0..200),
            piece in 1_usize..60,
        ) {
            let has_delimiter = memchr::memmem::find(&[b"\r\n", &content[..]].concat(), b"\r\n--XX");
            prop_assume!(has_delimiter.is_none());
            let parts = read(&body(&content), piece).unwrap();
            prop_assert_eq!(parts.len(), 2);
            prop_assert_eq!(parts[0].0.name.as_str(), "content");
            prop_assert_eq!(&parts[0].1[..], b"iso");
            prop_assert_eq!(parts[1].0.file_name.as_deref(), Some("a \"b\".iso"));
            prop_assert_eq!(&parts[1].1, &content);
        }

        #[test]
        fn nothing_makes_it_panic_or_wait(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&text, 7);
        }
    }

    #[test]
    fn a_body_that_ends_early_has_broken_off() {
        let whole = body(b"content");
        for length in 1..whole.len() - 4 {
            let read = read(&whole[..length], 16);
            assert_eq!(read.unwrap_err(), MultipartError::BrokenOff, "{length}");
        }
    }

    #[test]
    fn heads_that_never_end_are_refused() {
        let mut long = b"--XX\r\nA: ".to_vec();
        long.extend(vec![b'a'; 20_000]);
        assert_eq!(read(&long, 1000).unwrap_err(), MultipartError::Malformed);
    }

    #[test]
    fn boundaries_of_real_clients() {
        for (header, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"",
                Some("a b"),
            ),
            ("multipart/form-data", None),
            ("multipart/mixed; boundary=abc", None),
            ("multipart/form-data; boundary=", None),
        ] {
            assert_eq!(boundary(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn folders_of_windows_are_kept_for_the_agent_to_cut_off() {
        assert_eq!(
            parameter("; filename=\"C:\\tmp\\x.iso\"", "filename").unwrap(),
            "C:\\tmp\\x.iso"
        );
    }
}
