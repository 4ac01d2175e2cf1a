//! Devices of a guest that each node looks up in a mapping.

use std::collections::BTreeMap;

use model::{Error, MappingKind, NodeName};

use crate::NodeContext;
use crate::mappings::entries;

/// Options whose devices are found by a mapping, with its name.
pub(crate) type Mapped = BTreeMap<String, String>;

/// The refusal of a guest that runs: its devices cannot be taken along.
pub(crate) fn while_it_runs(mapped: &Mapped) -> String {
    let options: Vec<&str> = mapped.keys().map(String::as_str).collect();
    let text = "can't live migrate running VM which uses following mapped devices";
    format!("{text}: {}", options.join(", "))
}

impl NodeContext {
    /// The options whose mappings have nothing on a node.
    pub(crate) async fn missing_mapped(
        &self,
        mapped: &Mapped,
        target: &NodeName,
    ) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for (option, id) in mapped {
            let kind = match option.trim_end_matches(|c: char| c.is_ascii_digit()) {
                "usb" => MappingKind::Usb,
                "virtiofs" => MappingKind::Dir,
                _ => MappingKind::Pci,
            };
            let mapping = self.records.mapping(kind, id).await?.unwrap_or_default();
            if entries(kind, &mapping, target).is_empty() {
                missing.push(option.clone());
            }
        }
        Ok(missing)
    }

    /// Why a guest's mapped devices keep it from a node.
    pub(crate) async fn mapped_blockers(
        &self,
        mapped: &Mapped,
        target: &NodeName,
        is_running: bool,
    ) -> Result<Vec<String>, Error> {
        if is_running && !mapped.is_empty() {
            return Ok(vec![while_it_runs(mapped)]);
        }
        let missing = self.missing_mapped(mapped, target).await?;
        let text = format!("can't migrate to '{target}': missing mapped devices");
        Ok(match missing.is_empty() {
            true => Vec::new(),
            false => vec![format!("{text} {}", missing.join(", "))],
        })
    }
}
