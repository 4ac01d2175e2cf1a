//! Read-only replicas of a store in other processes: the feed, and how a replica takes it.
//!
//! ```text
//!   agent: Store ──► feed() ──► FeedMessage ═ any transport ═► ReplicaFeed ──► Step ──► replica
//! ```
//!
//! It has no transport: the owner of a connection takes messages out of `Feed::next` at one end and
//! puts them into `ReplicaFeed::accept` at the other. A replica may keep any part of an entry.
//!
//! **Invariants.** Excluded keys never leave the serving side: in a replica they do not exist. A
//! replica shows the store at one revision, possibly an old one. Revisions are the store's own, so
//! that a caller can wait for its own writes.

mod feed;
mod replica;

pub use self::feed::{Feed, FeedMessage, feed};
pub use self::replica::{FeedError, ReplicaFeed, Step};
