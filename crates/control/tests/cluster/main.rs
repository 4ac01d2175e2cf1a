//! Several agents with one store: requests that another node answers, and peers that are refused.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that cannot go on ends; not every test uses all of the bench"
)]

#[path = "../access/bench.rs"]
mod bench;
mod forwarding;
mod migration;
mod net;
mod peers;
#[path = "../access/samples.rs"]
mod samples;
mod silence;
mod status;
