//! `/cluster/mapping`: the same operations for each kind.

mod create;
mod delete;
mod get;
mod list;
mod update;

use model::schema::{Values, parse_properties};
use model::{Error, ErrorKind, MappingKind, Privilege};
use node::Settings;
use node::mappings::{MappingFault, check_entry};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Context;
use crate::ops::{Pair, pair};

/// With one of these a caller sees a mapping, or a processor model of the cluster's own.
pub(super) const SEES: [Privilege; 3] = [
    Privilege::MappingAudit,
    Privilege::MappingUse,
    Privilege::MappingModify,
];

/// A kind of mappings as a type, so that each row has a function of its own.
trait Kind: Send + 'static {
    const KIND: MappingKind;
}

struct Dir;
struct Pci;
struct Usb;

impl Kind for Dir {
    const KIND: MappingKind = MappingKind::Dir;
}

impl Kind for Pci {
    const KIND: MappingKind = MappingKind::Pci;
}

impl Kind for Usb {
    const KIND: MappingKind = MappingKind::Usb;
}

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("mapping_dir_create", create::create::<Dir>),
    pair!("mapping_dir_delete", delete::delete::<Dir>),
    pair!("mapping_dir_get", get::get::<Dir>),
    pair!("mapping_dir_list", list::list::<Dir>),
    pair!("mapping_dir_update", update::update::<Dir>),
    pair!("mapping_pci_create", create::create::<Pci>),
    pair!("mapping_pci_delete", delete::delete::<Pci>),
    pair!("mapping_pci_get", get::get::<Pci>),
    pair!("mapping_pci_list", list::list::<Pci>),
    pair!("mapping_pci_update", update::update::<Pci>),
    pair!("mapping_usb_create", create::create::<Usb>),
    pair!("mapping_usb_delete", delete::delete::<Usb>),
    pair!("mapping_usb_get", get::get::<Usb>),
    pair!("mapping_usb_list", list::list::<Usb>),
    pair!("mapping_usb_update", update::update::<Usb>),
];

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// A mapping as an answer shows it, without its id.
fn shown(kind: MappingKind, mapping: &Settings) -> Map<String, Value> {
    let mut shown: Map<String, Value> = mapping.options.clone().into_iter().collect();
    shown.insert("type".to_owned(), kind.as_str().into());
    shown.insert("digest".to_owned(), mapping.digest().into());
    shown
}

/// Errors of a change begin with the attempted action, except for invalid parameters.
fn during(attempt: &str, kind: MappingKind) -> impl Fn(Error) -> Error {
    let what = match kind {
        MappingKind::Dir => "directory",
        MappingKind::Pci | MappingKind::Usb => "hardware",
    };
    let attempt = format!("{attempt} {what} mapping failed");
    move |mut error| {
        if error.kind != ErrorKind::Invalid {
            error.message = format!("{attempt}: {}", error.message);
        }
        error
    }
}

/// Refuses folders that are not on this node, and two on one node. A device may be plugged in later.
async fn check_folders(context: &Context, kind: MappingKind, params: &Values) -> Result<(), Error> {
    let map = params.get("map").and_then(Value::as_array);
    let (Some(map), MappingKind::Dir) = (map, kind) else {
        return Ok(());
    };
    let mut nodes: Vec<String> = Vec::new();
    for text in map.iter().filter_map(Value::as_str) {
        let entry = parse_properties(kind.fields(), text)
            .map_err(|error| Error::invalid("map", error.reason("map")))?;
        let node = entry.text("node").unwrap_or_default();
        if node == context.node.name.as_str() {
            let named = ("", &Settings::default());
            let checked = check_entry(&context.node.host, kind, named, &entry).await;
            checked.map_err(Error::conflict)?;
        }
        nodes.push(node.to_owned());
    }
    for node in &nodes {
        let times = nodes.iter().filter(|other| *other == node).count();
        if times > 1 {
            let text = format!("Node '{node}' is specified {times} times.");
            return Err(Error::conflict(text));
        }
    }
    Ok(())
}

/// A fault as an answer shows it: severity and message.
fn told(fault: &MappingFault) -> (&'static str, String) {
    match fault {
        MappingFault::Missing(node) => ("warning", format!("No mapping for node {node}.")),
        // Clients see the line break.
        MappingFault::Invalid(why) => ("error", format!("Invalid configuration: {why}\n")),
    }
}
