//! `/ostler/nodes/{node}/rescan`: records of guests are brought in line with their volumes.

use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::Row;

pub(super) const ROWS: &[Row] = &[Row::post(
    "/ostler/nodes/{node}/rescan",
    "ostler_rescan",
    "Add volumes that no option names to their guests as unused ones, and note the sizes of disks.",
)
.params(&[&[
    NODE,
    // Only show what would change.
    Field::boolean("dryrun").optional().default("0"),
    Field::string("type").optional().one_of(&["qemu", "lxc"]),
    Field::integer("vmid")
        .optional()
        .format(format::VMID)
        .range(100.0, 999_999_999.0),
]])
.returns(Shape::Array(&Shape::Object {
    fields: &[&[
        Field::integer("vmid").optional(),
        Field::string("type").optional(),
        Field::string("option").optional(),
        Field::string("volume").optional(),
        // In bytes; what it was noted as, and what it is.
        Field::integer("noted").optional(),
        Field::integer("size").optional(),
        // A storage that does not answer, or a guest that is being changed.
        Field::string("storage").optional(),
        Field::string("error").optional(),
    ]],
    open: false,
}))
.on_node()];
