//! Sends one raw request and reads its status.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::cases::Case;
use crate::harness::https::connector;

/// A connection to a server.
pub(crate) struct Wire {
    port: u16,
    tls: Option<TlsConnector>,
}

/// Headers with a credential.
pub(crate) struct Login(String);

impl Login {
    pub(crate) fn headers(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn token(token: &str) -> Self {
        Self(format!("Authorization: PVEAPIToken={token}\r\n"))
    }
}

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Wire {
    pub(crate) fn plain(port: u16) -> Self {
        Self { port, tls: None }
    }

    pub(crate) fn tls(port: u16) -> Self {
        let tls = Some(connector(rustls::DEFAULT_VERSIONS, &[]));
        Self { port, tls }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The status of the answer. An error if the connection ends without one.
    pub(super) async fn ask(&self, login: &Login, case: &Case) -> Result<u16, String> {
        let answer = self.exchange(&case.request(login.text())).await;
        let head = String::from_utf8_lossy(&answer);
        let line = head.lines().next().unwrap_or_default();
        if line.len() > 1200 {
            return Err(format!("a status line of {} bytes", line.len()));
        }
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.ok_or_else(|| format!("the answer is '{line}'"))
    }

    pub(crate) async fn log_in(&self, user: &str, password: &str) -> Login {
        let body = format!("username={}&password={password}", encoded(user));
        let request = format!(
            "POST /api2/json/access/ticket HTTP/1.1\r\nHost: pve1\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer);
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let field = |name: &str| body["data"][name].as_str().unwrap().to_owned();
        Login(format!(
            "Cookie: PVEAuthCookie={}\r\nCSRFPreventionToken: {}\r\n",
            encoded(&field("ticket")),
            field("CSRFPreventionToken")
        ))
    }

    async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        match &self.tls {
            None => talk(tcp, request).await,
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                talk(tls.connect(name, tcp).await.unwrap(), request).await
            }
        }
    }
}

/// A server that refuses need not read all of a request, and may close without a TLS close message.
async fn talk(stream: impl AsyncRead + AsyncWrite, request: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let send = async {
        writer.write_all(request).await?;
        // TLS buffers what the socket does not accept at once.
        writer.flush().await
    };
    let mut answer = Vec::new();
    let receive = reader.read_to_end(&mut answer);
    let _ = tokio::join!(send, receive);
    answer
}
