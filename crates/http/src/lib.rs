//! The public wire: the only crate that knows what a client of Proxmox VE sees.
//!
//! ```text
//!   8006 ─► front: a place, or none
//!           server: TLS, or a redirect ─► service ─┬─ /            pages
//!                                                  └─ /api2/<format>/<path>
//!        upload   → a file that the agent opened
//!        request  → method, format, path, parameters, credential
//!        dispatch → index (lists, constants) | agent (proto::wire)
//!        envelope → status line with reason, headers, body
//! ```
//!
//! **Invariants.** Nothing here has a secret but the TLS key, and nothing here changes the
//! host: what must be verified or done, the agent verifies and does. `model::ErrorKind` becomes
//! a status here and nowhere else.

mod answer_body;
mod body;
mod changes;
mod conditional;
mod console;
mod credential;
mod dispatch;
mod envelope;
mod front;
mod gzip;
pub mod index;
mod linger;
mod multipart;
mod pages;
mod panics;
mod redirect;
mod request;
mod server;
mod service;
mod sessions;
mod tls;
mod upload;
mod websocket;

pub use index::Index;
pub use server::{Listener, ServerOptions, serve};
pub use service::Api;
pub use tls::{Served, TlsError, tls_acceptor};
