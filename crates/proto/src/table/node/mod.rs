//! `/nodes/{node}`

pub(super) mod list;
pub(super) mod storage;
pub(super) mod tasks;
