//! `GET /ostler/isolation`

use model::Error;
use node::isolation::isolation_key;
use proto::wire::Answer;

use crate::ops::Op;
use crate::ops::settings::show_settings;

pub(super) async fn isolation(op: Op) -> Result<Answer, Error> {
    show_settings(&op, &isolation_key()).await
}
