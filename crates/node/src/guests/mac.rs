//! Hardware addresses for cards that were given none.

use std::hash::{BuildHasher, Hasher, RandomState};

use model::NodeName;

/// A made-up address that begins with `prefix` (one to three octets, `BC:24:11`). The rest is
/// random: of 24 bits, two cards on one network get the same once in a long while, as with every
/// other platform.
pub fn random_mac(prefix: &str, node: &NodeName) -> String {
    // The standard library's hash keys are random and new with every call.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write(node.as_str().as_bytes());
    let random = hasher
        .finish()
        .to_be_bytes()
        .map(|octet| format!("{octet:02X}"));
    let given = prefix
        .split(':')
        .filter(|octet| !octet.is_empty())
        .map(str::to_uppercase);
    given
        .chain(random)
        .take(6)
        .collect::<Vec<String>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_begins_as_it_is_told() {
        let node = "pve1".parse().unwrap();
        for (prefix, begins) in [
            ("BC:24:11", "BC:24:11:"),
            ("02", "02:"),
            ("0a:b0:", "0A:B0:"),
        ] {
            let address = random_mac(prefix, &node);
            assert!(
                address.starts_with(begins) && address.len() == 17,
                "{address}"
            );
        }
        assert_ne!(random_mac("02", &node), random_mac("02", &node));
    }
}
