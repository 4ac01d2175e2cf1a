//! What operations have at hand.

use std::sync::Arc;

use auth::Authority;
use model::{Clock, NodeName};
use store::SharedStore;

/// Handed to every operation. Cheap to clone through its `Arc`.
pub struct Context {
    pub node: NodeName,
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    /// Verifies credentials, signs tickets, evaluates rights.
    pub authority: Arc<Authority>,
}
