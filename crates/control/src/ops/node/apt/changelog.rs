//! `GET /nodes/{node}/apt/changelog`

use model::{Error, NodeName};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Changelog {
    node: NodeName,
    name: String,
    version: Option<String>,
}

pub(super) async fn changelog(op: Op) -> Result<Answer, Error> {
    let wanted: Changelog = op.params()?;
    op.context.check_node(&wanted.node)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
    if let Some(version) = wanted.version.as_ref().filter(|v| !v.chars().all(is_plain)) {
        let text = format!("'{version}' is no version of a package");
        return Err(Error::invalid("version", text));
    }
    let (world, version) = (&op.context.world, wanted.version.as_deref());
    let text = world.changelogs.get(&world.host, &wanted.name, version);
    let text = text.await?;
    Ok(Answer::new(text))
}
