//! A client that keeps its connections, in the bench's own process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::process::cpu;

/// Where a request goes.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) tls: Option<TlsConnector>,
}

/// Who asks.
pub(crate) struct Caller {
    pub(crate) credential: String,
    /// The node's own API, with TLS.
    pub(crate) target: Target,
}

impl Caller {
    /// The caller of a token as `token_create` answers it.
    pub(crate) fn with_token(token: &Value, target: Target) -> Self {
        let (id, secret) = (token["full-tokenid"].as_str(), token["value"].as_str());
        Self {
            credential: format!("PVEAPIToken={}={}", id.unwrap(), secret.unwrap()),
            target,
        }
    }

    pub(crate) fn get(&self, path: &str, gzip: bool) -> Vec<u8> {
        self.get_with(path, gzip, "")
    }

    /// Asks for what is not what an entity tag names.
    pub(crate) fn get_unless(&self, path: &str, gzip: bool, tag: &str) -> Vec<u8> {
        self.get_with(path, gzip, &format!("If-None-Match: {tag}\r\n"))
    }

    fn get_with(&self, path: &str, gzip: bool, more: &str) -> Vec<u8> {
        let encoding = if gzip {
            "Accept-Encoding: gzip\r\n"
        } else {
            ""
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n{encoding}{more}\r\n",
            self.credential
        )
        .into_bytes()
    }

    pub(crate) fn put(&self, path: &str, form: &str) -> Vec<u8> {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.credential,
            form.len()
        )
        .into_bytes()
    }
}

/// TLS that trusts one authority.
pub(crate) fn connector(authority: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection, and the last answer on it.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    raw: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", target.port))
            .await
            .unwrap();
        tcp.set_nodelay(true).unwrap();
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(tls.connect(name, tcp).await.unwrap())
            }
        };
        let raw = Vec::with_capacity(64 << 10);
        Self { stream, raw }
    }

    /// Asks and reads the whole answer, which must be a good one: 200, or 304 where the request
    /// names what is known. Answers its bytes, and how
    /// many of them are the head.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> (&[u8], usize) {
        let (raw, head) = self.exchange(request).await;
        let good = [b"HTTP/1.1 200 ", b"HTTP/1.1 304 "];
        let is_good = good.iter().any(|line| raw.starts_with(*line));
        assert!(is_good, "{}", String::from_utf8_lossy(raw));
        (raw, head)
    }

    /// As `ask`, whatever the answer says.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> (&[u8], usize) {
        self.stream.write_all(request).await.unwrap();
        self.stream.flush().await.unwrap();
        self.raw.clear();
        let mut whole = None;
        while whole.is_none_or(|(_, length)| self.raw.len() < length) {
            let read = self.stream.read_buf(&mut self.raw).await.unwrap();
            assert!(read > 0, "the server hung up");
            if whole.is_none() {
                whole = lengths(&self.raw);
                if let Some((_, length)) = whole {
                    self.raw.reserve(length.saturating_sub(self.raw.len()));
                }
            }
        }
        (&self.raw, whole.unwrap().0)
    }
}

/// The length of an answer's head and of all of it, once the head is there.
fn lengths(raw: &[u8]) -> Option<(usize, usize)> {
    let head = raw.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&raw[..head]).to_lowercase();
    if text.starts_with("http/1.1 304 ") {
        return Some((head, head));
    }
    let (_, length) = text.split_once("content-length: ").unwrap();
    let (length, _) = length.split_once("\r\n").unwrap();
    Some((head, head + length.parse::<usize>().unwrap()))
}

/// What a load found.
pub(crate) struct Load {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) took: Duration,
    /// The CPU time of each process that was watched.
    pub(crate) cpu: Vec<Duration>,
}

impl Load {
    pub(crate) fn cpu_us(&self, at: usize) -> f64 {
        self.cpu[at].as_secs_f64() * 1e6 / f64::from(u32::try_from(self.latencies.len()).unwrap())
    }
}

/// At most this long and this often, whichever comes first.
const LOAD_TIME: Duration = Duration::from_secs(1);
const REQUESTS: usize = 200_000;

/// Puts a load on a server, after its handshakes and a few requests that do not count.
pub(crate) async fn load(
    target: &Target,
    connections: usize,
    request: &[u8],
    pids: &[u32],
) -> Load {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(target).await;
        for _ in 0..3 {
            connection.ask(request).await;
        }
        open.push(connection);
    }
    let before: Vec<Duration> = pids.iter().map(|pid| cpu(*pid)).collect();
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in open {
        let request = request.to_vec();
        running.spawn(async move {
            let mut latencies = Vec::new();
            while latencies.len() < REQUESTS / connections && begun.elapsed() < LOAD_TIME {
                let asked = Instant::now();
                connection.ask(&request).await;
                latencies.push(asked.elapsed());
            }
            latencies
        });
    }
    let latencies = running.join_all().await.concat();
    let took = begun.elapsed();
    let spent = |(pid, before): (&u32, &Duration)| cpu(*pid) - *before;
    Load {
        latencies,
        took,
        cpu: pids.iter().zip(&before).map(spent).collect(),
    }
}
