//! A put and a watch of etcd with the same gRPC library, and nothing else.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use crate::RECORD_BYTES;

/// Puts at one member and watches at another, or at the same.
pub(crate) struct Putting {
    channel: Channel,
    responses: Streaming<WatchResponse>,
}

impl Putting {
    pub(crate) async fn start(put_at: &str, watch_at: &str) -> Self {
        let at = |endpoint: &str| Endpoint::from_shared(endpoint.to_owned()).unwrap();
        let create = WatchRequest {
            create: Some(WatchCreate {
                key: b"bare".to_vec(),
            }),
        };
        let requests = stream::iter([create]).chain(stream::pending());
        let mut grpc = Grpc::new(at(watch_at).connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let answer = grpc.streaming(Request::new(requests), path, codec).await;
        let mut responses = answer.unwrap().into_inner();
        assert!(responses.message().await.unwrap().unwrap().created);
        Self {
            channel: at(put_at).connect().await.unwrap(),
            responses,
        }
    }

    pub(crate) async fn once(&mut self) -> Duration {
        let put = PutRequest {
            key: b"bare".to_vec(),
            value: vec![b'x'; RECORD_BYTES],
        };
        let begun = Instant::now();
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<PutRequest, Done>::default();
        grpc.unary(Request::new(put), path, codec).await.unwrap();
        self.responses.message().await.unwrap().unwrap();
        begun.elapsed()
    }
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Done {}

#[derive(Clone, PartialEq, Message)]
struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    create: Option<WatchCreate>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchCreate {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchResponse {
    #[prost(bool, tag = "3")]
    created: bool,
}
