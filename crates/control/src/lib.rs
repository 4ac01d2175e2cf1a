//! Operations: the agent's side of the API, one file per operation.
//!
//! ```text
//!   proto::wire ──► dispatch: verify · auth::check(row) · validate
//!                      └──► ops::<resource>::<operation>(context, request) ──► Answer
//!                                    ├── reads and small changes: the store
//!                                    └── long work: tasks::submit(node::tasks::…)
//! ```
//!
//! **Invariant:** an operation never runs before its row's permission was evaluated here, in the
//! agent. Checks by the caller's process do not count.

mod context;
mod dispatch;
mod forward;
mod graph;
mod lanes;
pub mod ops;
mod quorum;

pub use context::Context;
pub use dispatch::Dispatcher;
