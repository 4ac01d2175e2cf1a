//! Random values, digests and their comparison.

use aws_lc_rs::{constant_time, digest, hmac, rand};
use model::text::hex;

/// Random bytes from the operating system, which never fails once the system has booted.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random numbers are available");
    bytes
}

/// A random number, practically unique. Never 0.
pub(crate) fn random_number() -> u64 {
    u64::from_ne_bytes(random()) | 1
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

/// Lower-case hexadecimal SHA-1: not for security, but for the `digest` of a configuration in the
/// API.
pub fn sha1_hex(data: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data).as_ref())
}

pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Compares in time that does not depend on where the first difference is.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
