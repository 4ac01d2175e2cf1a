//! One request, from its head to its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Request, Response};
use model::{Clock, NodeName};
use proto::Router;
use proto::wire::Client;
use tokio::task::JoinSet;

use crate::changes::Streams;
use crate::envelope::{Body, Refusal, cut};
use crate::panics::Panics;
use crate::server::Client as Caller;
use crate::sessions::Sessions;
use crate::{Index, dispatch, gzip, pages};

/// A 401 is delayed by this long, so that guessing takes time. The connection counts as silent
/// meanwhile and can be closed to make room.
const UNAUTHENTICATED_DELAY_S: u64 = 3;

/// How much of a path errors and the log show, in bytes.
const SHOWN: usize = 200;

/// What every request needs.
pub struct Api {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) index: Arc<Index>,
    /// The node that it stands before.
    pub(crate) node: String,
    pub(crate) router: Router,
    pub(crate) sessions: Sessions,
    /// Open websockets; they end with the server.
    sockets: Mutex<JoinSet<()>>,
    pub(crate) streams: Streams,
    panics: Panics,
}

impl Api {
    pub fn new(client: Client, clock: Arc<dyn Clock>, index: Arc<Index>, node: &NodeName) -> Self {
        let sessions = Sessions::new(client.clone(), clock.clone());
        let router = Router::new(proto::table::rows());
        Self {
            client,
            clock,
            index,
            node: node.to_string(),
            router,
            sessions,
            sockets: Mutex::default(),
            streams: Streams::default(),
            panics: Panics::default(),
        }
    }

    /// Lets a websocket run by itself: its connection has ended as far as HTTP is concerned.
    pub(crate) fn spawn_socket(&self, socket: impl Future<Output = ()> + Send + 'static) {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        while sockets.try_join_next().is_some() {}
        sockets.spawn(socket);
    }

    /// Answers a request. Never fails: what went wrong is the answer.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        client: &Caller,
    ) -> Response<Body> {
        let path = cut(request.uri().path(), SHOWN);
        let label = format!("{} {path}", request.method());
        self.panics.caught(&label, self.work(request, client)).await
    }

    async fn work(&self, request: Request<Incoming>, client: &Caller) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let wants_gzip = gzip::is_wanted(&parts.headers);
        let path = parts.uri.path();
        let response = if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            // Proxies and servers that take different ones must not meet here.
            Refusal::text(400, "more than one Host header").into_response()
        } else if path == "/api2" || path.starts_with("/api2/") {
            dispatch::dispatch(self, &parts, body, client).await
        } else {
            pages::page(&parts).unwrap_or_else(|| {
                let text = format!("no such file '{}'", cut(path, SHOWN));
                Refusal {
                    status: 500,
                    body: Some(format!("{text}\n")),
                    reason: text,
                }
                .into_response()
            })
        };
        if response.status() == hyper::StatusCode::UNAUTHORIZED {
            self.clock
                .sleep(Duration::from_secs(UNAUTHENTICATED_DELAY_S))
                .await;
        }
        if wants_gzip {
            gzip::compress(response)
        } else {
            response
        }
    }
}
