//! Moving the state from one store to another while its users go on.
//!
//! ```text
//!   seal the source ─ copy ─ verify ─ a name in a file changes ┃ SwitchStore::replace
//!                                                     point of no return
//!   users ──► SwitchStore ──► the present store
//! ```
//!
//! A machine that becomes a cluster moves from SQLite to etcd, and back when it is the only one. The
//! source is sealed (`SqliteStore::seal`), or changes wait (`SwitchStore::hold`), so that nothing is
//! acknowledged that the copy lacks. The new store begins beyond the last revision of the source
//! (`EtcdStore::create`, `SqliteStore::create`), so revisions keep growing: a caller that waits for an old one finds it reached, and a list or a watch that
//! continues from before the move is refused.

mod copy;
mod switch;

pub use copy::{ConversionError, Summary, copy, label, save, summary};
pub use switch::{Hold, SwitchStore};
