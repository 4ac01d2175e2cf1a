//! `PUT /ostler/cluster/profiles/{profile}`: machines that were made of it stay as they are.

use model::Error;
use model::schema::format::split_list;
use node::Settings;
use node::profiles::{Profile, no_profile, profile_key};
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

const NO_OPTIONS: [&str; 3] = ["profile", "delete", "digest"];

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Named { profile: id } = op.params()?;
    let Update { delete, digest } = op.params()?;
    let deleted = delete.as_deref().unwrap_or_default();
    let known: Vec<&str> = split_list(deleted).filter(|name| is_option(name)).collect();
    check_deleted(split_list(deleted), &[], &known, &op.params)?;
    // What the whole will be is checked as it is now; the change is held against the digest of that.
    let mut after = op.records.profile(&id).await?;
    check_digest(&after.settings, digest.as_deref())?;
    let before = after.settings.digest();
    change_options(&op.params, &NO_OPTIONS, &mut after.settings);
    check(&op, &after).await?;
    let Profile { id, settings } = after;
    let change = |now: &mut Settings| {
        check_digest(now, Some(&before))?;
        *now = settings.clone();
        Ok(())
    };
    let key = profile_key(&id)?;
    let revision = op
        .records
        .update_settings(&key, || no_profile(&id), change)
        .await?;
    Ok(Answer::null().at(revision.0))
}
