//! What Proxmox VE left: the files of `/etc/pve`, from a copy of that folder or from the database behind it
//! (`/var/lib/pve-cluster/config.db`). Nothing is written to either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use model::{Error, GuestKind, NodeName, VmId};
use node::NodeContext;
use sys::{FileKind, SharedHost};

use super::database;

/// What Proxmox VE holds in `/etc/pve` at most.
const BYTES_MAX: u64 = 128 << 20;
const FILES_MAX: usize = 100_000;
/// Files that are larger are no files of Proxmox VE's.
const FILE_MAX: u64 = 1 << 20;
const DEPTH_MAX: usize = 8;

/// The files, by their path below `/etc/pve`.
#[derive(Debug, Default)]
pub(super) struct Source(BTreeMap<String, Vec<u8>>);

/// A guest's file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GuestPath {
    pub(super) vmid: VmId,
    pub(super) kind: GuestKind,
    pub(super) path: String,
}

impl Source {
    pub(super) async fn read(node: &NodeContext, path: &Path) -> Result<Self, Error> {
        let invalid = |reason: String| Error::invalid("source", reason);
        if !path.is_absolute() {
            return Err(invalid(format!("'{}' is no absolute path", path.display())));
        }
        // The path that was given may be a link; those below it are not followed.
        let path = node.host.resolve(path).await;
        let path = path.map_err(|error| invalid(error.to_string()))?;
        let found = node.host.stat(&path).await?;
        let found = found.ok_or_else(|| invalid(format!("{} does not exist", path.display())))?;
        let files = match found.kind {
            FileKind::Directory => folder(&node.host, &path).await?,
            FileKind::File => database::read(node, &path).await?,
            _ => {
                return Err(invalid(format!(
                    "{} is no folder and no database",
                    path.display()
                )));
            }
        };
        let source = Self(files);
        match source.guests(None).is_empty() && source.text("storage.cfg").is_none() {
            true => Err(invalid(format!(
                "{} holds neither 'storage.cfg' nor a guest ('nodes/NAME/qemu-server/100.conf' or 'qemu-server/100.conf')",
                path.display()
            ))),
            false => Ok(source),
        }
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter();
        Self(
            files
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect(),
        )
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.0.get(path)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The nodes that have a folder.
    pub(super) fn nodes(&self) -> BTreeSet<String> {
        let below = self.paths().filter_map(|path| path.strip_prefix("nodes/"));
        below
            .filter_map(|path| Some(path.split_once('/')?.0.to_owned()))
            .collect()
    }

    /// The guests of a node, or those that lie below no node.
    pub(super) fn guests(&self, of: Option<&str>) -> Vec<GuestPath> {
        let prefix = of.map_or_else(String::new, |node| format!("nodes/{node}/"));
        let guest = |path: &str| {
            let (folder, file) = path.strip_prefix(&prefix)?.split_once('/')?;
            let kind = match folder {
                "qemu-server" => GuestKind::Qemu,
                "lxc" => GuestKind::Lxc,
                _ => return None,
            };
            let vmid = file.strip_suffix(".conf")?.parse().ok()?;
            let path = path.to_owned();
            Some(GuestPath { vmid, kind, path })
        };
        let mut guests: Vec<GuestPath> = self.paths().filter_map(guest).collect();
        guests.sort_by_key(|guest| guest.vmid);
        guests
    }

    /// The node whose guests are meant: the one that is named, the only one that there is, or the one of
    /// this node's name. None where the files are of no node.
    pub(super) fn node(
        &self,
        named: Option<&str>,
        own: &NodeName,
    ) -> Result<Option<String>, Error> {
        let nodes = self.nodes();
        let list = || nodes.iter().cloned().collect::<Vec<_>>().join(", ");
        let invalid = |reason: String| Err(Error::invalid("source-node", reason));
        match named {
            Some(named) if nodes.contains(named) => Ok(Some(named.to_owned())),
            Some(named) if nodes.is_empty() => {
                invalid(format!("the source has no folder 'nodes/{named}'"))
            }
            Some(named) => invalid(format!("no such node '{named}'; there are: {}", list())),
            None if nodes.is_empty() => Ok(None),
            None if nodes.len() == 1 => Ok(nodes.first().cloned()),
            None if nodes.contains(own.as_str()) => Ok(Some(own.to_string())),
            None => invalid(format!("the source has several nodes: {}", list())),
        }
    }
}

/// All files below a folder. Links lead to other files of the same folder, and are left out.
async fn folder(host: &SharedHost, root: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    let mut folders: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, name, depth)) = folders.pop() {
        for entry in host.list(&folder).await? {
            let path = folder.join(&entry.name);
            let inner = match name.as_str() {
                "" => entry.name.clone(),
                name => format!("{name}/{}", entry.name),
            };
            match entry.kind {
                // What Proxmox VE computes: `.members`, `.vmlist`.
                _ if entry.name.starts_with('.') => {}
                FileKind::Directory if depth < DEPTH_MAX => folders.push((path, inner, depth + 1)),
                FileKind::File if entry.size <= FILE_MAX => {
                    bytes += entry.size;
                    files.insert(inner, host.read(&path).await?);
                }
                _ => {}
            }
            if bytes > BYTES_MAX || files.len() > FILES_MAX {
                let text = format!("{} holds too much for a copy of /etc/pve", root.display());
                return Err(Error::invalid("source", text));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::of(&[
            ("storage.cfg", ""),
            ("nodes/a/qemu-server/101.conf", ""),
            ("nodes/a/qemu-server/100.conf", ""),
            ("nodes/a/lxc/200.conf", ""),
            ("nodes/a/lxc/x.conf", ""),
            ("nodes/a/pve-ssl.pem", ""),
            ("nodes/b/lxc/300.conf", ""),
        ])
    }

    #[test]
    fn guests_are_found_by_their_node() {
        let source = source();
        let numbers = |of| -> Vec<u32> {
            let guests = source.guests(of).into_iter();
            guests.map(|guest| guest.vmid.get()).collect()
        };
        assert_eq!(numbers(Some("a")), [100, 101, 200]);
        assert_eq!(numbers(Some("b")), [300]);
        assert_eq!(numbers(None), [] as [u32; 0]);
        let flat = Source::of(&[("lxc/9000.conf", "")]);
        assert_eq!(flat.guests(None)[0].kind, GuestKind::Lxc);
    }

    #[test]
    fn the_node_is_named_or_clear() {
        let source = source();
        let own = |name: &str| name.parse::<NodeName>().unwrap();
        assert_eq!(
            source.node(Some("b"), &own("x")).unwrap().as_deref(),
            Some("b")
        );
        assert_eq!(source.node(None, &own("a")).unwrap().as_deref(), Some("a"));
        for (named, own_name) in [(None, "x"), (Some("c"), "a")] {
            let error = source.node(named, &own(own_name)).unwrap_err();
            assert!(error.fields["source-node"].contains("a, b"), "{error:?}");
        }
        let flat = Source::of(&[("lxc/9000.conf", "")]);
        assert_eq!(flat.node(None, &own("a")).unwrap(), None);
    }
}
