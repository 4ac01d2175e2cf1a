//! `GET /ostler/admission`

use model::Error;
use node::cluster_admission_key;
use proto::wire::Answer;

use crate::ops::Op;
use crate::ops::settings::show_settings;

pub(super) async fn admission(op: Op) -> Result<Answer, Error> {
    show_settings(&op, &cluster_admission_key()).await
}
