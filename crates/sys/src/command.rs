//! A program to be run, as data.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Error;
use tokio::sync::mpsc::UnboundedSender;

use crate::{Cell, ScopeName};

/// Where a program's output goes.
#[derive(Debug, Clone, Default)]
pub enum Stdio {
    /// Kept and returned (by `run`), or thrown away (by `spawn`).
    #[default]
    Captured,
    /// Written to the end of this file.
    File(PathBuf),
}

/// A program with its arguments. The environment contains only `PATH`, `LANG=C.UTF-8` and what is
/// set here: output must not depend on the caller's environment.
#[derive(Clone, Default)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Written to the program's standard input, which is otherwise empty.
    pub input: Vec<u8>,
    pub output: Stdio,
    /// After this the program is killed. None only if its owner ends it in another way.
    pub timeout: Option<Duration>,
    /// After this it is killed also if we have ended: what it changes must not change later. Not for a
    /// program in a scope, which is killed with that.
    pub deadline: Option<Duration>,
    /// Run as this user and group, without supplementary groups but those of `groups_of`.
    pub user: Option<(u32, u32)>,
    /// Files that the program may open if their group may: it gets those groups, but never root's.
    pub groups_of: Vec<PathBuf>,
    /// It may lock all of its memory, as devices that read and write it need it.
    pub locks_memory: bool,
    /// Descriptors passed to the program, as (number there, descriptor).
    pub descriptors: Vec<(i32, Arc<OwnedFd>)>,
    /// The existing scope that `run` starts it in; by default our own. A program in a scope can be
    /// found and killed also by a process that did not start it.
    pub scope: Option<ScopeName>,
    /// For a program that reads untrusted data.
    pub fence: Option<Fence>,
    /// For a program that works with the files of a container. With a fence, it runs as the
    /// container's root.
    pub cell: Option<Cell>,
    /// Receives the program's standard output while `run` waits.
    pub heard_by: Option<UnboundedSender<Vec<u8>>>,
}

/// The confinement of a program that reads untrusted data. The program sees these files and the
/// system's programs and libraries, has no network unless it needs it, and is limited in memory and CPU
/// time. It runs
/// without root's rights, but file modes do not keep it from the files listed here.
#[derive(Debug, Clone)]
pub struct Fence {
    pub files: Vec<Fenced>,
    /// Folders in which the program may create files, if their modes allow it; not links.
    pub folders: Vec<PathBuf>,
    pub memory_bytes: u64,
    /// CPU time; none for a long-running program.
    pub cpu: Option<Duration>,
    /// Whether it has the host's network, for an image that a server has.
    pub network: bool,
    /// Whether a container's root may make devices among its files. Without, it still makes those of
    /// 0:0, by which overlays say that a file is gone.
    pub devices: bool,
}

/// A file inside a fence, at the same path as outside. The descriptor decides which file it is,
/// even if the path leads to another one by now.
#[derive(Debug, Clone)]
pub struct Fenced {
    pub path: PathBuf,
    pub file: Arc<OwnedFd>,
    pub write: bool,
}

impl Fence {
    /// For tools on disk images: their tables take a few hundred MiB at most, and the limit counts
    /// address space, of which each thread takes some.
    const MEMORY_BYTES: u64 = 4 << 30;
    const MEMORY_BYTES_ONLINE: u64 = 16 << 30;

    pub fn new(cpu: Option<Duration>) -> Self {
        Self {
            files: Vec::new(),
            folders: Vec::new(),
            memory_bytes: Self::MEMORY_BYTES,
            cpu,
            network: false,
            devices: true,
        }
    }

    /// For files that come from anybody, and whose ids are the host's.
    #[must_use]
    pub fn without_devices(mut self) -> Self {
        self.devices = false;
        self
    }

    /// Libraries that speak to a cluster have some dozens of threads.
    #[must_use]
    pub fn network(mut self) -> Self {
        self.network = true;
        self.memory_bytes = Self::MEMORY_BYTES_ONLINE;
        self
    }

    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folders.push(path.into());
        self
    }

    /// A path that is given twice is one file, which can be written if one of them says so.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, file: Arc<OwnedFd>, write: bool) -> Self {
        let path = path.into();
        match self.files.iter_mut().find(|known| known.path == path) {
            Some(known) if write && !known.write => *known = Fenced { path, file, write },
            Some(_) => {}
            None => self.files.push(Fenced { path, file, write }),
        }
        self
    }
}

impl fmt::Debug for Command {
    /// Leaves out the input: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

impl Command {
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            timeout: Some(Duration::from_secs(60)),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    #[must_use]
    pub fn output(mut self, output: Stdio) -> Self {
        self.output = output;
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    #[must_use]
    pub fn scope(mut self, scope: ScopeName) -> Self {
        self.scope = Some(scope);
        self
    }

    #[must_use]
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    #[must_use]
    pub fn cell(mut self, cell: Cell) -> Self {
        self.cell = Some(cell);
        self
    }

    #[must_use]
    pub fn heard_by(mut self, listener: UnboundedSender<Vec<u8>>) -> Self {
        self.heard_by = Some(listener);
        self
    }

    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line that is not empty, as the program's error message.
    pub fn complaint(&self) -> String {
        let text = if self.stderr.is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(text);
        text.lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or("no output")
            .to_owned()
    }

    /// The output, if the program succeeded.
    pub fn checked(self, program: &str) -> Result<Vec<u8>, crate::SysError> {
        if self.success() {
            return Ok(self.stdout);
        }
        let status = match self.code {
            Some(code) => format!("exit code {code}"),
            None => "a signal".to_owned(),
        };
        let message = self.complaint();
        Err(crate::SysError::ProgramFailed {
            program: program.to_owned(),
            status,
            message,
        })
    }

    /// The output as JSON, if the program succeeded.
    pub fn json(self, program: &str) -> Result<serde_json::Value, Error> {
        let stdout = self.checked(program)?;
        serde_json::from_slice(&stdout)
            .map_err(|error| Error::bug(format!("{program} printed invalid JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_twice_is_one_file() {
        let file = || {
            Arc::new(OwnedFd::from(
                std::fs::File::open("/dev/null").expect("a file"),
            ))
        };
        let fence = Fence::new(None)
            .file("/etc/key", file(), false)
            .file("/etc/key", file(), true)
            .file("/etc/key", file(), false)
            .file("/etc/other", file(), false);
        let all: Vec<(&str, bool)> = fence
            .files
            .iter()
            .map(|fenced| (fenced.path.to_str().expect("text"), fenced.write))
            .collect();
        assert_eq!(all, [("/etc/key", true), ("/etc/other", false)]);
    }
}
