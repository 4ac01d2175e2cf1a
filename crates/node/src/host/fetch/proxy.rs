//! HTTP proxies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use model::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{failed, has_port_or_none, in_time};

/// Where proxies listen whose address does not say it.
pub(super) const PORT: u16 = 3128;

/// A proxy's answer is not longer.
const HEAD_BYTES: usize = 16 * 1024;

/// Reads `http://[user:password@]host[:port]`. A reason does not show what may be a password.
pub fn parse(text: &str) -> Result<Uri, &'static str> {
    const REASON: &str = "not of the form http://[user:password@]host[:port]";
    let proxy: Uri = text.parse().map_err(|_| REASON)?;
    let is_bare = proxy.path_and_query().is_none_or(|path| path == "/");
    let has_host = proxy.host().is_some_and(|host| !host.is_empty());
    // To an https proxy the password would go in plain text, too.
    match proxy.scheme_str() {
        Some("http") if has_host && is_bare && has_port_or_none(&proxy) => Ok(proxy),
        _ => Err(REASON),
    }
}

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

/// The credentials for a proxy, from the user in its address.
pub(super) fn authorization(proxy: &Uri) -> Option<String> {
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let user = percent_encoding::percent_decode_str(user).collect::<Vec<u8>>();
    let secret = STANDARD.encode(user);
    Some(format!("Basic {secret}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fetch::host_of;

    #[test]
    fn proxies_are_hosts_that_speak_http() {
        for good in ["http://proxy", "http://a:b%20c@proxy:8080/", "http://[::1]"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://",
            "http://a:b c@proxy",
            "http://a:b/c@proxy",
            "http://a:a/c@proxy",
            "http://a:1/c@proxy",
            "http://a:b#c@proxy",
            "http://proxy:99999",
            "https://proxy",
            "ftp://proxy",
            "proxy",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let address = parse("http://a:b@[::1]:3128").unwrap();
        assert_eq!((host_of(&address), address.port_u16()), ("::1", Some(3128)));
    }
}
