//! `GET /ostler/doctor`

use model::Error;
use node::doctor::{self, Finding};
use proto::wire::Answer;

use super::Op;

/// Other nodes are examined by their own agents.
pub(super) async fn doctor(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let mut findings: Vec<Finding> = Vec::new();
    for row in &op.others {
        // Another version may have found what this one does not know.
        findings.extend(serde_json::from_value(row.clone()).ok());
    }
    findings.extend(doctor::examine(node).await);
    doctor::compare(node, &mut findings);
    let rows = serde_json::to_value(findings);
    let rows = rows.map_err(|error| Error::bug(format!("findings: {error}")))?;
    Ok(Answer::new(rows))
}
