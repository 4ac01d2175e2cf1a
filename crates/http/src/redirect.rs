//! Plain HTTP on the TLS port: told where to go.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest request head that is read before answering.
const HEAD_LIMIT: usize = 8192;

/// Answers one plain request with a redirect to the same address by https, and closes.
pub(crate) async fn redirect(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let answer = match location(&String::from_utf8_lossy(&head)) {
        Some(location) => format!(
            "HTTP/1.1 301 Moved Permanently\r\nLocation: {location}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        ),
        None => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn location(head: &str) -> Option<String> {
    let mut lines = head.lines();
    let path = lines
        .next()?
        .split(' ')
        .nth(1)
        .filter(|path| path.starts_with('/'))?;
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    })?;
    let plain = |c: char| c.is_ascii_graphic();
    let is_plain = !host.is_empty() && host.chars().all(plain) && path.chars().all(plain);
    is_plain.then(|| format!("https://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_by_https() {
        let head = "GET /x?y=1 HTTP/1.1\r\nAccept: */*\r\nhOst: node:8006\r\n\r\n";
        assert_eq!(location(head).unwrap(), "https://node:8006/x?y=1");
        assert_eq!(location("GET /x HTTP/1.0\r\n\r\n"), None);
        assert_eq!(location("garbage"), None);
    }
}
