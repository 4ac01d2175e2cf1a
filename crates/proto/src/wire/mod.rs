//! Frames between processes: call, submit, stream and watch, over a unix socket or another
//! transport that can identify its peer (`Transport`).
//!
//! ```text
//!   length (4 bytes, big endian) · JSON
//!
//!   client → server   {"id": 7, "ask": Ask}
//!   server → client   {"id": 7, "reply": Reply}       in any order; many requests per connection
//! ```
//!
//! `Ask::Stream` and `Ask::Watch` take a connection of their own: the first answers once and sends
//! a descriptor with that frame (SCM_RIGHTS), or carries the descriptor's bytes from then on
//! (`carry`); the second keeps sending frames. `Ask::Cancel` with
//! the id of an earlier request cancels it.
//!
//! **Invariant:** the peer's identity comes from the transport (on a unix socket: from the kernel),
//! never from a frame.

mod carry;
mod client;
mod frame;
mod message;
mod parts;
mod server;
mod transport;

pub use carry::finish;
pub use client::{Client, Feed, Held};
pub use frame::{ANSWER_LIMIT, FRAME_LIMIT, FrameError};
pub use message::{Answer, Ask, Reply, Request};
pub use parts::{PART, PartReader, PartWriter};
pub use server::{Responder, Service, Streamed, panics, serve};
pub use transport::{Connector, Listener, Peer, Transport};
