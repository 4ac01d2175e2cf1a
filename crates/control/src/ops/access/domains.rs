//! Code that the operations on realms share.

use model::RealmId;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) realm: RealmId,
}
