//! Moving the state from one store to another while its users go on.
//!
//! ```text
//!   seal the source ─ copy ─ verify ─ a name in a file changes ┃ SwitchStore::replace
//!                                                     point of no return
//!   users ──► SwitchStore ──► Rebased { store, base } ──► the new store
//! ```
//!
//! A machine that becomes a cluster moves from SQLite to etcd, and back when it leaves. The source
//! is sealed (`SqliteStore::seal`), so that nothing is acknowledged that the copy lacks.

mod copy;
mod rebased;
mod switch;

pub use copy::{ConversionError, Summary, copy, summary};
pub use rebased::Rebased;
pub use switch::SwitchStore;
