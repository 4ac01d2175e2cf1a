//! `PUT /ostler/admission`

use model::Error;
use node::cluster_admission_key;
use proto::wire::Answer;

use super::update;
use crate::ops::Op;

pub(super) async fn admission_update(op: Op) -> Result<Answer, Error> {
    update(&op, &cluster_admission_key()).await
}
