//! Processes and scopes in memory.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use async_trait::async_trait;
use sys::{
    Command, Limits, Output, ProcessId, Processes, ScopeName, Scopes, Stream, SysError, Terminal,
    Usage,
};

use super::{FakeHost, Process};

impl FakeHost {
    /// Drops processes that ended by themselves.
    fn reap(&self) {
        self.world()
            .processes
            .retain(|_, process| process.service.is_alive());
    }
}

#[async_trait]
impl Processes for FakeHost {
    async fn run(&self, command: Command) -> Result<Output, SysError> {
        let what = || format!("run {} {}", command.program, command.args.join(" "));
        let call = self.faults.begin(what).await?;
        let program = self.programs.get(command.program.as_str());
        let program = program.ok_or_else(|| SysError::ProgramMissing {
            program: command.program.clone(),
        })?;
        let output = program(&mut self.world().disk, &command);
        call.end(output).await
    }

    async fn spawn(&self, command: Command, scope: &ScopeName) -> Result<ProcessId, SysError> {
        let call = self
            .faults
            .begin(|| format!("spawn {} in {scope}", command.program))
            .await?;
        let spawner = self.spawners.get(command.program.as_str());
        let spawner = spawner.ok_or_else(|| SysError::ProgramMissing {
            program: command.program.clone(),
        })?;
        let pid = {
            let mut world = self.world();
            if !world.scopes.contains_key(scope.as_str()) {
                return Err(SysError::Unsupported(format!("there is no scope {scope}")));
            }
            world.next_pid += 1;
            let pid = 1000 + world.next_pid;
            let service = spawner(&command);
            let process = Process {
                command,
                scope: scope.to_string(),
                service,
            };
            world.processes.insert(pid, process);
            pid
        };
        call.end(Self::identity(pid)).await
    }

    /// A terminal whose other side is closed.
    async fn spawn_at_terminal(
        &self,
        command: Command,
        scope: &ScopeName,
    ) -> Result<Terminal, SysError> {
        let call = self
            .faults
            .begin(|| format!("spawn {} at a terminal in {scope}", command.program))
            .await?;
        let failed = |source| SysError::io("open", Path::new("a terminal"), source);
        let (ours, _) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let terminal = Terminal::without_program(ours.into()).map_err(failed)?;
        call.end(terminal).await
    }

    async fn is_alive(&self, process: &ProcessId) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("look for process {}", process.pid))
            .await?;
        self.reap();
        let alive = self.world().processes.contains_key(&process.pid);
        call.end(alive).await
    }

    async fn connect(&self, socket: &Path) -> Result<Box<dyn Stream>, SysError> {
        let call = self
            .faults
            .begin(|| format!("connect to {}", socket.display()))
            .await?;
        self.reap();
        let stream = self
            .world()
            .processes
            .values()
            .find_map(|process| process.service.connect(socket, &self.faults));
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let stream = stream.ok_or_else(|| SysError::io("connect to", socket, refused()))?;
        call.end(stream).await
    }

    /// A connection in memory has no descriptors.
    /// One end of a pair, whose other end is closed: nothing is at the other end.
    async fn connect_descriptor(&self, socket: &Path) -> Result<OwnedFd, SysError> {
        let call = self
            .faults
            .begin(|| format!("connect to {}", socket.display()))
            .await?;
        let pair = std::os::unix::net::UnixStream::pair();
        let (ours, _) = pair.map_err(|source| SysError::io("connect to", socket, source))?;
        call.end(OwnedFd::from(ours)).await
    }

    /// A socket that no client can reach, and a file of its name.
    async fn listen(&self, socket: &Path, _user: Option<(u32, u32)>) -> Result<OwnedFd, SysError> {
        let call = self
            .faults
            .begin(|| format!("listen at {}", socket.display()))
            .await?;
        let failed = |source| SysError::io("listen at", socket, source);
        let folder = tempfile::tempdir().map_err(failed)?;
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("socket"));
        let listener = listener.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        self.world().disk.put(socket, Vec::new(), 0)?;
        call.end(OwnedFd::from(listener)).await
    }
}

#[async_trait]
impl Scopes for FakeHost {
    async fn create_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("create scope {scope}"))
            .await?;
        self.world()
            .scopes
            .insert(scope.to_string(), limits.clone());
        call.end(()).await
    }

    async fn limit_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let call = self.faults.begin(|| format!("limit scope {scope}")).await?;
        if let Some(of_scope) = self.world().scopes.get_mut(scope.as_str()) {
            *of_scope = limits.clone();
        }
        call.end(()).await
    }

    async fn scopes(&self) -> Result<Vec<ScopeName>, SysError> {
        let call = self.faults.begin(|| "list scopes".to_owned()).await?;
        let scopes = self
            .world()
            .scopes
            .keys()
            .filter_map(|name| ScopeName::parse(name))
            .collect();
        call.end(scopes).await
    }

    async fn members(&self, scope: &ScopeName) -> Result<Vec<ProcessId>, SysError> {
        let call = self.faults.begin(|| format!("members of {scope}")).await?;
        self.reap();
        let members = {
            let world = self.world();
            let of_scope = world
                .processes
                .iter()
                .filter(|(_, p)| p.scope == scope.as_str());
            of_scope.map(|(pid, _)| Self::identity(*pid)).collect()
        };
        call.end(members).await
    }

    async fn freeze_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("freeze scope {scope}"))
            .await?;
        self.world().frozen.insert(scope.to_string());
        call.end(()).await
    }

    async fn thaw_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let call = self.faults.begin(|| format!("thaw scope {scope}")).await?;
        self.world().frozen.remove(scope.as_str());
        call.end(()).await
    }

    async fn kill_scope(&self, scope: &ScopeName) -> Result<(), SysError> {
        let call = self.faults.begin(|| format!("kill scope {scope}")).await?;
        {
            let mut world = self.world();
            if world.lingers {
                let scope = scope.to_string();
                return Err(SysError::Lingering { scope });
            }
            world
                .processes
                .retain(|_, process| process.scope != scope.as_str());
            world.scopes.remove(scope.as_str());
            world.frozen.remove(scope.as_str());
        }
        call.end(()).await
    }

    async fn remove_scope(&self, scope: &ScopeName) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("remove scope {scope}"))
            .await?;
        self.reap();
        let removed = {
            let mut world = self.world();
            let is_used = world.processes.values().any(|p| p.scope == scope.as_str());
            if !is_used {
                world.scopes.remove(scope.as_str());
            }
            !is_used
        };
        call.end(removed).await
    }

    async fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError> {
        let call = self.faults.begin(|| format!("usage of {scope}")).await?;
        call.end(Usage::default()).await
    }
}
