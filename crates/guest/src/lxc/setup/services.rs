//! The programs that wait for a login at the container's terminals.

use std::io;

use super::{Order, Tree, is_left_alone, read_text, write_text};

const UNITS: &str = "/etc/systemd/system";
const INITTAB: &str = "/etc/inittab";

/// What units a container begins with, besides what the distribution says.
const PRESET: &str = "# Made by the platform.\n\
    disable sys-kernel-config.mount\n\
    disable sys-kernel-debug.mount\n\
    disable getty@.service\n\
    enable container-getty@.service\n";

pub(super) fn terminals(tree: &dyn Tree, order: &Order, family: &str) -> io::Result<()> {
    if let Some(before) = read_text(tree, INITTAB)?
        && !is_left_alone(tree, INITTAB)?
    {
        let after = inittab(&before, order.terminals, family);
        write_text(tree, INITTAB, &after, 0o644)?;
    }
    systemd(tree, order.terminals)
}

/// A line for each terminal, in place of those for terminals that are not there.
fn inittab(before: &str, terminals: u8, family: &str) -> String {
    let is_alpine = family == "alpine";
    let is_getty = |line: &&str| {
        let line = line.trim_start_matches('#').trim_start();
        let is_terminal = match is_alpine {
            true => line.starts_with("tty"),
            false => line.starts_with(|c: char| c.is_ascii_digit()),
        };
        line.contains("getty") && is_terminal || line.starts_with("p0::powerfail")
    };
    let mut lines: Vec<String> = before
        .lines()
        .filter(|line| !is_getty(line))
        .map(str::to_owned)
        .collect();
    for number in 1..=terminals {
        lines.push(match (is_alpine, number) {
            (true, _) => format!("tty{number}::respawn:/sbin/getty 38400 tty{number}"),
            (false, 1) => "1:2345:respawn:/sbin/getty --noclear 38400 tty1".to_owned(),
            (false, _) => format!("{number}:23:respawn:/sbin/getty --noclear 38400 tty{number}"),
        });
    }
    if !is_alpine {
        lines.push("p0::powerfail:/sbin/init 0".to_owned());
    }
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// The unit `container-getty@` is systemd's own; it gets the terminals.
fn systemd(tree: &dyn Tree, terminals: u8) -> io::Result<()> {
    let mut unit = None;
    for folder in ["/lib/systemd/system", "/usr/lib/systemd/system"] {
        let path = format!("{folder}/container-getty@.service");
        if unit.is_none() && tree.exists(&path)? {
            unit = Some(path);
        }
    }
    let Some(unit) = unit else { return Ok(()) };
    let text = read_text(tree, &unit)?.unwrap_or_default();
    let own = format!("{UNITS}/container-getty@.service");
    write_text(tree, &own, &text.replace("pts/%I", "tty%I"), 0o644)?;
    let wants = format!("{UNITS}/getty.target.wants");
    for name in tree.list(&wants)? {
        let is_terminal = name.starts_with("container-getty@") || name.starts_with("getty@tty");
        if is_terminal {
            tree.remove(&format!("{wants}/{name}"))?;
        }
    }
    for number in 1..=terminals {
        tree.link(&own, &format!("{wants}/container-getty@{number}.service"))?;
    }
    let target = format!("{UNITS}/getty.target");
    if tree.read_link(&target)?.as_deref() == Some("/dev/null") {
        tree.remove(&target)?;
    }
    let preset = "/etc/systemd/system-preset/00-pve.preset";
    write_text(tree, preset, PRESET, 0o644)
}
