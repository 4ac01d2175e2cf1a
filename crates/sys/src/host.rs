//! The host as one trait.

use std::sync::Arc;

use crate::{Files, Links, Processes, Scopes};

/// All operations on a host. Implemented for every type that implements its parts.
pub trait Host: Files + Processes + Scopes + Links {}

impl<T: Files + Processes + Scopes + Links> Host for T {}

pub type SharedHost = Arc<dyn Host>;
