//! `GET /nodes/{node}/storage/{storage}/import-metadata`

use guest::ovf::Appliance;
use model::{Error, VolumeId};
use proto::wire::Answer;
use serde_json::{Map, Value, json};
use storage::ContentType;

use super::storage_volumes::{Named, read_name};
use crate::ops::Op;
use crate::ops::volume_access::check_access;

/// What a machine from elsewhere is made of, as parameters of the creation of a VM.
pub(super) async fn import_metadata(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = read_name(&op, &volume).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    check_access(&view, volume.storage(), named.content, named.owner)?;
    if named.content != ContentType::Import {
        let text = format!("'{volume}' is no source of an import");
        return Err(Error::invalid("volume", text));
    }
    let appliance = op.context.node.appliance(&volume).await?;
    Ok(Answer::new(metadata(
        &volume,
        &appliance,
        named.format == "ova",
    )))
}

fn metadata(volume: &VolumeId, appliance: &Appliance, is_archive: bool) -> Value {
    let warnings = match is_archive {
        true => json!([{"type": "ova-needs-extracting"}]),
        false => json!([]),
    };
    json!({
        "type": "vm",
        "source": volume.name(),
        "create-args": create_args(appliance),
        "disks": disks(volume, appliance, is_archive),
        "net": networks(appliance),
        "warnings": warnings,
    })
}

fn create_args(appliance: &Appliance) -> Map<String, Value> {
    let mut args = Map::new();
    let all = [
        ("name", appliance.name.as_deref().map(Value::from)),
        ("cores", appliance.cores.map(Value::from)),
        ("memory", appliance.memory_mib.map(Value::from)),
        ("ostype", appliance.os.map(Value::from)),
    ];
    for (name, value) in all {
        args.extend(value.map(|value| (name.to_owned(), value)));
    }
    args
}

/// Each disk's file, beside the description or in its archive.
fn disks(volume: &VolumeId, appliance: &Appliance, is_archive: bool) -> Map<String, Value> {
    let beside = volume
        .name()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let folder = if is_archive { volume.name() } else { beside };
    let row = |(place, disk): (&String, &guest::ovf::ApplianceDisk)| {
        let volid = format!("{}:{folder}/{}", volume.storage(), disk.file);
        let mut row = json!({"volid": volid});
        if let Some(bytes) = disk.bytes {
            row["size"] = bytes.into();
        }
        (place.clone(), row)
    };
    appliance.disks.iter().map(row).collect()
}

fn networks(appliance: &Appliance) -> Map<String, Value> {
    let row = |(number, network): (usize, &guest::ovf::ApplianceNetwork)| {
        let mut row = json!({"model": network.model});
        if let Some(mac) = &network.mac {
            row["macaddr"] = mac.as_str().into();
        }
        (format!("net{number}"), row)
    };
    appliance.networks.iter().enumerate().map(row).collect()
}
