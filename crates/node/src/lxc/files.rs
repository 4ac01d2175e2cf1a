//! Work on a container's files while it does not run, always as the container's root in a fence
//! around them: unpacking a template, writing names and addresses.

use std::path::{Path, PathBuf};

use guest::lxc::CtConfig;
use guest::lxc::setup::{First, Order, Outcome};
use model::{Error, VmId, VolumeId};
use storage::{Attacher, ContentType};
use sys::{Cell, Command};
use tasks::TaskContext;

use super::mounts::{Purpose, cell};
use crate::NodeContext;
use crate::volumes;

type Cx = TaskContext<NodeContext>;

/// The path of our own program inside of a fence, and its role there.
pub(super) const OWN_PROGRAM: &str = "/ostler";
pub(crate) const FILES_ROLE: &str = "container-files";

/// Where the time zone of the host is said.
const HOST_ZONE: &str = "/etc/localtime";

/// The compressions of templates, by the ending of the file and tar's argument.
const COMPRESSIONS: [(&str, Option<&str>); 4] = [
    (".tar.gz", Some("-z")),
    (".tar.xz", Some("-J")),
    (".tar.zst", Some("--zstd")),
    (".tar", None),
];

impl NodeContext {
    /// Where a template is.
    pub(crate) async fn template_path(&self, template: &VolumeId) -> Result<PathBuf, Error> {
        let storage = self.storage(template.storage()).await?;
        storage.activate().await?;
        let info = volumes::info_of(&*storage, template).await?;
        if info.content != ContentType::Vztmpl {
            return Err(Error::conflict(format!(
                "unable to use volume {template} - content type needs to be 'vztmpl'"
            )));
        }
        Ok(storage.path(template.name())?)
    }

    /// What is to be written into a container's files.
    pub(crate) async fn setup_order(
        &self,
        vmid: VmId,
        config: &CtConfig,
        first: Option<First>,
    ) -> Result<Order, Error> {
        let host = self.dns().await?;
        let either = |own: &[String], host: &[String]| match own.is_empty() {
            true => host.to_vec(),
            false => own.to_vec(),
        };
        let zone = match config.time_zone.as_deref() {
            Some("host") => self.host_zone().await,
            zone => zone.map(str::to_owned),
        };
        // What the host configures is not in the container's files.
        let nets = config.nets.values().filter(|net| !net.is_host_managed());
        Ok(Order {
            os_type: config.os_type.clone(),
            host_name: config.host_name(vmid),
            nets: nets.map(|net| net.print()).collect(),
            name_servers: either(&config.name_servers, &host.servers),
            search_domains: either(&config.search_domains, &host.search),
            time_zone: zone,
            terminals: config.terminals,
            first,
            is_copy: false,
            is_image: false,
        })
    }

    async fn host_zone(&self) -> Option<String> {
        let path = self.host.resolve(Path::new(HOST_ZONE)).await.ok()?;
        let zone = path.strip_prefix("/usr/share/zoneinfo").ok()?;
        Some(zone.display().to_string())
    }
}

/// The argument of tar for a template's compression. None for a file that is no archive.
pub(crate) fn compression(path: &Path) -> Option<Option<&'static str>> {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let known = COMPRESSIONS
        .iter()
        .find(|(ending, _)| name.ends_with(ending));
    known.map(|(_, argument)| *argument)
}

