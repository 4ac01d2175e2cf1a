//! Guests that move to another node.
//!
//! ```text
//!   source: qemu_migrate or lxc_migrate           target: Arrivals
//!
//!   claim ── guest/100 is busy ──────────┐
//!   prepare ═══ Ask::Prepare ═══════════►│ arrival/100: names what will be made here
//!   copy ══════ Ask::Receive, bytes ════►│ makes it
//!   travel ════ Ask::Launch … Ask::Land ►│ a running guest: in a second QEMU, paused in both
//!   hand-over: one commit, if arrival/100 is as it was: owner, epoch, volumes
//!   finish ════ Ask::Finish ════════════►│ lets it run or starts it, removes arrival/100
//!   clear: removes what is left here     │
//!                                        │ the claim is gone and the guest is not here:
//!                                        └ removes what was made, then arrival/100
//! ```
//!
//! **Invariants.** The owner in the guest's record alone decides where a guest runs, and it changes
//! in one commit. That commit requires the arrival, so a target that has given up gets no guest. What
//! is made at the target is named in the arrival before it is made, and removed by the target itself
//! where the source does not ask for it any more.

mod arrival;
mod arrivals;
mod ask;
mod fit;
mod image;
mod incoming;
mod look;
mod luggage;
mod mapped;
mod outgoing;
mod precheck;
mod proof;
mod receiving;
mod remote;
mod shown;
mod target;
mod tree;

pub(crate) use arrival::HandOver;
pub(crate) use arrivals::Arrivals;
pub use ask::OP;
pub(crate) use ask::{Ask, Live, VERSION, VERSION_OF_VMS, Wanted};
pub(crate) use fit::GuestCpu;
pub(crate) use image::{Sending, send};
pub(crate) use look::Look;
pub(crate) use luggage::{LiveDisks, Luggage};
pub(crate) use outgoing::{Arrived, Journey, come_back, pace};
pub(crate) use precheck::bridges;
pub use precheck::{Fit, LocalDisk, Precheck};
pub(crate) use proof::Proof;
pub(crate) use remote::{Remote, is_out_of_reach};
pub use target::follow_arrivals;
pub(crate) use tree::{pair, send_tree};
