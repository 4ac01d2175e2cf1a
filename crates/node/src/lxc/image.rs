//! A container out of an OCI image: unpacked by our own program in the fence around the container's
//! files, and what the image says as options.

use std::path::Path;

use guest::lxc::image::{ImageOptions, ImageOrder, ImageOutcome};
use guest::lxc::{CtConfig, LXC_KEYS};
use model::lxc::{Ip4, Ip6, Net};
use model::{Error, GuestConfig};
use serde_json::Value;
use storage::Attacher;
use sys::Command;
use tasks::TaskContext;

use super::files::{OWN_PROGRAM, own_program};
use super::mounts::{Purpose, cell};
use crate::NodeContext;

type Cx = TaskContext<NodeContext>;

const IMAGE_ROLE: &str = "container-image";

/// The archive inside of the fence.
const ARCHIVE: &str = "/template.tar";

/// This node's architecture as images name it.
const ARCH: &str = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => "amd64",
    b"aarch64" => "arm64",
    _ => std::env::consts::ARCH,
};

/// Unpacks an image into a new container's file systems. None for an archive that is none, of which
/// nothing was unpacked.
pub(crate) async fn unpack_image(
    cx: &Cx,
    config: &CtConfig,
    template: &Path,
    by: &Attacher,
) -> Result<Option<ImageOptions>, Error> {
    if super::files::compression(template) != Some(None) {
        return Ok(None);
    }
    let archive = cx.node.host.open_image(template, false, false).await?;
    let mounts = cx.node.container_mounts(config, Purpose::Write, by).await?;
    let (mut cell, fence) = cell(config, mounts);
    cell.program = Some((own_program()?, OWN_PROGRAM.into()));
    let order = ImageOrder {
        archive: ARCHIVE.to_owned(),
        arch: ARCH.to_owned(),
    };
    let input = serde_json::to_vec(&order)
        .map_err(|error| Error::bug(format!("an order cannot be written: {error}")))?;
    let command = Command::new(OWN_PROGRAM)
        .arg(IMAGE_ROLE)
        .input(input)
        .timeout(None)
        .fence(fence.file(ARCHIVE, archive, false))
        .cell(cell);
    let output = cx.run(command).await?;
    if !output.success() {
        return Err(Error::conflict(output.complaint()));
    }
    let outcome: ImageOutcome = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::bug(format!("the outcome cannot be read: {error}")))?;
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        cx.log(line).await;
    }
    for warning in &outcome.warnings {
        cx.warn(warning).await;
    }
    if let Some(options) = &outcome.options {
        // The program that read the image may say anything by now.
        let checked = options.check();
        checked.map_err(|error| Error::conflict(error.to_string()))?;
    }
    Ok(outcome.options)
}

/// Adds what an image says to what the caller said, who is right.
pub(crate) fn add_image(config: &mut GuestConfig, image: &ImageOptions) {
    if let Some(entrypoint) = &image.entrypoint {
        for (name, value) in [("entrypoint", entrypoint.as_str()), ("cmode", "console")] {
            if !config.0.contains_key(name) {
                config.set(name, value);
            }
        }
        for (name, net) in nets(config) {
            if let Some(net) = net.managed_by_host() {
                config.set(name, net.print());
            }
        }
    }
    let own = config.text("env").unwrap_or_default();
    let own: Vec<&str> = own.split('\0').filter(|text| !text.is_empty()).collect();
    let name = |variable: &str| variable.split('=').next().map(str::to_owned);
    let is_replaced = |said: &&str| own.iter().any(|own| name(own) == name(said));
    let said = image.environment.iter().map(String::as_str);
    let kept = said.filter(|said| !is_replaced(said));
    let all: Vec<&str> = kept.chain(own.iter().copied()).collect();
    if !all.is_empty() {
        let all = all.join("\0");
        config.set("env", all);
    }
    if !image.lxc.is_empty() {
        let keys = image
            .lxc
            .iter()
            .map(|(key, value)| vec![key.as_str(), value]);
        config.set(LXC_KEYS, Value::from_iter(keys));
    }
}

fn nets(config: &GuestConfig) -> Vec<(String, Net)> {
    let options = config.0.iter().filter(|(name, _)| name.starts_with("net"));
    let nets = options.filter_map(|(name, value)| {
        let net = Net::parse(value.as_str()?).ok()?;
        Some((name.clone(), net))
    });
    nets.collect()
}

/// The cards that no program asks an address for: the image has no client of DHCP, nor has the host.
pub(crate) fn without_address(config: &GuestConfig) -> Vec<String> {
    let asks = |net: &Net| net.ip4() == Some(Ip4::Dhcp) || net.ip6() == Some(Ip6::Dhcp);
    let nets = nets(config).into_iter().filter(|(_, net)| asks(net));
    nets.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[(&str, &str)], image: &ImageOptions) -> GuestConfig {
        let mut config = GuestConfig::default();
        for (name, value) in options {
            config.set(*name, *value);
        }
        add_image(&mut config, image);
        config
    }

    fn image() -> ImageOptions {
        ImageOptions {
            entrypoint: Some("/bin/app --serve".to_owned()),
            environment: vec!["PATH=/bin".to_owned(), "A=1".to_owned()],
            lxc: vec![("lxc.init.uid".to_owned(), "7".to_owned())],
        }
    }

    #[test]
    fn an_image_fills_in_what_the_caller_left_open() {
        let net = "name=eth0,bridge=vmbr0,ip=10.0.0.2/24";
        let config = with(&[("net0", net), ("net1", "name=eth1,ip=dhcp")], &image());
        assert_eq!(config.text("entrypoint").unwrap(), "/bin/app --serve");
        assert_eq!(config.text("cmode").unwrap(), "console");
        assert_eq!(config.text("env").unwrap(), "PATH=/bin\0A=1");
        assert!(config.text("net0").unwrap().contains("host-managed=1"));
        assert_eq!(config.text("net1").unwrap(), "name=eth1,ip=dhcp");
        assert_eq!(without_address(&config), ["net1"]);
        let parsed = CtConfig::parse(&config).unwrap();
        assert_eq!(parsed.lxc, image().lxc);
    }

    #[test]
    fn the_caller_is_right() {
        let given = [
            ("entrypoint", "/bin/other"),
            ("cmode", "shell"),
            ("env", "A=2\0B=3"),
            ("net0", "name=eth0,ip=10.0.0.2/24,host-managed=0"),
        ];
        let config = with(&given, &image());
        assert_eq!(config.text("entrypoint").unwrap(), "/bin/other");
        assert_eq!(config.text("cmode").unwrap(), "shell");
        assert_eq!(config.text("env").unwrap(), "PATH=/bin\0A=2\0B=3");
        assert!(config.text("net0").unwrap().contains("host-managed=0"));
    }

    #[test]
    fn an_image_with_an_init_changes_little() {
        let image = ImageOptions::default();
        let given = [("net0", "name=eth0,ip=10.0.0.2/24")];
        assert_eq!(with(&given, &image), with(&given, &image));
        assert_eq!(with(&given, &image).0.len(), 1);
    }
}
