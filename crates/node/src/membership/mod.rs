//! Who belongs to the cluster, and who votes in it.
//!
//! ```text
//!   node b                                       a member
//!   task cluster_join ── apply ── HTTPS ───────► invite: a token, for root's password
//!                                                admit: takes the token, signs b's keys, writes joining/b
//!     seal, store.json (point of no return), restart
//!   announce ══ etcd ══════════════════════════► joining/b becomes member/b, in one commit
//!   follow_votes ── task cluster_vote ─────────► a learner of etcd, then a voter
//!   follow_certificates ═══════════════════════► the new ones in member/b, then in use
//! ```
//!
//! **Invariants.** A node is a member from the commit in which it says itself that it is there. One
//! that was admitted and never came has no part in anything, and its name can be admitted again. A
//! removed member has no certificate that counts, no session in etcd and no vote before its removal
//! is answered.

mod admission;
mod announce;
mod applicant;
mod application;
mod handover;
mod invitation;
mod removal;
mod renewal;
mod roster;
mod start;
mod upkeep;
mod votes;
mod witness;

pub use admission::{MAX_MEMBERS, admit};
pub(crate) use announce::change_own_record;
pub use announce::{announce, own_link};
pub use applicant::fingerprint_of;
pub(crate) use applicant::{apply, apply_as_witness, keep, make_keys};
pub(crate) use application::VERSION;
pub use application::{Admission, Application, Contact, WitnessAdmission, WitnessApplication};
pub use handover::Handover;
pub use invitation::invite;
pub use removal::remove;
pub use renewal::{follow_certificates, renew_certificates};
pub use roster::{Roster, change};
pub use start::finish;
pub(crate) use start::remove_served;
pub(crate) use upkeep::endpoints;
pub use upkeep::{follow_generation, follow_members};
pub(crate) use votes::{Turn, witness_turn};
pub use votes::{follow_votes, wanted_votes};
pub use witness::{admit_witness, follow_witness, remove_witness, witness_answers};
