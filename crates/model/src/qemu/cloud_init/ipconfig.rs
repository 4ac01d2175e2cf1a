//! The addresses of a network card: `ip=10.0.0.2/24,gw=10.0.0.1,ip6=auto`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::schema::{Field, Format, Properties, PropertyError, parse_properties, print_properties};

const fn named(name: &'static str, check: fn(&str) -> Result<(), String>) -> Format {
    Format::named(name, check)
}

fn ensure(ok: bool, reason: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(reason.to_owned()) }
}

pub(super) const IPCONFIG: &[Field] = &[
    Field::string("gw")
        .optional()
        .format(named("ipv4", |text| {
            ensure(
                text.parse::<Ipv4Addr>().is_ok(),
                "value is not a valid IPv4 address",
            )
        }))
        .requires("ip"),
    Field::string("gw6")
        .optional()
        .format(named("ipv6", |text| {
            ensure(
                text.parse::<Ipv6Addr>().is_ok(),
                "value is not a valid IPv6 address",
            )
        }))
        .requires("ip6"),
    Field::string("ip")
        .optional()
        .format(named("pve-ipv4-config", |text| {
            let reason = "value does not look like a valid ipv4 network configuration";
            ensure(Ip4::parse(text).is_some(), reason)
        }))
        .default("dhcp"),
    Field::string("ip6")
        .optional()
        .format(named("pve-ipv6-config", |text| {
            let reason = "value does not look like a valid ipv6 network configuration";
            ensure(Ip6::parse(text).is_some(), reason)
        }))
        .default("dhcp"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip4 {
    Dhcp,
    /// An address and the length of its network's prefix.
    Static(Ipv4Addr, u8),
}

impl Ip4 {
    fn parse(text: &str) -> Option<Self> {
        if text == "dhcp" {
            return Some(Self::Dhcp);
        }
        let (address, prefix) = text.split_once('/')?;
        Some(Self::Static(
            address.parse().ok()?,
            prefix_length(prefix, 8..=32)?,
        ))
    }

    fn print(self) -> String {
        match self {
            Self::Dhcp => "dhcp".to_owned(),
            Self::Static(address, prefix) => format!("{address}/{prefix}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip6 {
    Dhcp,
    /// By router advertisements (SLAAC).
    Auto,
    /// An address and the length of its network's prefix.
    Static(Ipv6Addr, u8),
}

impl Ip6 {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "dhcp" => return Some(Self::Dhcp),
            "auto" => return Some(Self::Auto),
            _ => {}
        }
        let (address, prefix) = text.split_once('/')?;
        Some(Self::Static(
            address.parse().ok()?,
            prefix_length(prefix, 8..=128)?,
        ))
    }

    fn print(self) -> String {
        match self {
            Self::Dhcp => "dhcp".to_owned(),
            Self::Auto => "auto".to_owned(),
            Self::Static(address, prefix) => format!("{address}/{prefix}"),
        }
    }
}

fn prefix_length(text: &str, range: std::ops::RangeInclusive<u8>) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| is_number)?;
    range.contains(&length).then_some(length)
}

/// The option `ipconfig[n]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpConfig {
    pub ip4: Option<Ip4>,
    pub gateway4: Option<Ipv4Addr>,
    pub ip6: Option<Ip6>,
    pub gateway6: Option<Ipv6Addr>,
}

impl IpConfig {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(IPCONFIG, text)?;
        let parsed = Self {
            ip4: keys.text("ip").and_then(Ip4::parse),
            gateway4: keys.text("gw").and_then(|text| text.parse().ok()),
            ip6: keys.text("ip6").and_then(Ip6::parse),
            gateway6: keys.text("gw6").and_then(|text| text.parse().ok()),
        };
        let has_static4 = matches!(parsed.ip4, Some(Ip4::Static(..)));
        let has_static6 = matches!(parsed.ip6, Some(Ip6::Static(..)));
        let mut wrong = Vec::new();
        for (key, of, missing, has_gateway, has_static) in [
            (
                "gw",
                "ip",
                parsed.ip4.is_none(),
                parsed.gateway4.is_some(),
                has_static4,
            ),
            (
                "gw6",
                "ip6",
                parsed.ip6.is_none(),
                parsed.gateway6.is_some(),
                has_static6,
            ),
        ] {
            if has_gateway && missing {
                let reason = format!("missing property - '{of}' required by this property");
                wrong.push((key.to_owned(), reason));
            } else if has_gateway && !has_static {
                // DHCP and router advertisements bring a gateway of their own; without an address a
                // gateway is useless.
                wrong.push((key.to_owned(), format!("a gateway needs a static '{of}'")));
            }
        }
        if wrong.is_empty() {
            Ok(parsed)
        } else {
            Err(PropertyError::Keys(wrong))
        }
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        let values = [
            ("gw", self.gateway4.map(|address| address.to_string())),
            ("gw6", self.gateway6.map(|address| address.to_string())),
            ("ip", self.ip4.map(Ip4::print)),
            ("ip6", self.ip6.map(Ip6::print)),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                keys.set(IPCONFIG, key, value);
            }
        }
        print_properties(IPCONFIG, &keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_named() {
        let parsed = IpConfig::parse("ip=10.0.0.2/24,gw=10.0.0.1,ip6=auto").unwrap();
        assert_eq!(
            parsed.ip4,
            Some(Ip4::Static("10.0.0.2".parse().unwrap(), 24))
        );
        assert_eq!(parsed.ip6, Some(Ip6::Auto));
        let cases = [
            ("ip=10.0.0.2", "ip: "),
            ("ip=10.0.0.2/33", "ip: "),
            ("ip=10.0.0.2/+8", "ip: "),
            ("ip6=fe80::1", "ip6: "),
            ("ip=dhcp,gw=10.0.0", "gw: "),
            ("gw=10.0.0.1", "gw: missing property - 'ip' required"),
            ("ip=dhcp,gw=10.0.0.1", "gw: a gateway needs a static 'ip'"),
            (
                "ip6=auto,gw6=fe80::1",
                "gw6: a gateway needs a static 'ip6'",
            ),
            ("ip=manual", "ip: "),
        ];
        for (text, reason) in cases {
            let error = IpConfig::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
