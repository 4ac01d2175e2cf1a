//! `/nodes/{node}`

pub(super) mod tasks;
