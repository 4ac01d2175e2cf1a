//! Servers to compare with, each in a process of its own so that its CPU time can be told
//! apart: the API without TLS, and a bare hyper with or without rustls.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Api, Index, Listener, ServerOptions};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use proto::wire::Client;
use sys::SystemClock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub(crate) const PLAIN: &str = "serve-plain";
pub(crate) const BARE: &str = "serve-bare";

/// As `ostler run` sets it for its roles.
const SMALL_HEAP: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// A server that ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(arguments: &[&Path]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .envs(SMALL_HEAP)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Self { child, port }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says where we listen, and ends this process when the bench does.
fn announce(port: u16) {
    println!("{port}");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// The API over a node's agent, without TLS.
pub(crate) async fn plain(socket: String) {
    let clock = Arc::new(SystemClock::new());
    let client = Client::new(PathBuf::from(socket));
    let index = Arc::new(Index::new(clock.clone()));
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    announce(listener.address().unwrap().port());
    let node = "pve1".parse().unwrap();
    let api = Arc::new(Api::new(client.clone(), clock, index.clone(), &node));
    tokio::select! {
        never = index.follow(&client) => match never {},
        () = http::serve(listener, ServerOptions { tls: None }, api) => {}
    }
}

type Answers = HashMap<(String, bool), (HeaderMap, Bytes)>;

/// The name of the file with the answer to a request.
pub(crate) fn answer_file(path: &str, gzip: bool) -> String {
    let encoding = if gzip { "gzip" } else { "plain" };
    format!("{encoding}{}", path.replace('/', "+"))
}

/// Reads answers as they came from the API; hyper adds a length and a date of its own.
fn answers(folder: &str) -> Answers {
    let read = |path: PathBuf| {
        let raw = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (encoding, of) = name.split_once('+').unwrap();
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let headers = head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .filter(|(name, _)| name != "content-length" && name != "date")
            .collect();
        let key = (format!("/{}", of.replace('+', "/")), encoding == "gzip");
        (key, (headers, Bytes::copy_from_slice(&raw[end + 4..])))
    };
    std::fs::read_dir(folder)
        .unwrap()
        .map(|item| read(item.unwrap().path()))
        .collect()
}

/// Answers known bytes from memory, with nothing but hyper and, if there is a certificate,
/// rustls as the API sets it up.
pub(crate) async fn bare(folder: String, certificate: Option<String>) {
    let answers = Arc::new(answers(&folder));
    let tls = certificate.map(|folder| {
        let folder = Path::new(&folder);
        let served = http::Served::read(&folder.join("chain.pem"), &folder.join("key.pem"));
        http::tls_acceptor(served.unwrap()).unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (answers, tls) = (answers.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => speak(stream, answers).await,
                Some(tls) => speak(tls.accept(stream).await.unwrap(), answers).await,
            }
        });
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answers: Arc<Answers>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let gzip = request.headers().contains_key(ACCEPT_ENCODING);
        let (headers, body) = &answers[&(request.uri().path().to_owned(), gzip)];
        let mut response = Response::new(Full::new(body.clone()));
        *response.headers_mut() = headers.clone();
        async move { Ok::<_, Infallible>(response) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
