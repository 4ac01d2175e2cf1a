//! `POST /ostler/cluster/snapshot-jobs`

use model::Error;
use node::Settings;
use node::snapshot_jobs::{SCHEDULE_OF, SnapshotJob, snapshot_job_key};
use proto::wire::Answer;

use super::{Named, check_choice, check_names, check_when};
use crate::ops::{Op, change_options};

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let mut settings = Settings::default();
    change_options(&op.params, &["id"], &mut settings);
    let now = op.context.clock.wall();
    settings.options.insert(SCHEDULE_OF.to_owned(), now.into());
    let job = SnapshotJob { id, settings };
    check_when(&job)?;
    check_choice(&job)?;
    check_names(&op, &job)?;
    let exists = || Error::invalid("id", format!("Job '{}' already exists", job.id));
    let key = snapshot_job_key(&job.id)?;
    let added = op.records.add_settings(&key, job.settings.clone()).await?;
    Ok(Answer::null().at(added.ok_or_else(exists)?.0))
}
