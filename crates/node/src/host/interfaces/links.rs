//! The interfaces that the kernel has, as `ip` lists them.

use std::net::IpAddr;

use model::Error;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sys::{Command, LinkKind, SharedHost};

/// An interface that is there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Running {
    #[serde(rename = "ifname")]
    pub(super) name: String,
    altnames: Vec<String>,
    flags: Vec<String>,
    link_type: String,
    /// The bridge or bond that it is a part of.
    master: Option<String>,
    /// The interface below a VLAN.
    link: Option<String>,
    pub(super) mtu: Option<u32>,
    linkinfo: Info,
    addr_info: Vec<Address>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Info {
    /// What software makes of it; none for a card.
    info_kind: Option<String>,
    info_data: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Address {
    family: String,
    local: String,
    prefixlen: u32,
    scope: String,
    dynamic: bool,
}

pub(super) async fn links(host: &SharedHost) -> Result<Vec<Running>, Error> {
    let command = Command::new("ip").args(["-json", "-details", "address", "show"]);
    let printed = match host.run(command).await {
        Ok(output) => output.checked("ip").ok(),
        Err(_) => None,
    };
    match printed {
        Some(printed) => parse(&printed),
        None => plain_links(host).await,
    }
}

pub(super) fn parse(printed: &[u8]) -> Result<Vec<Running>, Error> {
    serde_json::from_slice(printed)
        .map_err(|error| Error::unavailable(format!("ip printed what is no list: {error}")))
}

/// What is known without `ip`: names, kinds and states.
async fn plain_links(host: &SharedHost) -> Result<Vec<Running>, Error> {
    let links = host.links().await?.into_iter();
    Ok(links
        .map(|link| Running {
            link_type: if link.name == "lo" {
                "loopback"
            } else {
                "ether"
            }
            .to_owned(),
            flags: link.up.then(|| "UP".to_owned()).into_iter().collect(),
            master: link.master,
            mtu: Some(link.mtu),
            linkinfo: Info {
                info_kind: match link.kind {
                    LinkKind::Bridge => Some("bridge".to_owned()),
                    LinkKind::Tap => Some("tun".to_owned()),
                    LinkKind::Other => None,
                },
                info_data: Value::Null,
            },
            name: link.name,
            ..Running::default()
        })
        .collect())
}

impl Running {
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let known = self.addr_info.iter();
        known.filter_map(|known| known.local.parse().ok())
    }

    pub(super) fn has_address(&self, address: &str) -> bool {
        self.addr_info.iter().any(|known| known.local == address)
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.altnames.iter().any(|other| other == name)
    }

    fn kind(&self) -> &str {
        self.linkinfo.info_kind.as_deref().unwrap_or_default()
    }

    fn is_card(&self) -> bool {
        self.link_type == "ether" && self.linkinfo.info_kind.is_none()
    }

    /// It is the host's, not a guest's or a test's.
    pub(super) fn is_shown(&self) -> bool {
        self.is_card() || matches!(self.kind(), "bridge" | "bond" | "vlan")
    }

    /// Adds what the kernel knows of an interface that the file configures.
    pub(super) fn add_state(&self, fields: &mut Map<String, Value>) {
        if self.flags.iter().any(|flag| flag == "UP") {
            fields.insert("active".into(), json!(1));
        }
        if self.is_card() {
            fields.insert("exists".into(), json!(1));
            if !self.altnames.is_empty() {
                fields.insert("altnames".into(), json!(self.altnames));
            }
        }
    }

    /// The fields of an interface that the file does not know.
    pub(super) fn fields(&self, all: &[Self]) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("families", json!(["inet"]));
        put("method6", "manual".into());
        put("method", "manual".into());
        let parts = || {
            let parts = all
                .iter()
                .filter(|link| link.master.as_ref() == Some(&self.name));
            let names: Vec<&str> = parts
                .filter(|part| part.is_shown())
                .map(|part| part.name.as_str())
                .collect();
            names.join(" ")
        };
        let data = &self.linkinfo.info_data;
        match self.kind() {
            "bridge" => {
                let delay_s = data["forward_delay"].as_u64().unwrap_or(0) / 100;
                put("type", "bridge".into());
                put("bridge_ports", parts().into());
                put("bridge_fd", delay_s.to_string().into());
                let is_on = data["stp_state"].as_u64().unwrap_or(0) != 0;
                put("bridge_stp", if is_on { "on" } else { "off" }.into());
                if data["vlan_filtering"].as_u64() == Some(1) {
                    put("bridge_vlan_aware", json!(1));
                }
            }
            "bond" => {
                put("type", "bond".into());
                put("slaves", parts().into());
                put(
                    "bond_mode",
                    data["mode"].as_str().unwrap_or("balance-rr").into(),
                );
            }
            "vlan" => {
                put("type", "vlan".into());
                if let Some(id) = data["id"].as_u64() {
                    put("vlan-id", id.to_string().into());
                }
                put(
                    "vlan-raw-device",
                    self.link.as_deref().unwrap_or_default().into(),
                );
            }
            _ => {
                put("type", "eth".into());
            }
        }
        self.add_addresses(&mut fields);
        fields
    }

    /// Its first address of each family that others can reach.
    fn add_addresses(&self, fields: &mut Map<String, Value>) {
        let mut families = Vec::new();
        for (family, suffix) in [("inet", ""), ("inet6", "6")] {
            let mut addresses = self.addr_info.iter();
            let found = addresses.find(|a| a.family == family && a.scope != "link");
            let Some(Address {
                local,
                prefixlen,
                dynamic,
                ..
            }) = found
            else {
                continue;
            };
            families.push(family);
            let method = if *dynamic { "dhcp" } else { "static" };
            fields.insert(format!("method{suffix}"), method.into());
            fields.insert(format!("address{suffix}"), local.as_str().into());
            fields.insert(format!("netmask{suffix}"), prefixlen.to_string().into());
            fields.insert(
                format!("cidr{suffix}"),
                format!("{local}/{prefixlen}").into(),
            );
        }
        if !families.is_empty() {
            fields.insert("families".into(), json!(families));
        }
    }
}
