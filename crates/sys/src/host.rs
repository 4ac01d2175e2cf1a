//! The host as one thing.

use std::sync::Arc;

use crate::{Files, Links, Processes, Scopes};

/// All that can be done to a host. Implemented for whatever implements its parts.
pub trait Host: Files + Processes + Scopes + Links {}

impl<T: Files + Processes + Scopes + Links> Host for T {}

pub type SharedHost = Arc<dyn Host>;
