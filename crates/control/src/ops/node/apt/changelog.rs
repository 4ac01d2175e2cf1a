//! `GET /nodes/{node}/apt/changelog`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Changelog {
    name: String,
    version: Option<String>,
}

pub(super) async fn changelog(op: Op) -> Result<Answer, Error> {
    let wanted: Changelog = op.params()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
    if let Some(version) = wanted.version.as_ref().filter(|v| !v.chars().all(is_plain)) {
        let text = format!("'{version}' is not a valid package version");
        return Err(Error::invalid("version", text));
    }
    let (node, version) = (&op.context.node, wanted.version.as_deref());
    let text = node.changelogs.get(&node.host, &wanted.name, version);
    let text = text.await?;
    Ok(Answer::new(text))
}
