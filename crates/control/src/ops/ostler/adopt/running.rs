//! Whether a Proxmox VE is at work on this node. What it runs cannot be taken over: a guest would run twice.

use std::path::Path;

use model::Error;
use sys::SharedHost;

/// Refuses while its folder is mounted, and while a guest of it runs.
pub(super) async fn check(host: &SharedHost) -> Result<(), Error> {
    let read = async |path: &str| -> Result<String, Error> {
        let path = Path::new(path);
        match host.stat(path).await? {
            Some(_) => Ok(String::from_utf8_lossy(&host.read(path).await?).into_owned()),
            None => Ok(String::new()),
        }
    };
    if is_mounted(&read("/proc/mounts").await?) {
        return Err(Error::conflict(
            "Proxmox VE runs on this node (/etc/pve is mounted): shut its guests down, stop it \
             ('systemctl disable --now pve-cluster pvedaemon pveproxy pve-ha-lrm pve-ha-crm'), \
             and take its database /var/lib/pve-cluster/config.db as the source",
        ));
    }
    match guests(&read("/proc/net/unix").await?) {
        running if running.is_empty() => Ok(()),
        running => Err(Error::conflict(format!(
            "guests of Proxmox VE run on this node: {}; shut them down first",
            running.join(", ")
        ))),
    }
}

fn is_mounted(mounts: &str) -> bool {
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    mounts.any(|mut fields| {
        let point = fields.nth(1);
        let kind = fields.next();
        point == Some("/etc/pve") && kind.is_some_and(|kind| kind.starts_with("fuse"))
    })
}

/// The guests whose sockets are open: QEMU's monitor, the command socket of LXC.
fn guests(sockets: &str) -> Vec<String> {
    let named = sockets
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7));
    let number = |path: &str| {
        let vm = || {
            let rest = path.strip_prefix("/var/run/qemu-server/");
            let rest = rest.or_else(|| path.strip_prefix("/run/qemu-server/"))?;
            Some(format!("VM {}", rest.strip_suffix(".qmp")?))
        };
        let container = || {
            let rest = path.strip_prefix("@/var/lib/lxc/")?;
            let number: u32 = rest.strip_suffix("/command")?.parse().ok()?;
            Some(format!("CT {number}"))
        };
        vm().or_else(container)
    };
    let mut guests: Vec<String> = named.filter_map(number).collect();
    guests.sort();
    guests.dedup();
    guests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_folder_and_open_sockets_show_it() {
        assert!(is_mounted(
            "proc /proc proc rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid 0 0\n"
        ));
        assert!(!is_mounted(
            "/dev/sda /etc/pve ext4 rw 0 0\n/dev/fuse /mnt fuse rw 0 0\n"
        ));
        let sockets = "Num RefCount Protocol Flags Type St Inode Path\n\
            0: 2 0 00010000 0001 01 17 /var/run/qemu-server/100.qmp\n\
            0: 3 0 00000000 0001 03 18 /var/run/qemu-server/100.qmp\n\
            0: 2 0 00010000 0001 01 19 @/var/lib/lxc/201/command\n\
            0: 2 0 00010000 0001 01 20 @/var/lib/lxc/web/command\n\
            0: 2 0 00010000 0001 01 21\n";
        assert_eq!(guests(sockets), ["CT 201", "VM 100"]);
    }
}
