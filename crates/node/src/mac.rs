//! Hardware addresses for cards that were given none.

use std::hash::{BuildHasher, Hasher, RandomState};

use model::NodeName;

/// The vendor part of addresses that are made up, as Proxmox VE's.
const PREFIX: &str = "BC:24:11";

/// A made-up address. 24 random bits: two cards on one network get the same one of sixteen
/// million once in a long while, as with every other platform.
pub fn random_mac(node: &NodeName) -> String {
    // The standard library's hash keys are random and new with every call.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write(node.as_str().as_bytes());
    let bits = hasher.finish().to_be_bytes();
    format!("{PREFIX}:{:02X}:{:02X}:{:02X}", bits[0], bits[1], bits[2])
}
