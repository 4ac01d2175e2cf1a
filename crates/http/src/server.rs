//! Listens, tells TLS from plain HTTP, and serves connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::service::Api;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// How long a client may take for a handshake or for the head of a request.
const HEAD_TIMEOUT_S: u64 = 30;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 1024;

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

/// Serves until it is dropped; all connections end with it.
pub async fn serve(listener: Listener, options: ServerOptions, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.0.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let (options, api) = (options.clone(), api.clone());
                connections.spawn(async move {
                    if let Err(error) = connection(stream, address, options, api).await {
                        debug!(%address, %error, "connection ended");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: those that are open must end first.
                warn!(%error, "accept");
                connections.join_next().await;
            }
        }
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    options: ServerOptions,
    api: Arc<Api>,
) -> Result<(), ConnectionError> {
    // Small answers go out at once.
    stream.set_nodelay(true)?;
    let Some(tls) = options.tls else {
        return speak(stream, address, api).await;
    };
    let timeout = Duration::from_secs(HEAD_TIMEOUT_S);
    let mut first = [0; 1];
    tokio::time::timeout(timeout, stream.peek(&mut first)).await??;
    if first[0] != TLS_HANDSHAKE {
        return Ok(tokio::time::timeout(timeout, crate::redirect::redirect(stream)).await??);
    }
    let stream = tokio::time::timeout(timeout, tls.accept(stream)).await??;
    speak(stream, address, api).await
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    address: SocketAddr,
    api: Arc<Api>,
) -> Result<(), ConnectionError> {
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, std::convert::Infallible>(api.answer(request, address).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_TIMEOUT_S))
        .max_headers(64)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    Ok(())
}
