//! `POST /nodes/{node}/qemu/{vmid}/status/reset`

use model::Error;
use node::tasks::QemuReset;
use proto::wire::Answer;

use super::power::tell;
use crate::ops::Op;

pub(super) async fn reset(op: Op) -> Result<Answer, Error> {
    tell(op, QemuReset::new).await
}
