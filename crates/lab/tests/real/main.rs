//! What the lab does, and what kernels do in it. Each test needs built parts, so all are left out
//! of `cargo test`; `./x lab test` runs them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at this machine, run the command line, and fail where something is not so"
)]

mod faults;
mod guests;
mod network;
mod nodes;
mod product;
mod scopes;
mod storage;
