//! A guest that shows whether hardware acceleration works: it goes through the boot stages of an
//! operating system and then ends QEMU with an exit code of its own (`firmware.s`).
//!
//! `/dev/kvm` alone proves nothing: on some hosts it can be opened, every call on it succeeds,
//! firmware runs, and an operating system still hangs.
#![allow(
    unsafe_code,
    reason = "what the assembler makes is known by its two ends only"
)]

use std::arch::global_asm;
use std::ptr::addr_of;

use super::Accel;

global_asm!(include_str!("firmware.s"));

unsafe extern "C" {
    static ostler_kvm_probe_begin: u8;
    static ostler_kvm_probe_end: u8;
}

/// Where the processor starts: the last 16 bytes of the firmware.
const RESET_VECTOR: usize = 0xfff0;
const FIRMWARE_BYTES: usize = 0x1_0000;

/// QEMU's exit code if the guest has passed all stages: the exit device turns its 42 into 85.
pub const WORKS: i32 = 85;

/// All stages, a letter for each: real mode, protected mode, long mode, timer, user mode.
pub const WAY: &str = "RPLTU";

/// The guest's firmware, for a file.
pub fn firmware() -> Vec<u8> {
    // SAFETY: both symbols are the ends of one piece of read-only data, in this order, and only
    // their addresses are used to make the slice.
    let code = unsafe {
        let begin = addr_of!(ostler_kvm_probe_begin);
        let length = addr_of!(ostler_kvm_probe_end).offset_from_unsigned(begin);
        std::slice::from_raw_parts(begin, length)
    };
    let mut firmware = code.to_vec();
    firmware.resize(FIRMWARE_BYTES, 0);
    // A far jump to F000:0000, where the code lies.
    firmware[RESET_VECTOR..RESET_VECTOR + 5].copy_from_slice(&[0xea, 0, 0, 0, 0xf0]);
    firmware
}

/// QEMU's arguments for the guest; it prints the stages on standard output.
pub fn arguments(firmware: &str, accel: Accel) -> Vec<String> {
    let arguments = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-display",
        "none",
        "-machine",
        "pc",
        "-accel",
        accel.as_str(),
        "-cpu",
        "kvm64",
        "-m",
        "16",
        "-bios",
        firmware,
        "-debugcon",
        "stdio",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=1",
    ];
    arguments.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_begins_where_the_processor_jumps_to() {
        let firmware = firmware();
        assert_eq!(firmware.len(), FIRMWARE_BYTES);
        // A short jump over the table of segments.
        assert_eq!(firmware[0], 0xeb);
        assert_eq!(&firmware[RESET_VECTOR..][..5], &[0xea, 0, 0, 0, 0xf0]);
        let code_ends = firmware[..RESET_VECTOR].iter().rposition(|byte| *byte != 0);
        assert!(code_ends.unwrap() < 1024, "{code_ends:?}");
    }
}
