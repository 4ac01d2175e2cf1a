//! Links by ioctl: taps, bridges and their ports need no netlink.
#![allow(unsafe_code, reason = "ioctl needs it")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{RealHost, blocking};
use crate::{Link, LinkKind, Links, SysError, TapOptions};

const SYS_CLASS_NET: &str = "/sys/class/net";

// From linux/if_tun.h and linux/sockios.h, the same on x86_64 and aarch64.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
const TUNSETOWNER: libc::c_ulong = 0x4004_54cc;
const SIOCBRADDBR: libc::c_ulong = 0x89a0;
const SIOCBRDELBR: libc::c_ulong = 0x89a1;
const SIOCBRADDIF: libc::c_ulong = 0x89a2;
const SIOCBRDELIF: libc::c_ulong = 0x89a3;
const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
const IFF_MULTI_QUEUE: libc::c_short = 0x0100;

#[async_trait]
impl Links for RealHost {
    async fn links(&self) -> Result<Vec<Link>, SysError> {
        blocking(|| {
            let root = Path::new(SYS_CLASS_NET);
            let reader = fs::read_dir(root).map_err(|e| SysError::io("list", root, e))?;
            let mut links: Vec<Link> = reader
                .flatten()
                .filter_map(|item| read_link(&item.path()))
                .collect();
            links.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(links)
        })
        .await
    }

    async fn link(&self, name: &str) -> Result<Option<Link>, SysError> {
        let path = Path::new(SYS_CLASS_NET).join(name);
        blocking(move || Ok(read_link(&path))).await
    }

    async fn create_tap(&self, name: &str, options: &TapOptions) -> Result<(), SysError> {
        let (name, options) = (name.to_owned(), options.clone());
        blocking(move || {
            create_tap(&name, &options).map_err(|source| failed("create tap", &name, source))
        })
        .await
    }

    async fn open_tap(&self, name: &str) -> Result<Arc<OwnedFd>, SysError> {
        let name = name.to_owned();
        blocking(move || {
            let opened = open_tap(&name, has_many_queues(&name));
            opened
                .map(Arc::new)
                .map_err(|source| failed("open tap", &name, source))
        })
        .await
    }

    async fn remove_tap(&self, name: &str) -> Result<bool, SysError> {
        let name = name.to_owned();
        blocking(move || {
            let Some(link) = read_link(&Path::new(SYS_CLASS_NET).join(&name)) else {
                return Ok(false);
            };
            if link.kind != LinkKind::Tap {
                return Err(SysError::Unsupported(format!("{name} is not a tap device")));
            }
            let removed = open_tap(&name, has_many_queues(&name))
                .and_then(|tap| ioctl(&tap, TUNSETPERSIST, 0));
            removed
                .map(|()| true)
                .map_err(|source| failed("remove tap", &name, source))
        })
        .await
    }

    async fn join_bridge(&self, link: &str, bridge: &str) -> Result<(), SysError> {
        let (link, bridge) = (link.to_owned(), bridge.to_owned());
        blocking(move || join_bridge(&link, &bridge)).await
    }

    async fn create_bridge(&self, name: &str) -> Result<(), SysError> {
        let name = name.to_owned();
        blocking(move || {
            let made = change_bridge(SIOCBRADDBR, &name).or_else(|error| {
                let exists = error.kind() == io::ErrorKind::AlreadyExists;
                if exists { Ok(()) } else { Err(error) }
            });
            made.and_then(|()| set_up(&name))
                .map_err(|e| failed("create bridge", &name, e))
        })
        .await
    }

    async fn remove_bridge(&self, name: &str) -> Result<bool, SysError> {
        let name = name.to_owned();
        blocking(move || {
            if !Path::new(SYS_CLASS_NET).join(&name).exists() {
                return Ok(false);
            }
            let removed = set_flags(&name, |flags| flags & !(libc::IFF_UP as libc::c_short))
                .and_then(|()| change_bridge(SIOCBRDELBR, &name));
            removed
                .map(|()| true)
                .map_err(|source| failed("remove bridge", &name, source))
        })
        .await
    }
}

fn failed(action: &'static str, name: &str, source: io::Error) -> SysError {
    SysError::Io {
        action,
        object: name.to_owned(),
        source,
    }
}

/// Whether a tap was created for several queues; opening it requires the same flag.
fn has_many_queues(name: &str) -> bool {
    let text = fs::read_to_string(Path::new(SYS_CLASS_NET).join(name).join("tun_flags"));
    let text = text.unwrap_or_default();
    let flags = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).unwrap_or(0);
    flags & IFF_MULTI_QUEUE as u32 != 0
}

