//! `PUT /ostler/cluster/tiers/{tier}`

use model::Error;
use model::schema::format::split_list;
use node::Settings;
use node::tiers::{Tier, no_tier, tier_key};
use proto::wire::Answer;
use serde::Deserialize;

use super::{Named, check, is_option};
use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

#[derive(Deserialize)]
struct Update {
    delete: Option<String>,
    digest: Option<String>,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Named { tier: id } = op.params()?;
    let Update { delete, digest } = op.params()?;
    let deleted = delete.as_deref().unwrap_or_default();
    let known: Vec<&str> = split_list(deleted).filter(|name| is_option(name)).collect();
    check_deleted(split_list(deleted), &[], &known, &op.params)?;
    let change = |settings: &mut Settings| {
        check_digest(settings, digest.as_deref())?;
        change_options(&op.params, &["tier", "delete", "digest"], settings);
        let after = Tier {
            id: id.clone(),
            settings: settings.clone(),
        };
        check(&op, &after)
    };
    let key = tier_key(&id)?;
    let revision = op
        .records
        .update_settings(&key, || no_tier(&id), change)
        .await?;
    Ok(Answer::null().at(revision.0))
}
