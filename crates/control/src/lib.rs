//! Operations: what the agent does when it is asked, one file per operation.
//!
//! ```text
//!   proto::wire ──► dispatch: verify · auth::check(row) · validate
//!                      └──► ops::<resource>::<operation>(context, request) ──► Answer
//!                                    ├── reads and small changes: the store
//!                                    └── long work: tasks::submit(node::tasks::…)
//! ```
//!
//! **Invariant:** an operation never runs before its row's permission was evaluated here, in
//! the agent, whatever the caller's process claims to have checked.

mod context;
mod dispatch;
mod lanes;
pub mod ops;

pub use context::Context;
pub use dispatch::Dispatcher;
