//! `GET /cluster/config/join`

use model::{Error, ErrorKind};
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn join(_: Op) -> Result<Answer, Error> {
    let text = "node is not in a cluster, no join info available!";
    Err(Error::new(ErrorKind::Unmet, text))
}
