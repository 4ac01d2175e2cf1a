//! What mounts a directory at every start: a unit of systemd, as Proxmox VE writes it; on a machine
//! without systemd a line of `/etc/fstab` besides, and the unit as the record of what was made.

use std::path::{Path, PathBuf};

use sys::{Command, Mounts, SharedHost, SysError};
use tasks::TaskContext;

use super::disk_writes::run;
use super::pools::directories::UNITS;
use crate::NodeContext;

const FSTAB: &str = "/etc/fstab";

/// There where systemd is the first process.
const SYSTEMD: &str = "/run/systemd/system";

type Cx = TaskContext<NodeContext>;

/// A file system and where it is mounted.
pub(crate) struct Mount<'a> {
    /// Of the storage, or what would be its id.
    pub(crate) name: &'a str,
    /// The id of the file system.
    pub(crate) uuid: &'a str,
    pub(crate) kind: &'a str,
}

/// Where a directory of this name is. Source: Proxmox VE's layout.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new("/mnt/pve").join(name)
}

/// The unit's name: systemd derives it from the path.
fn unit(name: &str) -> String {
    let escaped: String = name
        .chars()
        .map(|c| match c {
            '-' => r"\x2d".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!("mnt-pve-{escaped}.mount")
}

pub(crate) fn unit_file(name: &str) -> PathBuf {
    Path::new(UNITS).join(unit(name))
}

impl Mount<'_> {
    fn unit_text(&self) -> String {
        let Self { name, uuid, kind } = self;
        let folder = folder(name);
        format!(
            "[Unit]\nDescription=Directory '{name}' on a disk of its own\n\n\
             [Install]\nWantedBy=multi-user.target\n\n\
             [Mount]\nWhat=/dev/disk/by-uuid/{uuid}\nWhere={}\nType={kind}\nOptions=defaults\n",
            folder.display()
        )
    }

    /// Mounts it now and at every start. May be repeated.
    pub(crate) async fn set_up(&self, cx: &Cx) -> Result<(), SysError> {
        let (host, folder) = (&cx.node.host, folder(self.name));
        host.create_dir(&folder, 0o755).await?;
        host.create_dir(Path::new(UNITS), 0o755).await?;
        let text = self.unit_text();
        host.write(&unit_file(self.name), text.as_bytes(), 0o644)
            .await?;
        if has_systemd(cx).await? {
            let unit = unit(self.name);
            run(cx, systemctl(&["daemon-reload"])).await?;
            run(cx, systemctl(&["enable", &unit])).await?;
            return self.mount(cx).await;
        }
        cx.log("systemd does not run here: /etc/fstab has the mount")
            .await;
        let Self { uuid, kind, .. } = self;
        let point = folder.display().to_string();
        let line = format!("UUID={uuid} {point} {kind} defaults,nofail 0 2");
        change_fstab(cx, &point, Some(&line)).await?;
        self.mount(cx).await
    }

    /// Mounts what was set up.
    pub(crate) async fn mount(&self, cx: &Cx) -> Result<(), SysError> {
        if has_systemd(cx).await? {
            run(cx, systemctl(&["start", &unit(self.name)])).await?;
            // Where it has not seen yet that an earlier mount is gone, it does nothing.
            if is_mounted(cx, self.name).await? {
                return Ok(());
            }
        }
        let Self { uuid, kind, .. } = self;
        let (source, point) = (format!("UUID={uuid}"), folder(self.name));
        let point = point.display().to_string();
        let mount = Command::new("mount").args(["-t", kind, &source, &point]);
        run(cx, mount).await
    }
}

async fn has_systemd(cx: &Cx) -> Result<bool, SysError> {
    Ok(cx.node.host.stat(Path::new(SYSTEMD)).await?.is_some())
}

fn systemctl(args: &[&str]) -> Command {
    Command::new("systemctl").args(args.iter().copied())
}

/// Puts the line of a mount point in, in place of another of its, or takes it out.
async fn change_fstab(cx: &Cx, point: &str, line: Option<&str>) -> Result<(), SysError> {
    let host = &cx.node.host;
    let path = Path::new(FSTAB);
    let before = match host.stat(path).await? {
        Some(_) => host.read(path).await?,
        None => Vec::new(),
    };
    let before = String::from_utf8_lossy(&before).into_owned();
    let others = before
        .lines()
        .filter(|other| other.split_whitespace().nth(1) != Some(point));
    let mut after: Vec<&str> = others.collect();
    after.extend(line);
    let mut text = after.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    if text == before {
        return Ok(());
    }
    host.write(path, text.as_bytes(), 0o644).await
}

/// Unmounts it. Fails if files in it are open, and says so, which systemd does not; it sees by itself
/// that the mount is gone.
pub(crate) async fn unmount(cx: &Cx, name: &str) -> Result<(), SysError> {
    if !is_mounted(cx, name).await? {
        return Ok(());
    }
    let point = folder(name).display().to_string();
    run(cx, Command::new("umount").arg(point)).await
}

/// Takes a mount out of sight whose disk is gone; the kernel lets go of it with its last user.
pub(crate) async fn unmount_lazily(cx: &Cx, name: &str) -> Result<(), SysError> {
    let point = folder(name).display().to_string();
    run(cx, Command::new("umount").args(["-l", &point])).await
}

/// Writes out its file system, and fails where that cannot be done, which `umount` does not say.
pub(crate) async fn sync(cx: &Cx, name: &str) -> Result<(), SysError> {
    let point = folder(name).display().to_string();
    run(cx, Command::new("sync").args(["--file-system", &point])).await
}

/// Takes away what mounts it at every start, and its mount point if that is empty.
pub(crate) async fn forget(cx: &Cx, name: &str) -> Result<(), SysError> {
    let host = &cx.node.host;
    let file = unit_file(name);
    if has_systemd(cx).await? {
        if host.stat(&file).await?.is_some() {
            run(cx, systemctl(&["disable", &unit(name)])).await?;
        }
        host.remove(&file).await?;
        run(cx, systemctl(&["daemon-reload"])).await?;
    } else {
        host.remove(&file).await?;
        let point = folder(name).display().to_string();
        change_fstab(cx, &point, None).await?;
    }
    host.remove_dir(&folder(name)).await.map(drop)
}

pub(crate) async fn is_mounted(cx: &Cx, name: &str) -> Result<bool, SysError> {
    let mounts = cx.node.host.read(Path::new("/proc/mounts")).await?;
    let point = folder(name).display().to_string();
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    let mut points = mounts.lines().map(|line| line.split(' ').nth(1));
    Ok(points.any(|mounted| mounted == Some(&*point)))
}

/// The mount that is seen at its folder; others may be below.
pub(crate) async fn mounted(host: &SharedHost, name: &str) -> Result<Option<sys::Mount>, SysError> {
    let point = folder(name).display().to_string();
    Ok(Mounts::read(host).await?.at(&point).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_as_systemd_names_it() {
        let file = unit_file("fast-1.a_b");
        assert_eq!(
            file,
            Path::new(r"/etc/systemd/system/mnt-pve-fast\x2d1.a_b.mount")
        );
    }
}
