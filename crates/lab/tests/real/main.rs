//! Tests of the lab, and of kernels in it. Each needs built parts, so `cargo test` leaves all of
//! them out; `./x lab test` runs them.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests look at this machine, run the command line, and fail where something is not so"
)]

mod adopt;
mod cluster;
mod disks;
mod exports;
mod faults;
mod guests;
mod lvmthin;
mod moves;
mod nas;
mod network;
mod nodes;
mod passthrough;
mod pools;
mod ports;
mod power;
mod product;
mod scopes;
mod storage;
mod types;
mod volumes;
mod whole;
