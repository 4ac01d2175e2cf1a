//! The task engine: long work that survives the process that runs it.
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
//! **Invariants.** The name of everything that a step creates is in the journal before it is
//! created. A task that was acknowledged ends, or is visibly `stuck`; it is never lost. The queue
//! for an object is bounded in length and in time. Work that must go on when the disk is full has
//! reserved space. Only the engine writes below its directory.

mod archive;
mod context;
mod engine;
mod journal;
mod queue;
mod quiesce;
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
pub use quiesce::Quiet;
pub use registry::Registry;
pub use run::INTERRUPTED;
pub use task::{FollowUp, Probe, Step, Steps, Task};
