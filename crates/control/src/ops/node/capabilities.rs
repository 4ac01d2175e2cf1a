//! `/nodes/{node}/capabilities/qemu`

use model::{Error, NodeName};
use node::qemu::programs::QEMU;

use crate::ops::Op;

/// What QEMU prints for a question, as far as it is there at all.
pub(super) async fn ask(op: &Op, node: &NodeName, args: &[&str]) -> Result<String, Error> {
    let answer = op.context.node.programs.ask(QEMU, args).await?;
    answer.ok_or_else(|| Error::unavailable(format!("{QEMU} is not installed on '{node}'")))
}