fn read_link(path: &Path) -> Option<Link> {
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(path.join(file))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let flags = fs::read_to_string(path.join("flags")).ok()?;
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
    let kind = if path.join("bridge").exists() {
        LinkKind::Bridge
    } else if path.join("tun_flags").exists() {
        LinkKind::Tap
    } else {
        LinkKind::Other
    };
    let master = fs::read_link(path.join("master")).ok();
    Some(Link {
        name: path.file_name()?.to_string_lossy().into_owned(),
        kind,
        up: flags & libc::IFF_UP as u32 != 0,
        mtu: u32::try_from(number("mtu")?).ok()?,
        master: master.and_then(|m| Some(m.file_name()?.to_string_lossy().into_owned())),
        received: number("statistics/rx_bytes").unwrap_or(0),
        sent: number("statistics/tx_bytes").unwrap_or(0),
    })
}

/// An ioctl that takes a plain number.
fn ioctl(fd: &OwnedFd, request: libc::c_ulong, argument: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the request takes its argument by value.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, argument) };
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// An empty interface request for the link `name`.
fn request_for(name: &str) -> io::Result<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['/', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not an interface name",
        ));
    }
    // SAFETY: ifreq is plain data, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// An ioctl on an interface request.
fn ioctl_link(fd: &OwnedFd, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the request is a valid ifreq that outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), code as _, std::ptr::from_mut(request)) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn control_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?)
}

fn open_tap(name: &str, multi_queue: bool) -> io::Result<OwnedFd> {
    let device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    let device = OwnedFd::from(device);
    let mut request = request_for(name)?;
    let queues = if multi_queue { IFF_MULTI_QUEUE } else { 0 };
    request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | queues;
    ioctl_link(&device, TUNSETIFF, &mut request)?;
    Ok(device)
}

fn create_tap(name: &str, options: &TapOptions) -> io::Result<()> {
    let tap = open_tap(name, options.multi_queue)?;
    if let Some(owner) = options.owner {
        ioctl(&tap, TUNSETOWNER, libc::c_ulong::from(owner))?;
    }
    ioctl(&tap, TUNSETPERSIST, 1)?;
    if let Some(mtu) = options.mtu {
        let mut request = request_for(name)?;
        request.ifr_ifru.ifru_mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
        ioctl_link(&control_socket()?, libc::SIOCSIFMTU as _, &mut request)?;
    }
    set_up(name)
}

fn set_up(name: &str) -> io::Result<()> {
    set_flags(name, |flags| flags | libc::IFF_UP as libc::c_short)
}

fn set_flags(name: &str, change: impl Fn(libc::c_short) -> libc::c_short) -> io::Result<()> {
    let socket = control_socket()?;
    let mut request = request_for(name)?;
    ioctl_link(&socket, libc::SIOCGIFFLAGS as _, &mut request)?;
    // SAFETY: the kernel has just filled the flags of the union.
    request.ifr_ifru.ifru_flags = change(unsafe { request.ifr_ifru.ifru_flags });
    ioctl_link(&socket, libc::SIOCSIFFLAGS as _, &mut request)
}

fn change_bridge(code: libc::c_ulong, name: &str) -> io::Result<()> {
    let mut request = request_for(name)?;
    ioctl_link(&control_socket()?, code, &mut request)
}

fn join_bridge(link: &str, bridge: &str) -> Result<(), SysError> {
    let root = Path::new(SYS_CLASS_NET);
    let is_bridge = read_link(&root.join(bridge)).is_some_and(|l| l.kind == LinkKind::Bridge);
    if !is_bridge {
        return Err(SysError::Unsupported(format!(
            "bridge '{bridge}' does not exist"
        )));
    }
    let master = read_link(&root.join(link)).and_then(|link| link.master);
    if master.as_deref() == Some(bridge) {
        return Ok(());
    }
    let change_port = |code: libc::c_ulong, bridge: &str| {
        let index = fs::read_to_string(root.join(link).join("ifindex"))?;
        let mut request = request_for(bridge)?;
        request.ifr_ifru.ifru_ifindex = index.trim().parse().map_err(io::Error::other)?;
        ioctl_link(&control_socket()?, code, &mut request)
    };
    let left = match &master {
        // A bridge refuses a port of another bridge.
        Some(other) => change_port(SIOCBRDELIF, other),
        None => Ok(()),
    };
    let joined = left.and_then(|()| change_port(SIOCBRADDIF, bridge));
    joined.map_err(|source| failed("add to bridge", &format!("{link} ({bridge})"), source))
}
