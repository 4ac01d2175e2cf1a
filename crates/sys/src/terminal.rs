//! A pseudo terminal with a program at it.
#![allow(unsafe_code, reason = "registering a descriptor needs it")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

use crate::SysError;

/// How long a terminal that its program has closed, e.g. to open it again as `login` does, is left
/// alone before it is read again.
const REOPENED: Duration = Duration::from_millis(20);

/// Our side of a terminal. Dropping it hangs up: the program and its children get SIGHUP.
#[derive(Debug)]
pub struct Terminal {
    side: AsyncFd<OwnedFd>,
    /// Readable once the program has ended; none if there is no program.
    end: Option<AsyncFd<OwnedFd>>,
}

/// Both sides of a new terminal: ours, which is non-blocking, and the program's.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// Makes a descriptor ready for waiting.
fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, so it stays open and the same as long as this is there.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

impl Terminal {
    /// The terminal of a program that was just started.
    pub(crate) fn of(side: OwnedFd, program: Child) -> io::Result<Self> {
        // The program cannot have been reaped while its handle is there, so the number is its own.
        let pid = program
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        let end = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Self {
            side: watched(side)?,
            end: Some(watched(end)?),
        })
    }

    /// One end of a connection as a terminal without a program.
    pub fn without_program(side: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&side, true)?;
        let side = watched(side)?;
        Ok(Self { side, end: None })
    }

    /// Reads what the program has written; nothing once it has ended. May be dropped.
    pub async fn read(&self, part: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = |side: &AsyncFd<OwnedFd>, part: &mut [u8]| Ok(rustix::io::read(side, part)?);
            tokio::select! {
                biased;
                ready = self.side.readable() => match ready?.try_io(|side| read(side, part)) {
                    Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => {
                        if self.ends_within(REOPENED).await? {
                            return self.last(part);
                        }
                    }
                    Ok(read) => return read,
                    Err(_would_block) => {}
                },
                ended = self.ended() => {
                    ended?;
                    return self.last(part);
                }
            }
        }
    }

    /// Reads what a program wrote before it ended; nothing once all of it was read.
    fn last(&self, part: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.side, part) {
            Err(Errno::IO | Errno::AGAIN) => Ok(0),
            read => Ok(read?),
        }
    }

    /// Writes what is typed, as much as the terminal takes. May be dropped.
    pub async fn write(&self, typed: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.side.writable().await?;
            if let Ok(written) = ready.try_io(|side| Ok(rustix::io::write(side, typed)?)) {
                return written;
            }
        }
    }

    /// Sets the size of the program's window.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<(), SysError> {
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.side, size)
            .map_err(|source| SysError::io("resize", Path::new("a terminal"), source.into()))
    }

    /// Waits until the program has ended.
    async fn ended(&self) -> io::Result<()> {
        match &self.end {
            Some(end) => end.readable().await.map(|_| ()),
            None => std::future::pending().await,
        }
    }

    /// Whether the program ends in this time.
    async fn ends_within(&self, time: Duration) -> io::Result<bool> {
        match tokio::time::timeout(time, self.ended()).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}
