//! The addresses of a container's network card.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::schema::Format;

pub(super) const IPV4: Format = Format::named("pve-ipv4-config", |text| {
    let reason = "value does not look like a valid ipv4 network configuration";
    Ip4::parse(text).map(drop).ok_or_else(|| reason.to_owned())
});

pub(super) const IPV6: Format = Format::named("pve-ipv6-config", |text| {
    let reason = "value does not look like a valid ipv6 network configuration";
    Ip6::parse(text).map(drop).ok_or_else(|| reason.to_owned())
});

pub(super) const GATEWAY6: Format = Format::named("ipv6", |text| {
    let reason = "value does not look like a valid IPv6 address";
    let address = text.parse::<Ipv6Addr>();
    address.map(drop).map_err(|_| reason.to_owned())
});

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip4 {
    Dhcp,
    /// The container's own programs configure it.
    Manual,
    /// An address and the length of its network's prefix.
    Static(Ipv4Addr, u8),
}

impl Ip4 {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "dhcp" => return Some(Self::Dhcp),
            "manual" => return Some(Self::Manual),
            _ => {}
        }
        let (address, length) = text.split_once('/')?;
        Some(Self::Static(
            address.parse().ok()?,
            prefix_length(length, 32)?,
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip6 {
    Dhcp,
    Manual,
    /// By router advertisements (SLAAC).
    Auto,
    Static(Ipv6Addr, u8),
}

impl Ip6 {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "dhcp" => return Some(Self::Dhcp),
            "manual" => return Some(Self::Manual),
            "auto" => return Some(Self::Auto),
            _ => {}
        }
        let (address, length) = text.split_once('/')?;
        Some(Self::Static(
            address.parse().ok()?,
            prefix_length(length, 128)?,
        ))
    }
}

/// Networks of more than 2^24 addresses are typing errors.
fn prefix_length(text: &str, most: u8) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let length: u8 = text.parse().ok().filter(|_| is_number)?;
    (8..=most).contains(&length).then_some(length)
}
