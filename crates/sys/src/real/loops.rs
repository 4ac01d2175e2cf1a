//! Loop devices: images as block devices. One clears itself when its last user is gone, so nothing
//! has to remember it.
#![allow(unsafe_code, reason = "ioctl needs it")]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

// From linux/loop.h.
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LOOP_GET_STATUS64: libc::c_ulong = 0x4C05;
const LOOP_SET_CAPACITY: libc::c_ulong = 0x4C07;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// How long an image may stay with the loop device of an earlier user, which writes what it has not
/// written yet.
const RELEASE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// `struct loop_info64`
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// Makes a block device of an image, and says its path. Refuses an image that is one already: two
/// file systems on one image would destroy each other. Blocks.
pub(super) fn attach(image: &OwnedFd, read_only: bool) -> io::Result<(File, String)> {
    wait_until_released(image)?;
    let control = File::options()
        .read(true)
        .write(true)
        .open("/dev/loop-control")?;
    loop {
        // SAFETY: the request takes no argument and answers a number.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = format!("/dev/loop{number}");
        let device = File::options().read(true).write(true).open(&path)?;
        match configure(&device, image, read_only) {
            Ok(()) => return Ok((device, path)),
            // Another program was faster.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The block device that an image is already, as large as the image is by now. Blocks.
pub(super) fn attached(image: &OwnedFd) -> io::Result<(File, String)> {
    let file = File::from(image.try_clone()?).metadata()?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "the image is not in use");
    let path = device_of(file.dev(), file.ino())?.ok_or_else(none)?;
    let device = File::open(&path)?;
    // SAFETY: the request takes no argument.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_SET_CAPACITY as _) } {
        0 => Ok((device, path)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn configure(device: &File, image: &OwnedFd, read_only: bool) -> io::Result<()> {
    // SAFETY: the structure is plain data, for which zero is valid.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = image.as_raw_fd() as u32;
    config.info.flags = LO_FLAGS_AUTOCLEAR;
    if read_only {
        config.info.flags |= LO_FLAGS_READ_ONLY;
    }
    // SAFETY: the structure is the one that the request reads, and outlives the call.
    let code = unsafe {
        libc::ioctl(
            device.as_raw_fd(),
            LOOP_CONFIGURE as _,
            std::ptr::from_ref(&config),
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An image that was mounted until a moment ago still has its device until all is written.
fn wait_until_released(image: &OwnedFd) -> io::Result<()> {
    let file = File::from(image.try_clone()?).metadata()?;
    let mut waited = Duration::ZERO;
    while let Some(device) = device_of(file.dev(), file.ino())? {
        if waited >= RELEASE {
            let text = format!("the image is in use by {device}");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
    Ok(())
}

/// The loop device of an image.
fn device_of(device: u64, inode: u64) -> io::Result<Option<String>> {
    for entry in fs::read_dir("/sys/block")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_used = name.starts_with("loop") && entry.path().join("loop/backing_file").exists();
        if !is_used {
            continue;
        }
        let path = format!("/dev/{name}");
        // One that is released meanwhile cannot be asked.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        // SAFETY: the structure is plain data, for which zero is valid.
        let mut info: Info = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is the one that the request fills, and outlives the call.
        let code = unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                LOOP_GET_STATUS64 as _,
                std::ptr::from_mut(&mut info),
            )
        };
        if code == 0 && (info.device, info.inode) == (device, inode) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
