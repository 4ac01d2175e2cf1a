//! The part of the NBD protocol that QEMU's client uses: the fixed newstyle handshake with one
//! export, and simple replies. Source:
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>.

use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use super::Inner;

const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;

const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = (1 << 31) + 1;

/// Has flags, flush, FUA, trim, zeroes.
const EXPORT_FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;
const CMD_TRIM: u16 = 4;
const CMD_WRITE_ZEROES: u16 = 6;

const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// QEMU sends no longer request.
const REQUEST_BYTES_MAX: u32 = 32 << 20;

/// Serves one connection until it ends.
pub(super) fn serve(disk: &Inner, node: u8, mut stream: UnixStream) {
    // A connection breaks when its QEMU ends; the reason is of no interest.
    if matches!(greet(disk, &mut stream), Ok(true)) {
        let _ = answer_requests(disk, node, &mut stream);
    }
}

/// The handshake; false if the client aborts it.
fn greet(disk: &Inner, stream: &mut UnixStream) -> io::Result<bool> {
    stream.write_all(b"NBDMAGICIHAVEOPT")?;
    // Fixed newstyle, no zeroes after the old option.
    stream.write_all(&3u16.to_be_bytes())?;
    let _client_flags: [u8; 4] = read(stream)?;
    loop {
        if u64::from_be_bytes(read(stream)?) != OPTION_MAGIC {
            return Err(io::Error::other("no option"));
        }
        let option = u32::from_be_bytes(read(stream)?);
        let length = u32::from_be_bytes(read(stream)?);
        let mut data = vec![0; length.min(REQUEST_BYTES_MAX) as usize];
        stream.read_exact(&mut data)?;
        match option {
            OPT_EXPORT_NAME => {
                stream.write_all(&disk.bytes.to_be_bytes())?;
                stream.write_all(&EXPORT_FLAGS.to_be_bytes())?;
                return Ok(true);
            }
            OPT_GO | OPT_INFO => {
                // Of kind "export": its size and flags.
                let mut info = 0u16.to_be_bytes().to_vec();
                info.extend(disk.bytes.to_be_bytes());
                info.extend(EXPORT_FLAGS.to_be_bytes());
                reply_to_option(stream, option, REP_INFO, &info)?;
                reply_to_option(stream, option, REP_ACK, &[])?;
                if option == OPT_GO {
                    return Ok(true);
                }
            }
            OPT_ABORT => {
                reply_to_option(stream, option, REP_ACK, &[])?;
                return Ok(false);
            }
            _ => reply_to_option(stream, option, REP_ERR_UNSUP, &[])?,
        }
    }
}

fn reply_to_option(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut reply = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
    reply.extend(option.to_be_bytes());
    reply.extend(kind.to_be_bytes());
    reply.extend((data.len() as u32).to_be_bytes());
    reply.extend(data);
    stream.write_all(&reply)
}

fn answer_requests(disk: &Inner, node: u8, stream: &mut UnixStream) -> io::Result<()> {
    loop {
        if u32::from_be_bytes(read(stream)?) != REQUEST_MAGIC {
            return Err(io::Error::other("no request"));
        }
        let _flags: [u8; 2] = read(stream)?;
        let command = u16::from_be_bytes(read(stream)?);
        let cookie: [u8; 8] = read(stream)?;
        let offset = u64::from_be_bytes(read(stream)?);
        let length = u32::from_be_bytes(read(stream)?);
        let mut data = Vec::new();
        if command == CMD_DISC {
            return Ok(());
        }
        let moves_data = matches!(command, CMD_READ | CMD_WRITE);
        if moves_data && length > REQUEST_BYTES_MAX {
            return Err(io::Error::other("a request that is too long"));
        }
        if command == CMD_WRITE {
            data.resize(length as usize, 0);
            stream.read_exact(&mut data)?;
        }
        let error = match disk.admit(node) {
            false => EIO,
            true => carry_out(disk, node, command, (offset, length), &mut data),
        };
        let mut reply = SIMPLE_REPLY_MAGIC.to_be_bytes().to_vec();
        reply.extend(error.to_be_bytes());
        reply.extend(cookie);
        if command == CMD_READ && error == 0 {
            reply.extend(&data);
        }
        stream.write_all(&reply)?;
    }
}

/// Executes a request and returns the error number, 0 for success.
fn carry_out(
    disk: &Inner,
    node: u8,
    command: u16,
    (offset, length): (u64, u32),
    data: &mut Vec<u8>,
) -> u32 {
    if offset
        .checked_add(length.into())
        .is_none_or(|end| end > disk.bytes)
    {
        return EINVAL;
    }
    let done = match command {
        CMD_READ => {
            data.resize(length as usize, 0);
            disk.file.read_exact_at(data, offset)
        }
        CMD_WRITE => disk.file.write_all_at(data, offset),
        CMD_TRIM | CMD_WRITE_ZEROES => zero(disk, offset, length),
        // The host's page cache outlives every node, so written data is safe.
        CMD_FLUSH => Ok(()),
        _ => return EINVAL,
    };
    if matches!(command, CMD_WRITE | CMD_WRITE_ZEROES) && done.is_ok() {
        disk.wrote(node, offset, length);
    }
    if done.is_ok() { 0 } else { EIO }
}

fn zero(disk: &Inner, offset: u64, length: u32) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if length == 0 {
        return Ok(());
    }
    Ok(fallocate(&disk.file, flags, offset, length.into())?)
}

fn read<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
