//! Users of the host.
#![allow(unsafe_code, reason = "the C library's calls on users need it")]

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

/// The uid and gid of a user of this host, by `getpwnam`; none if there is no such user.
pub fn lookup_user(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0_i8; 16 * 1024];
    let mut result = std::ptr::null_mut();
    // SAFETY: passwd is plain data that the call fills; all pointers outlive the call.
    unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let code = libc::getpwnam_r(
            name.as_ptr(),
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut result,
        );
        (code == 0 && !result.is_null()).then_some((entry.pw_uid, entry.pw_gid))
    }
}

/// Switches to another user for good, without supplementary groups. For a process with one thread.
pub fn drop_privileges(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: these calls take no pointers but a null one with length 0.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0
            && libc::setresgid(gid, gid, gid) == 0
            && libc::setresuid(uid, uid, uid) == 0
    };
    if done {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The uid of the process at the other end of a unix socket, from the kernel.
pub fn peer_uid(socket: impl AsFd) -> io::Result<u32> {
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(credentials.uid.as_raw())
}
