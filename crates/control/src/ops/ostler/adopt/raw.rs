//! Lines for LXC itself in a container's file. Those that give the container a device of the host are an
//! option here (`dev[n]`); others are not taken over.

use model::schema::Values;

/// Turns the lines into options, or says which of them cannot be.
pub(super) fn devices(
    raw: Vec<(String, String)>,
    given: &mut Values,
    warnings: &mut Vec<String>,
) -> Result<(), Vec<String>> {
    let mut reasons = Vec::new();
    for (name, value) in raw {
        match name.as_str() {
            // What may be used is what is given.
            "lxc.cgroup.devices.allow" | "lxc.cgroup2.devices.allow" => {}
            "lxc.mount.entry" => match device(&value) {
                Some(device) => give(device, given, warnings),
                None => reasons.push(format!(
                    "'{name}: {value}' is not supported: only devices are"
                )),
            },
            _ => reasons.push(format!(
                "'{name}' is a line for LXC itself, which is not supported"
            )),
        }
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(reasons),
    }
}

/// The device of `/dev/net/tun dev/net/tun none bind,create=file 0 0`.
fn device(entry: &str) -> Option<&str> {
    let mut fields = entry.split_whitespace();
    let (device, inside, kind, options) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let is_same = device.strip_prefix('/') == Some(inside.trim_start_matches('/'));
    let is_file = options.split(',').any(|option| option == "create=file");
    (device.starts_with("/dev/") && is_same && kind == "none" && is_file).then_some(device)
}

fn give(device: &str, given: &mut Values, warnings: &mut Vec<String>) {
    let is_given = |value: &serde_json::Value| {
        let first = value.as_str().and_then(|text| text.split(',').next());
        first.is_some_and(|first| first.trim_start_matches("path=") == device)
    };
    let has =
        |(name, value): (&String, &serde_json::Value)| name.starts_with("dev") && is_given(value);
    if given.iter().any(has) {
        return;
    }
    let free = (0..256).map(|number| format!("dev{number}"));
    if let Some(slot) = free.into_iter().find(|slot| !given.contains_key(slot)) {
        warnings.push(format!(
            "'lxc.mount.entry' of {device} becomes '{slot}: {device}'"
        ));
        given.insert(slot, device.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, &str)]) -> (Result<(), Vec<String>>, Values) {
        let mut given = Values::from_iter([("dev0".to_owned(), "/dev/ppp,mode=0660".into())]);
        let lines = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let read = devices(lines.collect(), &mut given, &mut Vec::new());
        (read, given)
    }

    #[test]
    fn a_device_becomes_an_option() {
        let (read, given) = read(&[
            ("lxc.cgroup2.devices.allow", "c 10:200 rwm"),
            (
                "lxc.mount.entry",
                "/dev/net/tun dev/net/tun none bind,create=file",
            ),
            (
                "lxc.mount.entry",
                "/dev/ppp dev/ppp none bind,create=file 0 0",
            ),
        ]);
        assert_eq!(read, Ok(()));
        assert_eq!(given["dev1"], "/dev/net/tun");
        assert_eq!(given.len(), 2);
    }

    #[test]
    fn other_lines_are_named() {
        let (read, _) = read(&[
            ("lxc.mount.entry", "/srv/data data none bind,create=dir"),
            ("lxc.apparmor.profile", "unconfined"),
        ]);
        let reasons = read.unwrap_err();
        assert!(reasons[0].contains("/srv/data") && reasons[1].contains("lxc.apparmor.profile"));
    }
}
