//! Containers.

pub(crate) mod archive;
pub(crate) mod cards;
mod devices;
pub(crate) mod edit;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod launch;
pub(crate) mod mounts;
