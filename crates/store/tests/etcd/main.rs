//! The conformance suite on the etcd store, and what a cluster of etcd can do to it.
#![allow(clippy::disallowed_methods, reason = "a test starts etcd")]
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

mod cluster;
mod faults;
mod minority;
mod one_member;
mod proxy;
mod server;
mod suite;
mod tls;
