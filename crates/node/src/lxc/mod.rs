//! Containers.

pub(crate) mod cards;
pub(crate) mod devices;
mod edit;
pub(crate) mod files;
pub(crate) mod launch;
pub(crate) mod mounts;
