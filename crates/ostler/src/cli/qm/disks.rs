//! `qm disk import`: an image becomes a disk of a machine.
//!
//! The API imports into a drive slot of the machine (`import-from`). If none is given, the image is
//! imported into a free slot and detached again, which leaves the disk unused.

use anyhow::{Context, Result, bail};
use model::schema::{Field, Values, format};
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::commands::wait;
use super::super::failure::usage;
use super::super::format::{Style, plain_text};
use super::super::output;
use super::{CONFIG, VMID};

const UNLINK: &str = "/nodes/{node}/qemu/{vmid}/unlink";

/// The last slots of SATA and of SCSI.
const SATA_LAST: u8 = 5;
const SCSI_LAST: u8 = 30;

pub(super) const IMPORT: &[Field] = &[
    VMID,
    Field::string("source").min_length(1),
    Field::string("storage").format(format::STORAGE_ID),
    Field::string("format")
        .optional()
        .one_of(&["raw", "qcow2", "vmdk"]),
    Field::string("target-disk").optional(),
];

pub(super) async fn import(agent: Agent, given: Values, style: Style) -> Result<()> {
    let vmid = given["vmid"].clone();
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let source = text("source").unwrap_or_default();
    if source.contains(',') {
        return Err(usage("the name of an image must not contain a comma"));
    }
    let config = config(&agent, &vmid).await?;
    let target = text("target-disk");
    let place = match target {
        Some(target) if config.get(target).is_some() => {
            bail!("VM {} has a {target} already", plain_text(&vmid))
        }
        Some(target) => target.to_owned(),
        None => free_place(&config)
            .with_context(|| format!("VM {} has no free slot for the import", plain_text(&vmid)))?,
    };
    let mut drive = format!(
        "{}:0,import-from={source}",
        text("storage").unwrap_or_default()
    );
    if let Some(format) = text("format") {
        drive.push_str(&format!(",format={format}"));
    }
    let mut change = values([("vmid", vmid.clone()), ("digest", config["digest"].clone())]);
    change.insert(place.clone(), drive.into());
    let task = agent.at(Verb::Post, CONFIG, change).await?.data;
    wait(&agent, &task, &style).await?;
    match target {
        Some(_) => tell(&agent, &vmid, |name, _| name == place).await,
        None => detach(&agent, &vmid, &place, &config).await,
    }
}

async fn config(agent: &Agent, vmid: &Value) -> Result<Value> {
    let params = values([("vmid", vmid.clone())]);
    Ok(agent.at(Verb::Get, CONFIG, params).await?.data)
}

/// A free slot for the import. SATA is preferred, which is not hot-plugged, so a running machine
/// never sees the disk.
fn free_place(config: &Value) -> Option<String> {
    let sata = (0..=SATA_LAST).rev().map(|n| format!("sata{n}"));
    let mut places = sata.chain((0..=SCSI_LAST).rev().map(|n| format!("scsi{n}")));
    places.find(|place| config.get(place).is_none())
}

/// Detaches a disk; it is the unused one that was not there `before`.
async fn detach(agent: &Agent, vmid: &Value, place: &str, before: &Value) -> Result<()> {
    let params = values([("vmid", vmid.clone()), ("idlist", place.into())]);
    agent.at(Verb::Put, UNLINK, params).await?;
    tell(agent, vmid, |name, volume| {
        name.starts_with("unused") && before.get(name) != Some(volume)
    })
    .await
}

async fn tell(agent: &Agent, vmid: &Value, is_it: impl Fn(&str, &Value) -> bool) -> Result<()> {
    let config = config(agent, vmid).await?;
    let mut options = config.as_object().into_iter().flatten();
    let (name, volume) = options
        .find(|(name, volume)| is_it(name, volume))
        .context("the imported disk is not among the machine's disks")?;
    let volume = plain_text(volume);
    let volume = volume.split(',').next().unwrap_or_default();
    output::line(&format!("{name}: successfully imported disk '{volume}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_passes_the_last_free_place() {
        assert_eq!(free_place(&json!({})).unwrap(), "sata5");
        assert_eq!(free_place(&json!({"sata5": "x"})).unwrap(), "sata4");
        let mut full = serde_json::Map::new();
        full.extend((0..=SATA_LAST).map(|n| (format!("sata{n}"), json!("x"))));
        assert_eq!(free_place(&Value::Object(full.clone())).unwrap(), "scsi30");
        full.extend((0..=SCSI_LAST).map(|n| (format!("scsi{n}"), json!("x"))));
        assert!(free_place(&Value::Object(full)).is_none());
    }
}
