//! `POST /ostler/cluster/profiles`

use model::Error;
use node::Settings;
use node::profiles::{Profile, profile_key};
use proto::wire::Answer;

use super::{Named, check};
use crate::ops::{Op, change_options};

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Named { profile: id } = op.params()?;
    let mut settings = Settings::default();
    change_options(&op.params, &["profile"], &mut settings);
    let profile = Profile { id, settings };
    check(&op, &profile).await?;
    let key = profile_key(&profile.id)?;
    let added = op.records.add_settings(&key, profile.settings).await?;
    let exists = || {
        Error::invalid(
            "profile",
            format!("profile '{}' already exists", profile.id),
        )
    };
    Ok(Answer::null().at(added.ok_or_else(exists)?.0))
}
