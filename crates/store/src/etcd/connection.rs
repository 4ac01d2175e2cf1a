//! A connection to one member.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use hyper_util::rt::TokioIo;
use model::{Clock, with_timeout};
use prost::Message;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::EtcdOptions;
use super::fault::{Fault, causes};

/// Whether a member may answer while it has no leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    Required,
    NotNeeded,
}

/// Cheap to clone: clones share the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    clock: Arc<dyn Clock>,
    request_timeout: Duration,
}

impl Connection {
    pub(crate) async fn open(
        options: &EtcdOptions,
        endpoint: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let failed = |text: String| Fault::Unreachable(format!("{endpoint}: {text}"));
        let target = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|error| failed(with_causes(&error)))?
            .http2_keep_alive_interval(options.ping_interval)
            .keep_alive_timeout(options.ping_interval);
        let tls = options.tls.clone();
        let connector = tower::service_fn(move |uri: Uri| connect(uri, tls.clone()));
        let opening = target.connect_with_connector(connector);
        match with_timeout(&*clock, options.connect_timeout, opening).await {
            Some(Ok(channel)) => Ok(Self {
                channel,
                request_timeout: options.request_timeout,
                clock,
            }),
            Some(Err(error)) => Err(failed(with_causes(&error))),
            None => Err(failed(format!(
                "no answer in {:?}",
                options.connect_timeout
            ))),
        }
    }

    /// Sends a request and waits for its answer. If the caller stops waiting, the request may still
    /// be carried out.
    pub(crate) async fn call<Q, A>(
        &self,
        path: &'static str,
        request: Q,
        leader: Leader,
    ) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let codec = ProstCodec::<Q, A>::default();
        let exchange = async {
            let ready = grpc.ready().await;
            ready.map_err(|error| Fault::Unreachable(with_causes(&error)))?;
            let path = PathAndQuery::from_static(path);
            let answer = grpc
                .unary(with_leader(request, leader), path, codec)
                .await?;
            Ok(answer.into_inner())
        };
        let answer = with_timeout(&*self.clock, self.request_timeout, exchange).await;
        answer.unwrap_or_else(|| Err(self.no_answer()))
    }

    /// Sends a stream of requests and returns the stream of answers.
    pub(crate) async fn stream<Q, A>(
        &self,
        path: &'static str,
        requests: impl Stream<Item = Q> + Send + 'static,
        leader: Leader,
    ) -> Result<Streaming<A>, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let codec = ProstCodec::<Q, A>::default();
        let opening = async {
            let ready = grpc.ready().await;
            ready.map_err(|error| Fault::Unreachable(with_causes(&error)))?;
            let path = PathAndQuery::from_static(path);
            let request = with_leader(requests, leader);
            Ok(grpc.streaming(request, path, codec).await?.into_inner())
        };
        let opened = with_timeout(&*self.clock, self.request_timeout, opening).await;
        opened.unwrap_or_else(|| Err(self.no_answer()))
    }

    /// The next message of a stream that must not be silent for longer than a request may be.
    pub(crate) async fn next<A>(&self, answers: &mut Streaming<A>) -> Result<A, Fault> {
        match with_timeout(&*self.clock, self.request_timeout, answers.message()).await {
            Some(Ok(Some(answer))) => Ok(answer),
            Some(Ok(None)) => Err(Fault::doubtful("etcd ended the stream")),
            Some(Err(status)) => Err(status.into()),
            None => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> Fault {
        Fault::doubtful(format!("etcd: no answer in {:?}", self.request_timeout))
    }
}

/// etcd refuses a request with this mark at once while the member has no leader, and ends streams
/// that have it.
fn with_leader<T>(message: T, leader: Leader) -> Request<T> {
    let mut request = Request::new(message);
    if leader == Leader::Required {
        let metadata = request.metadata_mut();
        metadata.insert("hasleader", MetadataValue::from_static("true"));
    }
    request
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

async fn connect(
    uri: Uri,
    tls: Option<Arc<ClientConfig>>,
) -> std::io::Result<TokioIo<Box<dyn Bytes>>> {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(2379);
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(TokioIo::new(Box::new(stream)));
    };
    let mut config = ClientConfig::clone(&tls);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok(TokioIo::new(Box::new(stream)))
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
