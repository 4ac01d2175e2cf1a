//! `/nodes/{node}/capabilities/qemu`

use model::{Error, NodeName};
use node::qemu::programs::QEMU;

use crate::ops::Op;

/// The output of a QEMU query; none if QEMU is not installed.
pub(in crate::ops) async fn ask(op: &Op, node: &NodeName, args: &[&str]) -> Result<String, Error> {
    let answer = op.context.node.programs.ask(QEMU, args).await?;
    answer.ok_or_else(|| Error::unavailable(format!("{QEMU} is not installed on '{node}'")))
}
