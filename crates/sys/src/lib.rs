//! Every change to the host: files, processes, scopes, network links.
//!
//! ```text
//!   storage · network · guest tasks · task engine
//!              │  dyn Host = Files + Processes + Scopes + Links
//!      ┌───────┴────────┐
//!   RealHost         testkit::FakeHost     counts every call, fails or stops at any of them
//!   cgroup v1 …
//! ```
//!
//! **Invariants.** All other crates change the host only through this one. Unsafe code lives here
//! only (and in the one file of `auth` that calls PAM). A process that must outlive us is started
//! in a scope, and the scope shows whether it runs.

mod cell;
mod clock;
mod command;
mod error;
mod files;
mod host;
mod line;
mod links;
mod mounts;
mod processes;
mod real;
mod scopes;
mod terminal;
mod upload_file;

pub use cell::{Cell, CellMount, CellSource};
pub use clock::SystemClock;
pub use command::{Command, Fence, Fenced, Output, Stdio};
pub use error::SysError;
pub use files::{DeviceNumber, FileEntry, FileKind, Files, Measured, SpaceUsage};
pub use host::{Host, SharedHost};
pub use line::LentLine;
pub use links::{Link, LinkKind, Links, TapOptions};
pub use mounts::{Mount, Mounts};
pub use processes::{PassDescriptor, ProcessId, Processes, Stream};
pub use real::{RealHost, drop_privileges, lookup_user, peer_uid};
pub use scopes::{Limits, ScopeName, Scopes, Usage};
pub use terminal::Terminal;
pub use upload_file::UploadFile;
