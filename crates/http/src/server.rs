//! Listens, detects TLS and plain HTTP, and serves connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::front::{Front, Place};
use crate::linger::Linger;
use crate::service::Api;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// How long a client may take for a handshake, and for the head of a request.
const HEAD_TIMEOUT_S: u64 = 10;

/// How long the server waits for descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How connections are spoken to.
#[derive(Clone)]
pub struct ServerOptions {
    /// None: plain HTTP, for measuring what TLS costs.
    pub tls: Option<TlsAcceptor>,
}

/// A bound socket.
pub struct Listener(TcpListener);

impl Listener {
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The client at the other end of a connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) place: Arc<Place>,
}

impl Client {
    /// The address that is sent to the agent.
    pub(crate) fn address(&self) -> String {
        self.address.ip().to_canonical().to_string()
    }
}

/// Serves until it is dropped; all connections end with it.
pub async fn serve(listener: Listener, options: ServerOptions, api: Arc<Api>) {
    let front = Arc::new(Front::new(api.clock.clone()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.0.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(place) = front.admit(address.ip()) else {
                    debug!(%address, "no place for a connection");
                    continue;
                };
                let client = Client { address, place };
                connections.spawn(connection(stream, client, options.clone(), api.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: some that are open must end first.
                warn!(%error, "accept");
                front.close_one();
                api.clock.sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, client: Client, options: ServerOptions, api: Arc<Api>) {
    let address = client.address;
    let place = client.place.clone();
    tokio::select! {
        ended = talk(stream, client, options, api) => {
            if let Err(error) = ended {
                debug!(%address, %error, "connection ended");
            }
        }
        () = place.closed() => debug!(%address, "connection closed to make room"),
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

async fn talk(
    stream: TcpStream,
    client: Client,
    options: ServerOptions,
    api: Arc<Api>,
) -> Result<(), ConnectionError> {
    // Small answers go out at once.
    stream.set_nodelay(true)?;
    let Some(tls) = options.tls else {
        return speak(stream, client, api).await;
    };
    let timeout = Duration::from_secs(HEAD_TIMEOUT_S);
    let mut first = [0; 1];
    tokio::time::timeout(timeout, stream.peek(&mut first)).await??;
    if first[0] != TLS_HANDSHAKE {
        return Ok(tokio::time::timeout(timeout, crate::redirect::redirect(stream)).await??);
    }
    let stream = tokio::time::timeout(timeout, tls.accept(stream)).await??;
    speak(stream, client, api).await
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    client: Client,
    api: Arc<Api>,
) -> Result<(), ConnectionError> {
    let service = service_fn(move |request| {
        let (api, client) = (api.clone(), client.clone());
        async move { Ok::<_, std::convert::Infallible>(api.answer(request, &client).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_TIMEOUT_S))
        .max_headers(64)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(Linger::new(stream)), service)
        .with_upgrades()
        .await?;
    Ok(())
}
