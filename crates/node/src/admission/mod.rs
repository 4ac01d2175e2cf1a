//! Whether this node has room for one more guest (docs/admission.md).

mod policy;
mod rooms;

pub use policy::{AdmissionMode, Policies, cluster_admission_key, node_admission_key};
pub use rooms::Rooms;
