//! `POST /cluster/mapping/{kind}`

use model::Error;
use node::Settings;
use node::mappings::mapping_key;
use proto::wire::Answer;

use super::{Kind, Named, check_folders, during};
use crate::ops::{Op, change_options};

pub(super) async fn create<K: Kind>(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    check_folders(&op.context, K::KIND, &op.params).await?;
    let mut mapping = Settings::default();
    change_options(&op.params, &["id"], &mut mapping);
    let kind = K::KIND.as_str();
    let defined = || Error::conflict(format!("{kind} ID '{id}' already defined"));
    let key = mapping_key(K::KIND, &id)?;
    let added = op.records.add_settings(&key, mapping);
    let added = added
        .await
        .and_then(|revision| revision.ok_or_else(defined));
    let revision = added.map_err(during("create", K::KIND))?;
    Ok(Answer::null().at(revision.0))
}
