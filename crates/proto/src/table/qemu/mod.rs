//! `/nodes/{node}/qemu`

pub(super) mod status;
