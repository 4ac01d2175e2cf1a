//! `POST /ostler/nodes/{node}/tiers/apply`: says what would change, unless `dry-run` is 0.

use model::Error;
use node::tasks::TierApply;
use proto::wire::Answer;
use serde::Deserialize;

use super::{Wanted, shown_volumes};
use crate::ops::Op;

#[derive(Deserialize)]
struct Apply {
    #[serde(rename = "dry-run")]
    dry_run: Option<bool>,
}

pub(super) async fn apply(op: Op) -> Result<Answer, Error> {
    let selected = op.params::<Wanted>()?.selected();
    let Apply { dry_run } = op.params()?;
    let found = selected.find(&op.context.node).await?;
    let mut shown = shown_volumes(&found, |volume| !volume.differences.is_empty());
    if dry_run == Some(false) {
        let id = selected.storage.as_ref().map(ToString::to_string);
        let task = TierApply::new(selected);
        let submitted = op.context.submit(&op, id.unwrap_or_default(), task).await?;
        shown["upid"] = submitted.data;
    }
    Ok(Answer::new(shown))
}