/// Unpacks a template into a new container's file systems.
///
/// Nothing in the archive reaches the host: a path that climbs is refused by tar, a link leads to
/// the container's files or nowhere, and devices do not work there.
pub(crate) async fn unpack(
    cx: &Cx,
    config: &CtConfig,
    template: &Path,
    by: &Attacher,
    ignore_errors: bool,
) -> Result<(), Error> {
    let shown = template.display().to_string();
    let no_archive = || {
        let text = format!("file does not look like a template archive: {shown}");
        Error::conflict(text)
    };
    let compression = compression(template).ok_or_else(no_archive)?;
    let archive = cx.node.host.open_image(template, false, false).await?;
    let mounts = cx.node.container_mounts(config, Purpose::Write, by).await?;
    let (cell, fence) = cell(config, mounts);
    let inside = format!("/template{}", ending(template));
    let mut args = vec!["-x", "-p", "-f", &inside];
    args.extend(compression);
    args.extend([
        "--totals",
        "--sparse",
        "--numeric-owner",
        "--acls",
        "--xattrs",
        "--xattrs-include=user.*",
        "--xattrs-include=security.capability",
        "--warning=no-file-ignored",
        "--warning=no-xattr-write",
        "-C",
        Cell::INSIDE,
        "--skip-old-files",
        "--anchored",
        "--exclude",
        "./dev/*",
    ]);
    cx.log(&format!("extracting archive '{shown}'")).await;
    let command = Command::new("tar")
        .args(args)
        .timeout(None)
        .fence(fence.file(&inside, archive, false))
        .cell(cell);
    let output = cx.run(command).await?;
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        cx.log(line).await;
    }
    match output.success() || ignore_errors {
        true => Ok(()),
        false => Err(output.checked("tar").map_or_else(Error::from, |_| {
            Error::bug("a program that failed succeeded")
        })),
    }
}

fn ending(path: &Path) -> &'static str {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let known = COMPRESSIONS
        .iter()
        .find(|(ending, _)| name.ends_with(ending));
    known.map_or("", |(ending, _)| ending)
}

/// Carries out an order in a container's files.
pub(crate) async fn set_up(
    cx: &Cx,
    config: &CtConfig,
    order: &Order,
    purpose: Purpose,
    by: &Attacher,
) -> Result<Outcome, Error> {
    let mounts = cx.node.container_mounts(config, purpose, by).await?;
    let (mut cell, fence) = cell(config, mounts);
    cell.program = Some((own_program()?, OWN_PROGRAM.into()));
    let input = serde_json::to_vec(order)
        .map_err(|error| Error::bug(format!("an order cannot be written: {error}")))?;
    let command = Command::new(OWN_PROGRAM)
        .arg(FILES_ROLE)
        .input(input)
        .fence(fence)
        .cell(cell);
    let output = cx.run(command).await?;
    if !output.success() {
        return Err(Error::conflict(output.complaint()));
    }
    let outcome: Outcome = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::bug(format!("the outcome cannot be read: {error}")))?;
    for line in &outcome.lines {
        cx.log(line).await;
    }
    for warning in &outcome.warnings {
        cx.warn(warning).await;
    }
    Ok(outcome)
}

/// The kinds of keys that a server of SSH has.
const HOST_KEYS: &str = "for kind in rsa ecdsa ed25519; do
    key=/container/etc/ssh/ssh_host_${kind}_key
    rm -f $key $key.pub
    ssh-keygen -q -t $kind -N '' -C \"$1\" -f $key || exit 1
done";

/// Gives a new container host keys of its own for SSH, if it has its files.
pub(crate) async fn make_host_keys(
    cx: &Cx,
    vmid: VmId,
    config: &CtConfig,
    by: &Attacher,
) -> Result<(), Error> {
    let mounts = cx.node.container_mounts(config, Purpose::Write, by).await?;
    let (cell, fence) = cell(config, mounts);
    let users = cx
        .node
        .host
        .open_image(Path::new("/etc/passwd"), false, false)
        .await?;
    let name = config.host_name(vmid);
    let short = name.split('.').next().unwrap_or(&name);
    let script = format!("test -d /container/etc/ssh || exit 0\n{HOST_KEYS}");
    let command = Command::new("sh")
        .args(["-c", &script, "sh", &format!("root@{short}")])
        .timeout(None)
        .fence(fence.file("/etc/passwd", users, false))
        .cell(cell);
    let output = cx.run(command).await?;
    if !output.success() {
        let complaint = output.complaint();
        cx.warn(&format!("no host keys for SSH were made: {complaint}"))
            .await;
    }
    Ok(())
}

/// Where this program is, also after another version took its place.
pub(super) fn own_program() -> Result<PathBuf, Error> {
    let path = std::env::current_exe()
        .map_err(|error| Error::bug(format!("our own program cannot be found: {error}")))?;
    let text = path.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(path) => path.into(),
        None => path.clone(),
    })
}
