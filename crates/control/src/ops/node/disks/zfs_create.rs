//! `POST /nodes/{node}/disks/zfs`

use model::schema::format::split_list;
use model::{Error, StorageId};
use node::tasks::{DiskZfsCreate, DraidConfig, PoolWanted, RaidLevel};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    name: StorageId,
    devices: String,
    raidlevel: RaidLevel,
    ashift: Option<u64>,
    compression: Option<String>,
    #[serde(rename = "draid-config")]
    draid_config: Option<String>,
    #[serde(default)]
    add_storage: bool,
}

pub(super) async fn zfs_create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let pool = PoolWanted {
        name: wanted.name.clone(),
        devices: split_list(&wanted.devices).map(str::to_owned).collect(),
        level: wanted.raidlevel,
        draid: wanted.draid_config.as_deref().map(draid).transpose()?,
        ashift: wanted.ashift.unwrap_or(12),
        compression: wanted.compression.unwrap_or_else(|| "on".to_owned()),
    };
    let mut task = DiskZfsCreate::new(pool, wanted.add_storage);
    task.check(&op.context.node).await?;
    op.context.submit(&op, wanted.name, task).await
}

/// Reads `data=4,spares=1`, whose form the schema has checked.
fn draid(text: &str) -> Result<DraidConfig, Error> {
    let mut config = DraidConfig::default();
    for (key, number) in text.split(',').filter_map(|pair| pair.split_once('=')) {
        let bad = || Error::invalid("draid-config", format!("{key}: '{number}' is no number"));
        let number = number.parse::<u64>().map_err(|_| bad())?;
        match key {
            "data" => config.data = number,
            _ => config.spares = number,
        }
    }
    Ok(config)
}
