//! `pveversion`: the API version, and with `-v` the versions of the programs in use.

use anyhow::Result;
use proto::{API_VERSION, REPOSITORY_ID};

use super::failure::usage;
use super::output;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut verbose = false;
    for argument in arguments {
        match argument.as_str() {
            "-v" | "--verbose" => verbose = true,
            "-h" | "--help" | "help" => return output::line("USAGE: pveversion [--verbose]"),
            other => {
                return Err(usage(format!(
                    "unknown option '{other}'\nUSAGE: pveversion [--verbose]"
                )));
            }
        }
    }
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    if verbose {
        output::print(&long(&kernel, first_line))
    } else {
        output::line(&short(&kernel))
    }
}

fn short(kernel: &str) -> String {
    format!("pve-manager/{API_VERSION}/{REPOSITORY_ID} (running kernel: {kernel})")
}

/// Programs that guests and storages need: Proxmox VE's package name, and the command that prints
/// the version.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("pve-qemu-kvm", "qemu-system-x86_64", "--version"),
    ("lxc-pve", "lxc-start", "--version"),
    ("zfsutils-linux", "zfs", "version"),
];

fn long(kernel: &str, ask: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut text = format!(
        "proxmox-ve: not installed (running kernel: {kernel})\n\
         pve-manager: {API_VERSION} (running version: {API_VERSION}/{REPOSITORY_ID})\n\
         ostler: {}\n",
        env!("CARGO_PKG_VERSION")
    );
    for (package, program, argument) in PROGRAMS {
        if let Some(version) = ask(program, argument).as_deref().and_then(version_in) {
            text.push_str(&format!("{package}: {version}\n"));
        }
    }
    text
}

/// The first word of a line that looks like a version: `zfs-2.1.11-1` is 2.1.11-1.
fn version_in(line: &str) -> Option<&str> {
    let words = line
        .split_whitespace()
        .map(|word| word.trim_start_matches("zfs-"));
    let mut versions = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    versions.next()
}

/// A program's version output; none if it is not installed.
#[expect(
    clippy::disallowed_methods,
    reason = "asks a program for its version as any user may; nothing on the host changes"
)]
fn first_line(program: &str, argument: &str) -> Option<String> {
    let said = std::process::Command::new(program)
        .arg(argument)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_the_shape_that_scripts_split_at_slashes() {
        let wanted = "pve-manager/9.2.11/05713e0000000000 (running kernel: 6.14.8-2-pve)";
        assert_eq!(short("6.14.8-2-pve"), wanted);
    }

    #[test]
    fn verbose_lists_what_is_found() {
        let ask = |program: &str, _: &str| match program {
            "qemu-system-x86_64" => {
                Some("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)".to_owned())
            }
            "zfs" => Some("zfs-2.3.3-1".to_owned()),
            _ => None,
        };
        let text = long("6.14", ask).replace(env!("CARGO_PKG_VERSION"), "0.0.0");
        assert_eq!(text, include_str!("../../tests/golden/pveversion.txt"));
    }
}
