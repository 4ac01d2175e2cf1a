//! Exchanges recorded from a real Proxmox VE, replayed against nodes of ours.
//!
//! The recordings are not part of the project: `OSTLER_RECORDED` names `recorded.jsonl`, one JSON
//! object a line, with the folder `recorded2/` of series beside it. Status line, content type,
//! error keys and texts, field names and JSON types must agree, or the difference stands in the
//! list of its series with the reason.
//!
//! ```text
//! first.rs      recorded.jsonl: excerpts, in an order that our node can follow
//! series_*.rs   files of recorded2/: in the order in which they were recorded, on one node
//!    │
//!    ▼
//! exchange.rs  one exchange, as it was recorded      replay.rs  sends them to a node
//! compare.rs   what of an answer differs             findings.rs  what differs, and why it may
//! ```

mod compare;
mod exchange;
mod findings;
mod first;
mod replay;
mod series;
mod series_access;
mod series_history;
mod series_lxc;
mod series_mappings;
mod series_options;
mod series_qemu;
mod series_reads;
mod series_storage;
