//! Any host, with calls that break on demand.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sys::{
    Cell, CellMount, Command, DeviceNumber, FileEntry, Files, Limits, Link, Links, Measured,
    Output, ProcessId, Processes, ScopeName, Scopes, SharedHost, SpaceUsage, Stream, SysError,
    TapOptions, Terminal, Usage,
};

use crate::Faults;

/// A host whose calls are counted and broken by `Faults`. What has broken after its work has really
/// done it.
#[derive(Clone)]
pub struct FaultyHost {
    host: SharedHost,
    faults: Faults,
}

impl FaultyHost {
    pub fn new(host: SharedHost, faults: Faults) -> Self {
        Self { host, faults }
    }
}

/// Passes the methods of a trait on, each as a call with these words.
macro_rules! passes_on {
    ($trait:ident: $($words:expr, $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $trait for FaultyHost {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, SysError> {
                let call = self.faults.begin(|| $words).await?;
                let answer = self.host.$name($($arg),*).await?;
                call.end(answer).await
            })*
        }
    };
}

passes_on! { Files:
    format!("read {path:?}"), read(path: &Path) -> Vec<u8>;
    format!("write {path:?}"), write(path: &Path, content: &[u8], mode: u32) -> ();
    format!("set {path:?}"), set(path: &Path, value: &[u8]) -> ();
    format!("append to {path:?}"), append(path: &Path, content: &[u8], sync: bool) -> ();
    format!("remove {path:?}"), remove(path: &Path) -> bool;
    format!("rename {from:?} to {to:?}"), rename(from: &Path, to: &Path) -> ();
    format!("replace by {from:?} to {to:?}"), replace(from: &Path, to: &Path) -> ();
    format!("create directory {path:?}"), create_dir(path: &Path, mode: u32) -> ();
    format!("remove directory {path:?}"), remove_dir(path: &Path) -> bool;
    format!("remove tree {path:?}"), remove_tree(path: &Path) -> bool;
    format!("examine {path:?}"), stat(path: &Path) -> Option<FileEntry>;
    format!("list {path:?}"), list(path: &Path) -> Vec<FileEntry>;
    format!("sync {path:?}"), sync(path: &Path) -> ();
    format!("sync {mount:?}"), sync_mount(mount: &CellMount) -> ();
    format!("grow {mount:?}"), grow_mount(mount: &CellMount) -> ();
    format!("trim {mount:?}"), trim_mount(mount: &CellMount) -> u64;
    format!("measure {mount:?}"), mount_space(mount: &CellMount) -> SpaceUsage;
    format!("mount {:?}", cell.at), mount_cell(cell: &Cell) -> ();
    format!("unmount {folder:?}"), unmount_cell(folder: &Path) -> bool;
    format!("examine {path:?}"), resolve(path: &Path) -> PathBuf;
    format!("examine {path:?}"), open_image(path: &Path, write: bool, direct: bool) -> Arc<OwnedFd>;
    format!("examine {path:?}"), device_number(path: &Path) -> Option<DeviceNumber>;
    format!("examine {path:?}"), is_device_free(path: &Path) -> bool;
    format!("make device {path:?}"),
        make_device(path: &Path, number: DeviceNumber, mode: u32) -> ();
    format!("examine {path:?}"), open_device(path: &Path) -> Arc<OwnedFd>;
    format!("read {path:?}"),
        read_at(image: &Arc<OwnedFd>, path: &Path, offset: u64, length: usize) -> Vec<u8>;
    format!("measure {path:?}"), measure(image: &Arc<OwnedFd>, path: &Path) -> Measured;
    format!("read {path:?}"),
        next_data(image: &Arc<OwnedFd>, path: &Path, offset: u64) -> Option<u64>;
    format!("write to {path:?}"),
        write_at(image: &Arc<OwnedFd>, path: &Path, offset: u64, bytes: Vec<u8>) -> ();
    format!("empty {path:?}"), make_hole(image: &Arc<OwnedFd>, path: &Path, bytes: u64) -> ();
    format!("create a file in {folder:?}"), create_unnamed(folder: &Path) -> OwnedFd;
    format!("name {path:?}"), name_file(file: &Arc<OwnedFd>, path: &Path) -> ();
    format!("exchange {one:?} and {other:?}"), exchange(one: &Path, other: &Path) -> ();
    format!("measure {path:?}"), space(path: &Path) -> SpaceUsage;
    format!("own {path:?}"), chown(path: &Path, uid: u32, gid: u32) -> ();
}

passes_on! { Processes:
    format!("run {} {}", command.program, command.args.join(" ")), run(command: Command) -> Output;
    format!("spawn {}", command.program), spawn(command: Command, scope: &ScopeName) -> ProcessId;
    format!("spawn {} at a terminal", command.program),
        spawn_at_terminal(command: Command, scope: &ScopeName) -> Terminal;
    format!("look for process {process:?}"), is_alive(process: &ProcessId) -> bool;
    format!("connect to {socket:?}"), connect(socket: &Path) -> Box<dyn Stream>;
    format!("connect to {socket:?}"), connect_descriptor(socket: &Path) -> OwnedFd;
    format!("listen at {socket:?}"),
        listen(socket: &Path, user: Option<(u32, u32)>) -> OwnedFd;
}

passes_on! { Scopes:
    format!("create scope {scope}"), create_scope(scope: &ScopeName, limits: &Limits) -> ();
    format!("limit scope {scope}"), limit_scope(scope: &ScopeName, limits: &Limits) -> ();
    "list scopes".to_owned(), scopes() -> Vec<ScopeName>;
    format!("members of {scope}"), members(scope: &ScopeName) -> Vec<ProcessId>;
    format!("freeze scope {scope}"), freeze_scope(scope: &ScopeName) -> ();
    format!("thaw scope {scope}"), thaw_scope(scope: &ScopeName) -> ();
    format!("kill scope {scope}"), kill_scope(scope: &ScopeName) -> ();
    format!("remove scope {scope}"), remove_scope(scope: &ScopeName) -> bool;
    format!("usage of {scope}"), usage(scope: &ScopeName) -> Usage;
}

passes_on! { Links:
    "list links".to_owned(), links() -> Vec<Link>;
    format!("look at link {name}"), link(name: &str) -> Option<Link>;
    format!("create tap {name}"), create_tap(name: &str, options: &TapOptions) -> ();
    format!("open tap {name}"), open_tap(name: &str) -> Arc<OwnedFd>;
    format!("remove tap {name}"), remove_tap(name: &str) -> bool;
    format!("join {link} to {bridge}"), join_bridge(link: &str, bridge: &str) -> ();
    format!("create bridge {name}"), create_bridge(name: &str) -> ();
    format!("remove bridge {name}"), remove_bridge(name: &str) -> bool;
}
