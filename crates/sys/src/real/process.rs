//! Processes by fork and exec, and their data in `/proc`.
#![allow(
    unsafe_code,
    reason = "code between fork and exec, and signals, need it"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio as StdStdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::io::fcntl_dupfd_cloexec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedSender;

use super::cell::Rooms;
use super::fence::Walls;
use super::{RealHost, blocking};
use crate::{
    Command, Limits, Output, ProcessId, Processes, ScopeName, Scopes, Stdio, Stream, SysError,
    Terminal, Usage, terminal,
};

#[async_trait]
impl Processes for RealHost {
    async fn run(&self, command: Command) -> Result<Output, SysError> {
        let confined = self.confine(&command).await?;
        let mut child = self.prepare(&command, confined)?;
        child.stdin(StdStdio::piped()).kill_on_drop(true);
        if matches!(command.output, Stdio::Captured) {
            child.stdout(StdStdio::piped()).stderr(StdStdio::piped());
        }
        if let Some(scope) = &command.scope {
            self.enter(&mut child, scope, above_passed(&command))?;
        }
        let mut child = child
            .spawn()
            .map_err(|error| not_started(&command, error))?;
        let mut stdin = child.stdin.take();
        let input = command.input.clone();
        let feed = async move {
            if let Some(stdin) = &mut stdin {
                // A program need not read its input.
                let _ = stdin.write_all(&input).await;
            }
            drop(stdin);
        };
        let heard = command
            .heard_by
            .clone()
            .zip(child.stdout.take_if(|_| command.heard_by.is_some()));
        let tell = async move {
            if let Some((listener, stdout)) = heard {
                tell(&listener, stdout).await;
            }
        };
        let group = command.deadline.and_then(|_| child.id()).map(Group);
        let ended = async { tokio::join!(feed, tell, child.wait_with_output()).2 };
        let output = end_with(group, ended);
        let output = match command.timeout {
            None => output.await,
            Some(after) => match tokio::time::timeout(after, output).await {
                Ok(output) => output,
                Err(_) => {
                    let program = command.program;
                    return Err(SysError::ProgramTimeout { program, after });
                }
            },
        };
        let output = output.map_err(|error| not_started(&command, error))?;
        if let Some(after) = command.deadline {
            let program = command.program.clone();
            match output.status.code() {
                // It was killed, and `timeout` with it or after it.
                None | Some(KILLED) => return Err(SysError::ProgramTimeout { program, after }),
                Some(MISSING) => return Err(SysError::ProgramMissing { program }),
                Some(_) => {}
            }
        }
        Ok(Output {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    async fn spawn(&self, command: Command, scope: &ScopeName) -> Result<ProcessId, SysError> {
        let confined = self.confine(&command).await?;
        let mut child = self.prepare(&command, confined)?;
        child.stdin(StdStdio::null());
        if matches!(command.output, Stdio::Captured) {
            child.stdout(StdStdio::null()).stderr(StdStdio::null());
        }
        self.enter(&mut child, scope, above_passed(&command))?;
        let child = child
            .spawn()
            .map_err(|error| not_started(&command, error))?;
        let pid = child
            .id()
            .expect("a child has its pid until it is waited for");
        // Dropping the handle leaves it running; the runtime reaps it when it ends.
        drop(child);
        identify(&self.boot_id, pid)
    }

    async fn spawn_at_terminal(
        &self,
        command: Command,
        scope: &ScopeName,
    ) -> Result<Terminal, SysError> {
        let failed = |error| not_started(&command, error);
        let (ours, theirs) = terminal::pair().map_err(failed)?;
        let confined = self.confine(&command).await?;
        let mut child = self.prepare(&command, confined)?;
        for place in [
            tokio::process::Command::stdin,
            tokio::process::Command::stdout,
            tokio::process::Command::stderr,
        ] {
            place(
                &mut child,
                StdStdio::from(theirs.try_clone().map_err(failed)?),
            );
        }
        self.enter(&mut child, scope, above_passed(&command))?;
        // SAFETY: between fork and exec only one async-signal-safe call is made (ioctl). The
        // session is new by then, and standard input is the terminal.
        unsafe {
            child.pre_exec(|| match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let child = child.spawn().map_err(failed)?;
        drop(theirs);
        Terminal::of(ours, child).map_err(failed)
    }

    async fn is_alive(&self, process: &ProcessId) -> Result<bool, SysError> {
        let same_boot = process.boot_id == self.boot_id;
        Ok(same_boot && start_time(process.pid)? == Some(process.start_time))
    }

    async fn connect(&self, socket: &Path) -> Result<Box<dyn Stream>, SysError> {
        let stream = connect(socket).await;
        let stream = stream.map_err(|source| SysError::io("connect to", socket, source))?;
        Ok(Box::new(stream))
    }

    async fn connect_descriptor(&self, socket: &Path) -> Result<OwnedFd, SysError> {
        let stream = connect(socket).await;
        let stream = stream.and_then(tokio::net::UnixStream::into_std);
        stream
            .map(OwnedFd::from)
            .map_err(|source| SysError::io("connect to", socket, source))
    }

    async fn listen(&self, socket: &Path, user: Option<(u32, u32)>) -> Result<OwnedFd, SysError> {
        // The folder is on a file system in memory.
        let listen = || {
            let listener = std::os::unix::net::UnixListener::bind(socket)?;
            listener.set_nonblocking(true)?;
            std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
            if let Some((uid, gid)) = user {
                std::os::unix::fs::lchown(socket, Some(uid), Some(gid))?;
            }
            Ok(OwnedFd::from(listener))
        };
        listen().map_err(|source| SysError::io("listen at", socket, source))
    }
}

/// What a child enters before it becomes its program.
enum Confined {
    No,
    /// A fence, with or without a container's files.
    Within(Walls),
    /// The host, with a container's files mounted.
    Beside(Rooms),
}

impl Confined {
    /// For the child, between fork and exec. True if its user and rights are settled by that.
    fn enter(&self) -> io::Result<bool> {
        let own = match self {
            Self::No => return Ok(false),
            Self::Within(walls) if walls.has_network => libc::CLONE_NEWNS | libc::CLONE_NEWIPC,
            Self::Within(_) => libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC,
            Self::Beside(_) => libc::CLONE_NEWNS,
        };
        // SAFETY: the call takes no pointers.
        if unsafe { libc::unshare(own) } < 0 {
            return Err(io::Error::last_os_error());
        }
        match self {
            Self::No => Ok(false),
            Self::Within(walls) => walls.enter().map(|()| true),
            Self::Beside(rooms) => {
                keep_mounts_apart()?;
                rooms.hide()?;
                rooms.put_up().map(|()| false)
            }
        }
    }
}

/// How `timeout` ends if it has killed the program, and if there is no such program (timeout(1)).
const KILLED: i32 = 137;
const MISSING: i32 = 127;

/// A program below `timeout`, which kills it whether we are there or not. The two are a process
/// group.
#[expect(clippy::disallowed_methods, reason = "this is how programs are run")]
fn with_deadline(program: &str, deadline: Duration) -> tokio::process::Command {
    let mut child = tokio::process::Command::new("timeout");
    let after = format!("{:.3}", deadline.as_secs_f64());
    child
        .args(["--signal=KILL", &after, program])
        .process_group(0);
    child
}

/// The process group of a child that has not been waited for.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let group = i32::try_from(self.0)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Waits for a child; if the caller stops waiting, its group is killed before the child is forgotten.
async fn end_with<T>(group: Option<Group>, ended: impl Future<Output = T>) -> T {
    let mut ended = std::pin::pin!(ended);
    let group = group;
    let output = ended.as_mut().await;
    std::mem::forget(group);
    output
}

impl RealHost {
    /// Prepares what the child enters. Mounting may take as long as a journal takes to be read.
    async fn confine(&self, command: &Command) -> Result<Confined, SysError> {
        // Without root there are no rights to drop.
        let fence = command.fence.clone();
        let fence = fence.filter(|_| rustix::process::geteuid().is_root());
        let user = command.user.unwrap_or(self.tools_user);
        match (fence, command.cell.clone()) {
            (None, None) => Ok(Confined::No),
            (Some(fence), None) => Walls::around(&fence, user).map(Confined::Within),
            (Some(fence), Some(cell)) => {
                blocking(move || Walls::around_cell(&fence, &cell).map(Confined::Within)).await
            }
            (None, Some(cell)) => {
                blocking(move || Rooms::prepare(&cell, false).map(Confined::Beside)).await
            }
        }
    }

    /// The parts that `run` and `spawn` share: arguments, environment, user, descriptors, fence.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where processes are made"
    )]
    fn prepare(
        &self,
        command: &Command,
        confined: Confined,
    ) -> Result<tokio::process::Command, SysError> {
        let mut child = match command.deadline {
            None => tokio::process::Command::new(&command.program),
            Some(deadline) => with_deadline(&command.program, deadline),
        };
        child.args(&command.args).env_clear().current_dir("/");
        child.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        child
            .env("LANG", "C.UTF-8")
            .envs(command.env.iter().map(|(name, value)| (name, value)));
        if let Stdio::File(path) = &command.output {
            let (stdout, stderr) = open_log(path)?;
            child.stdout(stdout).stderr(stderr);
        }
        let user = command.user;
        let groups = groups_of(&command.groups_of)?;
        let descriptors: Vec<(RawFd, Arc<OwnedFd>)> = command.descriptors.clone();
        let above = above_passed(command);
        let locks_memory = command.locks_memory;
        let mut moved = vec![-1; descriptors.len()];
        // SAFETY: between fork and exec only async-signal-safe calls are made (fcntl, dup2,
        // setrlimit, setgroups, setgid, setuid, unshare, and system calls for a fence) and nothing is allocated.
        // The descriptors live in the closure, so their numbers are valid.
        unsafe {
            child.pre_exec(move || {
                // First to unused numbers, so that no source is overwritten.
                for ((_, descriptor), place) in descriptors.iter().zip(&mut moved) {
                    *place = libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above);
                    if *place < 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                for ((target, _), place) in descriptors.iter().zip(&moved) {
                    if libc::dup2(*place, *target) < 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                if locks_memory {
                    let limit = rustix::process::Rlimit {
                        current: None,
                        maximum: None,
                    };
                    rustix::process::setrlimit(rustix::process::Resource::Memlock, limit)?;
                }
                if confined.enter()? {
                    return Ok(());
                }
                let Some((uid, gid)) = user else {
                    return Ok(());
                };
                let ok = libc::setgroups(groups.len(), groups.as_ptr()) == 0
                    && libc::setgid(gid) == 0
                    && libc::setuid(uid) == 0;
                if ok {
                    Ok(())
                } else {
                    Err(io::Error::last_os_error())
                }
            });
        }
        Ok(child)
    }

    /// Makes a child enter a scope, in a session of its own, before exec. Its descriptors below
    /// `above` are others by then.
    fn enter(
        &self,
        child: &mut tokio::process::Command,
        scope: &ScopeName,
        above: RawFd,
    ) -> Result<(), SysError> {
        let mut entrances = Vec::new();
        for path in self.cgroup.entrances(scope) {
            let file = std::fs::OpenOptions::new().write(true).open(&path);
            let file = file.and_then(|file| Ok(fcntl_dupfd_cloexec(file, above)?));
            entrances.push(file.map_err(|source| SysError::io("open", &path, source))?);
        }
        // SAFETY: between fork and exec only async-signal-safe calls are made (setsid, write).
        unsafe {
            child.pre_exec(move || {
                if libc::setsid() < 0 {
                    return Err(io::Error::last_os_error());
                }
                for file in &entrances {
                    if libc::write(file.as_raw_fd(), b"0".as_ptr().cast(), 1) != 1 {
                        return Err(io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        Ok(())
    }
}

/// Nothing that is mounted in this process's namespace is seen in another one.
fn keep_mounts_apart() -> io::Result<()> {
    use rustix::mount::MountPropagationFlags;
    let apart = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change(c"/", apart)?)
}

/// Connects to the socket at this path, not through a link. The peer must be the owner of the
/// socket's folder.
async fn connect(path: &Path) -> io::Result<tokio::net::UnixStream> {
    use rustix::fs::{FileType, Mode, OFlags};
    use std::os::unix::fs::MetadataExt;
    let refused = |text: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = rustix::fs::open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode) != FileType::Socket {
        return refused("it is not a socket");
    }
    let stream = tokio::net::UnixStream::connect(crate::upload_file::path_of(&socket)).await?;
    let owner = std::fs::metadata(path.parent().unwrap_or(path))?.uid();
    if stream.peer_cred()?.uid() != owner {
        return refused("another user answers");
    }
    Ok(stream)
}

/// A number above all that descriptors are passed as.
fn above_passed(command: &Command) -> RawFd {
    let targets = command.descriptors.iter().map(|(target, _)| target + 1);
    targets.max().unwrap_or(0)
}

/// Passes a program's output on as it arrives.
async fn tell(listener: &UnboundedSender<Vec<u8>>, mut stdout: tokio::process::ChildStdout) {
    let mut part = vec![0; 4096];
    while let Ok(length @ 1..) = stdout.read(&mut part).await {
        // If the receiver is gone, the program continues.
        let _ = listener.send(part[..length].to_vec());
    }
}

/// The groups of these files, but never root's.
fn groups_of(files: &[std::path::PathBuf]) -> Result<Vec<libc::gid_t>, SysError> {
    use std::os::unix::fs::MetadataExt;
    let mut groups = Vec::new();
    for path in files {
        let metadata =
            std::fs::metadata(path).map_err(|source| SysError::io("examine", path, source))?;
        if metadata.gid() != 0 {
            groups.push(metadata.gid());
        }
    }
    Ok(groups)
}

fn not_started(command: &Command, source: io::Error) -> SysError {
    if source.kind() == io::ErrorKind::NotFound {
        return SysError::ProgramMissing {
            program: command.program.clone(),
        };
    }
    SysError::Io {
        action: "run",
        object: command.program.clone(),
        source,
    }
}

/// Opens a log, never through a link, for a program's output and errors.
fn open_log(path: &Path) -> Result<(StdStdio, StdStdio), SysError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let both = file.and_then(|file| Ok((file.try_clone()?, file)));
    let (one, other) = both.map_err(|source| SysError::io("open", path, source))?;
    Ok((StdStdio::from(one), StdStdio::from(other)))
}

/// Kills a process; it may be gone already.
pub(super) fn kill(pid: u32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    // SAFETY: kill takes no pointers.
    let _ = unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// The start time of a process in clock ticks after boot; none if it is gone or a zombie.
fn start_time(pid: u32) -> Result<Option<u64>, SysError> {
    let path = format!("/proc/{pid}/stat");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // Gone, or gone while we read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(source) => return Err(SysError::io("read", Path::new(&path), source)),
    };
    // The name in parentheses may contain anything; the fields begin after the last one.
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    let state = fields.first().copied().unwrap_or("Z");
    let start = fields.get(19).and_then(|field| field.parse().ok());
    Ok(start.filter(|_| !matches!(state, "Z" | "X")))
}

fn identify(boot_id: &str, pid: u32) -> Result<ProcessId, SysError> {
    let start_time = start_time(pid)?.ok_or_else(|| SysError::ProgramFailed {
        program: format!("process {pid}"),
        status: "its start".to_owned(),
        message: "it ended at once".to_owned(),
    })?;
    Ok(ProcessId {
        boot_id: boot_id.to_owned(),
        pid,
        start_time,
    })
}

#[async_trait]
impl Scopes for RealHost {
    async fn create_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let (cgroup, scope, limits) = (self.cgroup.clone(), scope.clone(), limits.clone());
        blocking(move || cgroup.create(&scope, &limits)).await
    }

    async fn limit_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let (cgroup, scope, limits) = (self.cgroup.clone(), scope.clone(), limits.clone());
        blocking(move || cgroup.limit(&scope, &limits)).await
    }

    async fn scopes(&self) -> Result<Vec<ScopeName>, SysError> {
        let cgroup = self.cgroup.clone();
        blocking(move || cgroup.scopes()).await
    }

    async fn members(&self, scope: &ScopeName) -> Result<Vec<ProcessId>, SysError> {
        let (cgroup, scope, boot_id) = (self.cgroup.clone(), scope.clone(), self.boot_id.clone());
        blocking(move || {
            let pids = cgroup.pids(&scope)?;
            Ok(pids
                .into_iter()
                .filter_map(|pid| identify(&boot_id, pid).ok())
                .collect())
        })
        .await
    }

    async fn freeze_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let (cgroup, scope) = (self.cgroup.clone(), scope.clone());
        blocking(move || cgroup.freeze(&scope)).await
    }

    async fn thaw_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let (cgroup, scope) = (self.cgroup.clone(), scope.clone());
        blocking(move || cgroup.thaw(&scope)).await
    }

    async fn kill_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let (cgroup, scope) = (self.cgroup.clone(), scope.clone());
        blocking(move || cgroup.kill(&scope)).await
    }

    async fn remove_scope(&self, scope: &ScopeName) -> Result<bool, SysError> {
        let (cgroup, scope) = (self.cgroup.clone(), scope.clone());
        blocking(move || cgroup.remove(&scope)).await
    }

    async fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError> {
        let (cgroup, scope) = (self.cgroup.clone(), scope.clone());
        blocking(move || cgroup.usage(&scope)).await
    }
}
