//! `GET /ostler/deployment`

use model::Error;
use node::deployment::deployment_key;
use proto::wire::Answer;

use crate::ops::Op;
use crate::ops::settings::show_settings;

pub(super) async fn deployment(op: Op) -> Result<Answer, Error> {
    show_settings(&op, &deployment_key()).await
}
