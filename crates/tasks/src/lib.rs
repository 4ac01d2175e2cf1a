//! The job engine: long work that survives the process which does it.
//!
//! ```text
//!   submit ─► journal "accepted" (durable) ─► UPID
//!                 │
//!                 ▼            for each step
//!            wait for the object's turn ─► plan ─► journal ─► act ─► journal ─► … ─► ended
//!                                            │ act fails, or the process dies
//!                                            ▼
//!             before the point of no return: undo every planned step, last first
//!             after it: probe, act again until it is done
//! ```
//!
//! It knows nothing of guests: a task is a type with steps (`Task`, `Step`), and what the steps
//! work on is the task's `Node`.
//!
//! **Invariants.** What a step is going to make has its name in the journal before it is made.
//! A task that was acknowledged ends, or is visibly `stuck`; it is never forgotten. The line for an
//! object is bounded in length and in time. What a full disk must not hold up has space of its own.
//! Only the engine writes below its directory.

mod archive;
mod context;
mod engine;
mod journal;
mod queue;
mod recover;
mod registry;
mod reserve;
mod run;
mod task;
mod writer;

pub use archive::{TaskFilter, TaskState, TaskSummary};
pub use context::TaskContext;
pub use engine::{Engine, EngineOptions, Submission};
pub use queue::{Hold, Turn};
pub use registry::Registry;
pub use task::{FollowUp, Probe, Step, Steps, Task};
