//! What is written to a disk: partition tables, and zeros over what was there. Callers have checked
//! that it is not used, and hold `DISKS`.

use std::time::Duration;

use model::Error;
use sys::{Command, SysError};
use tasks::TaskContext;

use super::disk_users::Found;
use super::disks::Block;
use crate::NodeContext;

/// The object that all tasks lock that write to a node's disks.
pub(crate) const DISKS: &str = "disks";

/// A partition for a file system of Linux.
pub(crate) const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// How much of a wiped disk's beginning is overwritten. Source: Proxmox VE.
const ZEROED_BYTES: u64 = 200 << 20;

/// How long a disk may take. Making a file system on a large one takes minutes.
const LONG: Duration = Duration::from_secs(3600);

type Cx = TaskContext<NodeContext>;

/// Runs a program that writes to a disk.
pub(crate) async fn run(cx: &Cx, command: Command) -> Result<(), SysError> {
    let program = command.program.clone();
    let output = cx.run(command.timeout(Some(LONG))).await?;
    // What a program says goes into the log; its last words are also the error.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if !line.trim().is_empty() {
            cx.log(line).await;
        }
    }
    output.checked(&program)?;
    Ok(())
}

/// Waits until udev has looked at what was written, so that the next look sees it. A machine without
/// udev has nothing to wait for.
pub(crate) async fn settle(cx: &Cx) -> Result<(), SysError> {
    let wait = Command::new("udevadm").args(["settle", "--timeout=30"]);
    match cx.node.host.run(wait).await {
        Ok(_) | Err(SysError::ProgramMissing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes an empty partition table with this id. `sfdisk` refuses a disk that the kernel knows to be
/// in use.
pub(crate) async fn write_table(cx: &Cx, disk: &str, id: &str) -> Result<(), SysError> {
    sfdisk(cx, disk, format!("label: gpt\nlabel-id: {id}\n")).await
}

pub(crate) async fn sfdisk(cx: &Cx, disk: &str, script: String) -> Result<(), SysError> {
    let how = ["--quiet", "--wipe", "always", "--wipe-partitions", "always"];
    let command = Command::new("sfdisk").args(how).arg(disk).input(script);
    run(cx, command).await?;
    settle(cx).await
}

/// Marks what a partition of a GPT holds.
pub(crate) async fn mark(cx: &Cx, found: &Found, kind: &str) -> Result<(), SysError> {
    let (Some(part), true) = (&found.part, found.disk.is_gpt()) else {
        return Ok(());
    };
    let Some(number) = number(&found.disk, part) else {
        return Ok(());
    };
    let command = Command::new("sfdisk").args(["--quiet", "--part-type", &found.disk.path]);
    run(cx, command.args([number.as_str(), kind])).await?;
    settle(cx).await
}

/// `3` of `/dev/sda3` and of `/dev/nvme0n1p3`.
fn number(disk: &Block, part: &Block) -> Option<String> {
    let rest = part.path.strip_prefix(&disk.path)?;
    let number = rest.strip_prefix('p').unwrap_or(rest);
    number.parse::<u32>().ok().map(|number| number.to_string())
}

/// Removes all signatures: of a disk's partitions first, which are gone with its table.
pub(crate) async fn erase(cx: &Cx, block: &Block) -> Result<(), SysError> {
    // Without force, `wipefs` opens a device alone, and fails if anything has it.
    for part in block.partitions() {
        run(cx, Command::new("wipefs").args(["--all", &part.path])).await?;
    }
    run(cx, Command::new("wipefs").args(["--all", &block.path])).await?;
    settle(cx).await
}

/// Removes all signatures. A disk whose table is gone has no partitions from then on.
pub(crate) async fn clear(cx: &Cx, found: &Found) -> Result<(), SysError> {
    erase(cx, found.block()).await?;
    reread(cx, found).await
}

async fn reread(cx: &Cx, found: &Found) -> Result<(), SysError> {
    if found.part.is_none() {
        let read = Command::new("blockdev").args(["--rereadpt", &found.disk.path]);
        run(cx, read).await?;
    }
    settle(cx).await
}

/// Removes all signatures, and overwrites the beginning.
pub(crate) async fn wipe(cx: &Cx, found: &Found) -> Result<(), SysError> {
    let block = found.block();
    erase(cx, block).await?;
    let bytes = block.size.min(ZEROED_BYTES);
    let zeros = Command::new("dd").args([
        "if=/dev/zero".to_owned(),
        format!("of={}", block.path),
        "bs=1M".to_owned(),
        "conv=fdatasync".to_owned(),
        "iflag=count_bytes".to_owned(),
        format!("count={bytes}"),
    ]);
    run(cx, zeros).await?;
    mark(cx, found, LINUX).await?;
    reread(cx, found).await
}

/// Undoes something; what a program refuses is left, with a warning that says so.
pub(crate) async fn or_left(
    cx: &Cx,
    undoing: impl Future<Output = Result<(), SysError>>,
) -> Result<(), Error> {
    match undoing.await {
        Err(error) if is_final(&error) => {
            cx.warn(&format!("left as it is: {}", Error::chain(&error)))
                .await;
            Ok(())
        }
        result => Ok(result?),
    }
}

/// Whether a program said no, so that it makes no sense to try again.
pub(crate) fn is_final(error: &SysError) -> bool {
    matches!(
        error,
        SysError::ProgramFailed { .. } | SysError::ProgramMissing { .. }
    )
}
