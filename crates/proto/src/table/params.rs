//! Parameters that many operations share.

use model::schema::{Field, format};

pub(super) const NODE: Field = Field::string("node").format(format::NODE);
pub(super) const VMID: Field = Field::integer("vmid")
    .format(format::VMID)
    .range(100.0, 999_999_999.0);
pub(super) const STORAGE: Field = Field::string("storage").format(format::STORAGE_ID);
/// For `root@pam` only; the operation checks that.
pub(super) const SKIPLOCK: Field = Field::boolean("skiplock").optional();
