//! Formats that only the options of a container have.

use std::net::{IpAddr, Ipv6Addr};

use crate::schema::{Format, format::split_list};

const fn named(name: &'static str, check: fn(&str) -> Result<(), String>) -> Format {
    Format::named(name, check)
}

/// A path in a container, a path of the host, or a volume. A comma would end it early.
pub(super) const PATH: Format = named("pve-lxc-mp-string", |value| {
    let parts = value.split('/');
    let leaves = parts.into_iter().any(|part| matches!(part, "." | ".."));
    if leaves || value.contains(|c: char| c == ',' || c.is_control()) {
        return Err(format!("{value} contains illegal character sequences"));
    }
    Ok(())
});

pub(super) fn inner_path(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let is_inside = parts.iter().all(|part| !matches!(*part, "." | ".."));
    (is_inside && !parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

pub(super) const DEVICE: Format = named("pve-lxc-dev-string", |value| {
    let inside = value.strip_prefix("/dev/").is_some_and(|rest| {
        let mut parts = rest.split('/');
        parts.all(|part| !matches!(part, "" | "." | ".."))
    });
    match inside {
        true => Ok(()),
        false => Err(format!("{value} is not a valid device path")),
    }
});

/// A name of the time zone database, or the host's.
pub(super) const TIME_ZONE: Format = named("pve-ct-timezone", |value| {
    let is_name = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-.".contains(c))
    };
    match value.len() <= 64 && value.split('/').all(is_name) {
        true => Ok(()),
        false => Err(format!("invalid time zone '{value}'")),
    }
});

/// Addresses of name servers; one of IPv6 may name the interface that it is reached on.
pub(super) const NAME_SERVERS: Format = named("lxc-ip-with-ll-iface-list", |value| {
    let is_server = |server: &str| match server.split_once('%') {
        Some((address, link)) => address.parse::<Ipv6Addr>().is_ok() && !link.is_empty(),
        None => server.parse::<IpAddr>().is_ok(),
    };
    match split_list(value).find(|server| !is_server(server)) {
        Some(_) => Err("value is not a valid IP address".to_owned()),
        None => Ok(()),
    }
});
