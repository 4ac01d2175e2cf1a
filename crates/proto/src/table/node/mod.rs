//! `/nodes/{node}`

pub(super) mod all;
pub(super) mod capabilities;
pub(super) mod config;
pub(super) mod journal;
pub(super) mod list;
pub(super) mod status;
pub(super) mod storage;
pub(super) mod tasks;
