//! `POST /ostler/cluster/tiers`

use model::Error;
use node::Settings;
use node::tiers::{Tier, tier_key};
use proto::wire::Answer;

use super::{Named, check};
use crate::ops::{Op, change_options};

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Named { tier: id } = op.params()?;
    let mut settings = Settings::default();
    change_options(&op.params, &["tier"], &mut settings);
    let tier = Tier { id, settings };
    check(&op, &tier)?;
    let key = tier_key(&tier.id)?;
    let added = op.records.add_settings(&key, tier.settings).await?;
    let exists = || Error::invalid("tier", format!("tier '{}' already exists", tier.id));
    Ok(Answer::null().at(added.ok_or_else(exists)?.0))
}
