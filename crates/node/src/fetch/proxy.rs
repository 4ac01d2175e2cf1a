//! HTTP proxies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use model::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{failed, in_time};

/// Where proxies listen whose address does not say it.
pub(super) const PORT: u16 = 3128;

/// A proxy's answer is not longer.
const HEAD_BYTES: usize = 16 * 1024;

/// Has a proxy connect us to a server.
pub(super) async fn tunnel(stream: &mut TcpStream, target: &str, proxy: &Uri) -> Result<(), Error> {
    let broken = |error: std::io::Error| failed("no answer from the proxy", &error);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(secret) = authorization(proxy) {
        request.push_str(&format!("Proxy-Authorization: {secret}\r\n"));
    }
    request.push_str("\r\n");
    in_time(stream.write_all(request.as_bytes()))
        .await?
        .map_err(broken)?;
    // The server speaks only when we have: nothing after the head is read too early.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES {
            return Err(Error::unavailable("the proxy's answer does not end"));
        }
        head.push(in_time(stream.read_u8()).await?.map_err(broken)?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "the proxy does not connect to {target}: {status}"
    )))
}

/// What a proxy is told of the user in its address.
pub(super) fn authorization(proxy: &Uri) -> Option<String> {
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let user = percent_encoding::percent_decode_str(user).collect::<Vec<u8>>();
    let secret = STANDARD.encode(user);
    Some(format!("Basic {secret}"))
}
