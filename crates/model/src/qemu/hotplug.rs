//! What may be hot-plugged: `network,disk,usb`.

use crate::schema::format::split_list;

/// The kinds of devices that can be plugged into a running guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hotplug {
    pub disk: bool,
    pub network: bool,
    pub usb: bool,
    pub cpu: bool,
    pub memory: bool,
}

impl Default for Hotplug {
    fn default() -> Self {
        Self {
            disk: true,
            network: true,
            usb: true,
            cpu: false,
            memory: false,
        }
    }
}

impl Hotplug {
    /// Reads a value that its schema allows: `0`, `1` for the default, or a list.
    pub fn parse(text: &str) -> Self {
        if text == "1" {
            return Self::default();
        }
        let has = |name: &str| split_list(text).any(|item| item == name);
        Self {
            disk: has("disk"),
            network: has("network"),
            usb: has("usb"),
            cpu: has("cpu"),
            memory: has("memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_is_the_default_and_a_zero_is_nothing() {
        assert_eq!(Hotplug::parse("1"), Hotplug::parse("network,disk,usb"));
        let nothing = Hotplug::parse("0");
        assert!(!nothing.disk && !nothing.network && !nothing.usb);
        let some = Hotplug::parse("disk;cpu");
        assert!(some.disk && some.cpu && !some.network && !some.usb);
    }
}
