//! Folders of this host that a guest mounts: the programs that serve them (virtiofsd), in the
//! guest's own scope. They end when QEMU closes its connection.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use guest::qemu::{RuntimePaths, VmConfig};
use model::qemu::VirtioFs;
use model::{Error, MappingKind, VmId};
use sys::{Command, ScopeName, Stdio, SysError};

use crate::NodeContext;
use crate::mappings::check_entry;

/// Where the program may be: Debian 12's is QEMU's own, newer ones are a package.
const PROGRAMS: [&str; 2] = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];

/// QEMU's own takes other options.
const OF_QEMU: &str = "/usr/lib/qemu/virtiofsd";

/// The number of the socket's descriptor in the program.
const SOCKET: i32 = 3;

/// Makes sure that the folders and the program are there.
pub(crate) async fn check(node: &NodeContext, config: &VmConfig) -> Result<(), Error> {
    for (index, share) in &config.shares {
        folder(node, share).await.map_err(|error| Error {
            message: format!("virtiofs{index}: {}", error.message),
            ..error
        })?;
    }
    if !config.shares.is_empty() {
        program(node).await?;
    }
    Ok(())
}

/// The folder that a mapping is on this node.
async fn folder(node: &NodeContext, share: &VirtioFs) -> Result<String, Error> {
    let (kind, id) = (MappingKind::Dir, &share.mapping);
    let (mapping, entries) = node.records.mapped_on(kind, id, &node.name).await?;
    let [entry] = entries.as_slice() else {
        let text = format!("mapping '{id}' has more than one folder on this node");
        return Err(Error::conflict(text));
    };
    let checked = check_entry(&node.host, kind, (id, &mapping), entry).await;
    checked.map_err(Error::conflict)?;
    Ok(entry.text("path").unwrap_or_default().to_owned())
}

async fn program(node: &NodeContext) -> Result<&'static str, Error> {
    for path in PROGRAMS {
        if node.host.stat(Path::new(path)).await?.is_some() {
            return Ok(path);
        }
    }
    Err(Error::unavailable("virtiofsd is not installed"))
}

/// Starts a program for each folder. Its socket listens before: QEMU need not wait for it.
pub(crate) async fn start(
    node: &NodeContext,
    vmid: VmId,
    config: &VmConfig,
    paths: &RuntimePaths,
    user: Option<(u32, u32)>,
) -> Result<(), Error> {
    let scope = ScopeName::guest(vmid);
    for (index, share) in &config.shares {
        let (folder, socket) = (folder(node, share).await?, paths.share(*index));
        let listening = node.host.listen(Path::new(&socket), user).await?;
        // The programs wait for a client in the call itself.
        let listening = std::os::unix::net::UnixListener::from(listening);
        let blocking = listening.set_nonblocking(false);
        blocking.map_err(|error| SysError::io("set up", Path::new(&socket), error))?;
        let program = program(node).await?;
        let command = Command {
            args: arguments(program, share, &folder),
            descriptors: vec![(SOCKET, Arc::new(OwnedFd::from(listening)))],
            output: Stdio::File(node.paths.guest_log(vmid)),
            timeout: None,
            ..Command::new(program)
        };
        node.host.spawn(command, &scope).await?;
    }
    Ok(())
}

/// It confines itself to the folder.
fn arguments(program: &str, share: &VirtioFs, folder: &str) -> Vec<String> {
    let cache = share.cache.as_deref().unwrap_or("auto");
    let mut arguments = vec![format!("--fd={SOCKET}")];
    if program == OF_QEMU {
        let mut option = |option: String| arguments.extend(["-o".to_owned(), option]);
        option(format!("source={}", folder.replace(',', "\\,")));
        // Its word for metadata alone, and for nothing.
        let cache = match cache {
            "never" | "metadata" => "none",
            cache => cache,
        };
        option(format!("cache={cache}"));
        let flags = [
            ("xattr", share.has_attributes),
            ("posix_acl", share.has_acls),
            ("allow_direct_io", share.allows_direct_io),
        ];
        for (name, on) in flags {
            option(match on {
                true => name.to_owned(),
                false => format!("no_{name}"),
            });
        }
        return arguments;
    }
    arguments.extend([
        format!("--shared-dir={folder}"),
        format!("--cache={cache}"),
        "--announce-submounts".to_owned(),
    ]);
    let flags = [
        ("--xattr", share.has_attributes),
        ("--posix-acl", share.has_acls),
        ("--allow-direct-io", share.allows_direct_io),
    ];
    let flags = flags.into_iter().filter(|(_, on)| *on);
    arguments.extend(flags.map(|(flag, _)| flag.to_owned()));
    arguments
}
