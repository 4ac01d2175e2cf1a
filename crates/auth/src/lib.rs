//! Authentication and authorization: realms, credentials, tokens, roles, rights.
//!
//! ```text
//!   Credential ──► Authority::verify ──► Identity ──► Access::check(row.permission, …)
//!                      │ tickets, tokens                    │ pure: users, groups, roles,
//!   password ──► Authority::login                           │ ACL, pools, tokens
//!                      │ pam │ pve │ second factor          │
//!                      ▼                                    ▼
//!               store: secret/…  (agent only)        store: access/…  (api has a copy)
//! ```
//!
//! - `Access` is a snapshot of everything public that decides about rights. Agent and api each
//!   keep one (`Access::load`, `Access::apply`) and ask it without waiting for anything.
//! - `vouch` carries `root@pam` of one node's socket to another node.
//! - `Authority` lives in the agent only. It holds the keys, checks passwords and second
//!   factors, and makes changes (`Authority::change` with a function of `edit`).
//!
//! It is not the public wire: cookies, headers and the delay of refusals are `http`'s.
//!
//! **Invariants.** Nothing under `access/` is secret; everything secret is under `secret/`. No
//! secret is printed, logged or held in a type whose `Debug` shows it. Evaluating a right reads
//! nothing but the snapshot. A one-time code works once, also under simultaneous logins: its use is
//! a commit with a precondition. A record that cannot be read grants nothing.

pub mod acl;
mod authority;
mod crypt;
pub mod edit;
mod error;
pub mod keys;
mod limit;
pub mod pam;
mod password;
pub mod records;
pub mod roles;
mod secret;
pub mod tfa;
mod ticket;
pub mod vouch;

pub use acl::{Access, Allowed, Denied, Holder, View};
pub use authority::{
    Authority, Caller, Login, LoginRequest, PasswordHash, Session, TicketCheck, TokenSecret,
    new_token_secret,
};
pub use crypt::{crypt, is_crypted};
pub use edit::Edit;
pub use error::{AccessError, AuthError};
pub use records::{
    AclEntry, AclNode, Group, Pool, Realm, RealmKind, Role, SubjectKind, Token, User,
};
pub use secret::sha1_hex;
