//! `PUT /ostler/cluster/snapshot-jobs/{id}`

use model::Error;
use model::schema::format::split_list;
use node::Settings;
use node::snapshot_jobs::{SCHEDULE_OF, SnapshotJob, no_snapshot_job, snapshot_job_key};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::{CHOICES, Named, check_choice, check_names, check_when, options};
use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

#[derive(Deserialize)]
struct Update {
    delete: Option<String>,
    digest: Option<String>,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let update: Update = op.params()?;
    let deleted = update.delete.as_deref().unwrap_or_default();
    check_deleted(split_list(deleted), &[], &options(), &op.params)?;
    let change = |settings: &mut Settings| {
        check_digest(settings, update.digest.as_deref())?;
        let before = SnapshotJob {
            id: id.clone(),
            settings: settings.clone(),
        };
        drop_other_choices(&op, settings);
        change_options(&op.params, &["id", "delete", "digest"], settings);
        let after = SnapshotJob {
            id: id.clone(),
            settings: settings.clone(),
        };
        check_when(&after)?;
        check_choice(&after)?;
        check_names(&op, &after)?;
        let when = |job: &SnapshotJob| {
            (
                job.settings.options.get("schedule").cloned(),
                job.is_enabled(),
            )
        };
        if when(&before) != when(&after) {
            // What was due before is settled. No two schedules are of the same time.
            let last = settings.options.get(SCHEDULE_OF).and_then(Value::as_i64);
            let now = op.context.clock.wall().max(last.unwrap_or(0) + 1);
            settings.options.insert(SCHEDULE_OF.to_owned(), now.into());
        }
        Ok(())
    };
    let missing = || no_snapshot_job(&id);
    let key = snapshot_job_key(&id)?;
    let revision = op.records.update_settings(&key, missing, change).await?;
    Ok(Answer::null().at(revision.0))
}

/// A caller who names other guests means these alone, as in Proxmox VE.
fn drop_other_choices(op: &Op, settings: &mut Settings) {
    let is_given = |name: &&&str| op.params.contains_key(**name);
    let Some(given) = CHOICES.iter().find(is_given) else {
        return;
    };
    for name in CHOICES.iter().filter(|name| *name != given) {
        settings.options.remove(*name);
    }
    if *given != "all" {
        settings.options.remove("exclude");
    }
}
