//! `PUT /nodes/{node}/time`

use std::path::{Path, PathBuf};

use model::Error;
use node::NodeContext;
use node::host::time_zone::link;
use proto::wire::Answer;
use serde::Deserialize;
use sys::{Command, FileKind};

use crate::ops::Op;

/// The folder with the files of all time zones.
const ZONES: &str = "/usr/share/zoneinfo";

#[derive(Deserialize)]
struct Update {
    timezone: String,
}

pub(super) async fn time_update(op: Op) -> Result<Answer, Error> {
    let Update { timezone } = op.params()?;
    let node = &op.context.node;
    let rules = rules(node, &timezone).await?;
    let link = link(node);
    node.host
        .create_dir(&node.paths.root().join("etc"), 0o755)
        .await?;
    let (rules, link) = (rules.display().to_string(), link.display().to_string());
    node.host
        .run(Command::new("ln").args(["-sfn", &rules, &link]))
        .await?
        .checked("ln")?;
    Ok(Answer::null())
}

/// The file of a time zone, if it exists.
async fn rules(node: &NodeContext, timezone: &str) -> Result<PathBuf, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_plain);
    let path = Path::new(ZONES).join(timezone);
    let entry = match timezone.split('/').all(is_word) {
        true => node.host.stat(&path).await?,
        false => None,
    };
    match entry {
        // Many zones are links to other ones.
        Some(entry) if entry.kind != FileKind::Directory => Ok(path),
        _ => Err(Error::invalid(
            "timezone",
            format!("no such timezone '{timezone}'"),
        )),
    }
}
