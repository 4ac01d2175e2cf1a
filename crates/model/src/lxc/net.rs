//! A network card: `name=eth0,bridge=vmbr0,hwaddr=BC:24:11:62:47:F4,ip=dhcp,type=veth`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::address::{GATEWAY6, IPV4, IPV6, Ip4, Ip6};
use crate::Vlans;
use crate::schema::{Field, Properties, PropertyError, format, parse_properties, print_properties};

pub(super) const NET: &[Field] = &[
    Field::string("bridge").optional().pattern(r"[-_.\w\d]+"),
    Field::boolean("firewall").optional(),
    Field::string("gw").optional().format(format::IPV4),
    Field::string("gw6").optional().format(GATEWAY6),
    Field::boolean("host-managed").optional(),
    Field::string("hwaddr")
        .optional()
        .format(format::MAC_ADDRESS),
    Field::string("ip").optional().format(IPV4),
    Field::string("ip6").optional().format(IPV6),
    Field::boolean("link_down").optional(),
    Field::integer("mtu").optional().range(64.0, 65535.0),
    Field::string("name").pattern(r"[-_.\w\d]+"),
    Field::number("rate").optional().min(0.0),
    Field::integer("tag").optional().range(1.0, 4094.0),
    Field::string("trunks").optional().pattern(r"\d+(?:;\d+)*"),
    Field::string("type").optional().one_of(&["veth"]),
];

/// How many cards a container may have.
pub const NETS: u32 = 32;

/// The longest name of a link (the kernel's IFNAMSIZ without its end).
const NAME_MAX: usize = 15;

/// The option `net[n]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Net(Properties);

impl Net {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let mut keys = parse_properties(NET, text)?;
        if let Some(mac) = keys.text("hwaddr") {
            let mac = mac.to_ascii_uppercase();
            keys.set(NET, "hwaddr", mac);
        }
        let net = Self(keys);
        let mut wrong = Vec::new();
        let name = net.name();
        if name.len() > NAME_MAX || matches!(name, "." | ".." | "lo") {
            let reason = format!("'{name}' cannot be the name of a network card");
            wrong.push(("name".to_owned(), reason));
        }
        if net.is_host_managed() && net.asks_for_addresses() {
            let reason = "the host asks no server for addresses: give static ones";
            wrong.push(("host-managed".to_owned(), reason.to_owned()));
        }
        match wrong.is_empty() {
            true => Ok(net),
            false => Err(PropertyError::Keys(wrong)),
        }
    }

    /// As it is stored: with a hardware address, and of a type.
    #[must_use]
    pub fn completed(mut self, new_mac: &dyn Fn() -> String) -> Self {
        if self.mac().is_none() {
            self.0.set(NET, "hwaddr", new_mac());
        }
        self.0.set(NET, "type", "veth");
        self
    }

    pub fn print(&self) -> String {
        print_properties(NET, &self.0)
    }

    /// The same, with the host in charge of its addresses. None where that was said already, or where
    /// the host cannot find them out.
    pub fn managed_by_host(mut self) -> Option<Self> {
        if self.0.flag("host-managed").is_some() || self.asks_for_addresses() {
            return None;
        }
        self.0.set(NET, "host-managed", "1");
        Some(self)
    }

    /// Whether the host sets its addresses, and no program of the container.
    pub fn is_host_managed(&self) -> bool {
        self.0.flag("host-managed") == Some(true)
    }

    fn asks_for_addresses(&self) -> bool {
        self.ip4() == Some(Ip4::Dhcp) || self.ip6() == Some(Ip6::Dhcp)
    }

    /// What the container calls it.
    pub fn name(&self) -> &str {
        self.0.text("name").unwrap_or_default()
    }

    pub fn bridge(&self) -> Option<&str> {
        self.0.text("bridge")
    }

    pub fn set_mac(&mut self, mac: String) {
        self.0.set(NET, "hwaddr", mac);
    }

    pub fn mac(&self) -> Option<&str> {
        self.0.text("hwaddr")
    }

    pub fn mtu(&self) -> Option<u32> {
        u32::try_from(self.0.integer("mtu")?).ok()
    }

    /// MiB per second, in each direction.
    pub fn rate(&self) -> Option<f64> {
        self.0.number("rate")
    }

    /// The VLANs of the card's port.
    pub fn vlans(&self) -> Vlans {
        Vlans::of(self.tag(), self.trunks())
    }

    pub fn tag(&self) -> Option<u16> {
        u16::try_from(self.0.integer("tag")?).ok()
    }

    pub fn is_down(&self) -> bool {
        self.0.flag("link_down") == Some(true)
    }

    pub fn has_firewall(&self) -> bool {
        self.0.flag("firewall") == Some(true)
    }

    pub fn trunks(&self) -> Option<&str> {
        self.0.text("trunks")
    }

    pub fn ip4(&self) -> Option<Ip4> {
        self.0.text("ip").and_then(Ip4::parse)
    }

    pub fn ip6(&self) -> Option<Ip6> {
        self.0.text("ip6").and_then(Ip6::parse)
    }

    pub fn gateway4(&self) -> Option<Ipv4Addr> {
        self.0.text("gw")?.parse().ok()
    }

    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.0.text("gw6")?.parse().ok()
    }
}
