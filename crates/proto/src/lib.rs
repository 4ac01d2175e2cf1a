//! The protocol between api, agents and command line.
//!
//! ```text
//!   table    one row per operation: path, verb, parameters, answer, permission, form
//!   route    method and path → row and path parameters
//!   terminal what a terminal in a browser says
//!   wire     call · submit · stream · watch, as frames over a unix socket
//!
//!   ostler api ──┐ Request{op, params, credential}            ┌─► control::ops
//!   pvesh, qm ───┼──────────── wire::Client ═══ wire::serve ──┤
//!   other agents ┘ Answer{data, …} or model::Error            └─► tasks
//! ```
//!
//! **Invariant:** the table is the single source of routing, validation, permissions, documentation
//! and the generated command line. A row is data; its function lives in `control` (or, for what the
//! api answers from its index, in `http`) and a test pairs them.
//!
//! It is not the public wire: status lines, envelopes and cookies are `http`'s alone.

pub mod alerts;
mod credential;
mod dump;
mod figures;
mod openapi;
mod route;
mod row;
pub mod status;
pub mod table;
pub mod terminal;
mod version;
pub mod wire;

pub use credential::{Credential, Identity, TokenIdentity, Voucher};
pub use dump::dump_table;
pub use figures::GuestFigures;
pub use openapi::openapi;
pub use route::{Match, Router};
pub use row::{Check, Form, Need, Needs, Permission, Row, Target, Verb};
pub use table::{CtRight, ct_option_right, needs_of_ct_option};
pub use table::{OptionRight, needs_of_option, option_right};
pub use version::{API_RELEASE, API_VERSION, REPOSITORY_ID};
