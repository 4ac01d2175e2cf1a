//! The guest agent: `1,fstrim_cloned_disks=1`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

pub(super) const AGENT: &[Field] = &[
    Field::boolean("enabled").default("0").default_key(),
    Field::boolean("freeze-fs").optional().default("1"),
    Field::alias("freeze-fs-on-backup", "freeze-fs"),
    Field::boolean("fstrim_cloned_disks")
        .optional()
        .default("0"),
    Field::alias("guest-fsfreeze", "freeze-fs"),
    Field::string("type")
        .optional()
        .one_of(&["virtio", "isa"])
        .default("virtio"),
];

/// The type of the agent's serial port in the guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentPort {
    #[default]
    Virtio,
    Isa,
}

/// The option `agent`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agent {
    pub enabled: bool,
    /// Whether file systems are frozen for backups and snapshots; true by default.
    pub freeze: Option<bool>,
    pub trim_cloned_disks: Option<bool>,
    pub port: Option<AgentPort>,
}

impl Agent {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(AGENT, text)?;
        Ok(Self {
            enabled: keys.flag("enabled").unwrap_or(false),
            freeze: keys.flag("freeze-fs"),
            trim_cloned_disks: keys.flag("fstrim_cloned_disks"),
            port: keys.text("type").map(|port| match port {
                "isa" => AgentPort::Isa,
                _ => AgentPort::Virtio,
            }),
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        keys.set(AGENT, "enabled", self.enabled);
        if let Some(freeze) = self.freeze {
            keys.set(AGENT, "freeze-fs", freeze);
        }
        if let Some(trim) = self.trim_cloned_disks {
            keys.set(AGENT, "fstrim_cloned_disks", trim);
        }
        if let Some(port) = self.port {
            let name = if port == AgentPort::Isa {
                "isa"
            } else {
                "virtio"
            };
            keys.set(AGENT, "type", name);
        }
        print_properties(AGENT, &keys)
    }
}
