//! `GET /nodes/{node}/capabilities/qemu/migration`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn qemu_migration_capabilities(_: Op) -> Result<Answer, Error> {
    // The host's connection tracking state is not migrated yet.
    Ok(Answer::new(json!({"has-dbus-vmstate": 0})))
}
