//! `GET /nodes/{node}/qemu/{vmid}/cloudinit/dump`

use guest::qemu::VmConfig;
use model::{Error, Privilege};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::config::MASKED;
use crate::ops::Op;

#[derive(Deserialize)]
struct Dump {
    r#type: String,
}

/// The generated file, also if a custom file replaces it.
pub(super) async fn cloudinit_dump(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Dump { r#type: kind } = op.params()?;
    let node = &op.context.node;
    let guest = node.records.local().qemu(vmid).await?.record.data;
    let mut config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    config.cloud_init.custom = Default::default();
    let seed = node.render_seed(vmid, &config).await?;
    // A caller who may set the password may see its hash; one who may only read may not.
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.clock.wall());
    let hides = !view.has(&format!("/vms/{vmid}"), Privilege::VmConfigCloudinit);
    let hides = hides && config.cloud_init.password.is_some();
    if hides {
        config.cloud_init.password = Some(MASKED.to_owned());
    }
    let shown = node.render_seed(vmid, &config).await?;
    let text = match kind.as_str() {
        "user" => shown.user,
        "network" => shown.network,
        // For Windows this contains the password; for other systems only an id.
        _ if config.is_windows() => shown.meta,
        _ => seed.meta,
    };
    Ok(Answer::new(text))
}
