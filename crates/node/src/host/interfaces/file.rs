//! `/etc/network/interfaces` (interfaces(5)), in the fields that the API shows.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

/// Priorities count the interfaces of the file; the first is 2.
const FIRST_PRIORITY: u32 = 2;

/// Options that are shown under another name, or under their own.
const OPTIONS: [(&str, &str); 24] = [
    ("bond-miimon", "bond_miimon"),
    ("bond-mode", "bond_mode"),
    ("bond-primary", "bond-primary"),
    ("bond-slaves", "slaves"),
    ("bond-xmit-hash-policy", "bond_xmit_hash_policy"),
    ("bridge-access", "bridge-access"),
    ("bridge-fd", "bridge_fd"),
    ("bridge-ports", "bridge_ports"),
    ("bridge-stp", "bridge_stp"),
    ("bridge-vids", "bridge_vids"),
    ("mtu", "mtu"),
    ("ovs-bonds", "ovs_bonds"),
    ("ovs-bridge", "ovs_bridge"),
    ("ovs-options", "ovs_options"),
    ("ovs-ports", "ovs_ports"),
    ("ovs-type", "ovs_type"),
    ("uplink-id", "uplink-id"),
    ("vlan-id", "vlan-id"),
    ("vlan-protocol", "vlan-protocol"),
    ("vlan-raw-device", "vlan-raw-device"),
    ("vxlan-id", "vxlan-id"),
    ("vxlan-local-tunnelip", "vxlan-local-tunnelip"),
    ("vxlan-physdev", "vxlan-physdev"),
    ("vxlan-svcnodeip", "vxlan-svcnodeip"),
];

/// Words that begin something that is no option.
const STARTS: [&str; 7] = [
    "iface",
    "auto",
    "mapping",
    "source",
    "source-directory",
    "rename",
    "template",
];

/// The interfaces of a file, in its order.
#[derive(Debug, Default)]
pub(super) struct Stanzas {
    interfaces: Vec<(String, Map<String, Value>)>,
    auto: Vec<String>,
}

impl Stanzas {
    pub(super) fn next_priority(&self) -> u32 {
        FIRST_PRIORITY + u32::try_from(self.interfaces.len()).unwrap_or(0)
    }

    /// The fields of each interface, complete.
    pub(super) fn into_fields(self) -> impl Iterator<Item = (String, Map<String, Value>)> {
        let numbered = (FIRST_PRIORITY..).zip(self.interfaces);
        numbered.map(move |(priority, (name, mut fields))| {
            if self.auto.contains(&name) {
                fields.insert("autostart".into(), json!(1));
            }
            fields.insert("priority".into(), json!(priority));
            complete(&name, &mut fields);
            (name, fields)
        })
    }

    /// The fields of an interface that may have a stanza for each family of addresses.
    fn of(&mut self, name: &str) -> &mut Map<String, Value> {
        let known = self.interfaces.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.interfaces.push((name.to_owned(), Map::new()));
            self.interfaces.len() - 1
        });
        &mut self.interfaces[at].1
    }
}

pub(super) fn parse(text: &str) -> Stanzas {
    let mut stanzas = Stanzas::default();
    // The interface, and whether the stanza is about IPv6.
    let mut current: Option<(String, bool)> = None;
    for line in joined_lines(text) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        match first {
            "auto" | "allow-auto" => {
                stanzas.auto.extend(words.map(str::to_owned));
                current = None;
            }
            "iface" => current = begin(&mut stanzas, words),
            _ if STARTS.contains(&first) || first.starts_with("allow-") => current = None,
            _ => {
                if let Some((name, is_v6)) = &current {
                    add_line(stanzas.of(name), &line, *is_v6);
                }
            }
        }
    }
    stanzas
}

/// Lines without white space around them, those that end with a backslash joined to the next.
fn joined_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `iface NAME [FAMILY METHOD]`
fn begin<'a>(
    stanzas: &mut Stanzas,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<(String, bool)> {
    let name = words.next()?.to_owned();
    let (family, method) = (
        words.next().unwrap_or("inet"),
        words.next().unwrap_or("static"),
    );
    let is_v6 = family == "inet6";
    let fields = stanzas.of(&name);
    let families = fields.entry("families").or_insert_with(|| json!([]));
    if let Some(families) = families.as_array_mut() {
        families.push(family.into());
    }
    fields.insert(
        if is_v6 { "method6" } else { "method" }.into(),
        method.into(),
    );
    Some((name, is_v6))
}

fn add_line(fields: &mut Map<String, Value>, line: &str, is_v6: bool) {
    let suffixed = |name: &str| format!("{name}{}", if is_v6 { "6" } else { "" });
    if let Some(comment) = line.strip_prefix('#') {
        // One of an interface with both families has its comments under the first.
        let comments = fields.entry("comments").or_insert_with(|| "".into());
        let text = format!("{}{comment}\n", comments.as_str().unwrap_or_default());
        *comments = text.into();
        return;
    }
    let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let value = value.trim();
    match name {
        "address" | "netmask" | "gateway" => {
            fields.insert(suffixed(name), value.into());
            return;
        }
        "bridge-vlan-aware" | "bridge_vlan_aware" => {
            if matches!(value, "yes" | "on" | "1") {
                fields.insert("bridge_vlan_aware".into(), json!(1));
            }
            return;
        }
        "slaves" => {
            fields.insert("slaves".into(), value.into());
            return;
        }
        _ => {}
    }
    let plain = name.replace('_', "-");
    if let Some((_, shown)) = OPTIONS.iter().find(|(option, _)| *option == plain) {
        let value = if value == "none" && plain == "bridge-ports" {
            ""
        } else {
            value
        };
        fields.insert((*shown).into(), value.into());
        return;
    }
    let options = fields
        .entry(suffixed("options"))
        .or_insert_with(|| json!([]));
    if let Some(options) = options.as_array_mut() {
        options.push(line.into());
    }
}

/// Adds what follows from a name and from other fields.
fn complete(name: &str, fields: &mut Map<String, Value>) {
    for method in ["method", "method6"] {
        fields.entry(method).or_insert_with(|| "manual".into());
    }
    complete_address(fields, "", 32);
    complete_address(fields, "6", 128);
    let kind = kind(name, fields);
    if kind == "bridge" {
        fields.entry("bridge_ports").or_insert_with(|| "".into());
        fields.entry("bridge_stp").or_insert_with(|| "off".into());
        fields.entry("bridge_fd").or_insert_with(|| "0".into());
    }
    if kind == "vlan" {
        complete_vlan(name, fields);
    }
    split_ovs_tag(fields);
    fields.insert("type".into(), kind.into());
}

/// `address`, `netmask` and `cidr` say the same, whichever the file has.
fn complete_address(fields: &mut Map<String, Value>, suffix: &str, bits: u32) {
    let text = |name: &str| {
        let value = fields
            .get(&format!("{name}{suffix}"))
            .and_then(Value::as_str);
        value.map(str::to_owned)
    };
    let Some(address) = text("address") else {
        return;
    };
    let (address, length) = match address.split_once('/') {
        Some((address, length)) => (address.to_owned(), Some(length.to_owned())),
        None => (address, text("netmask").map(|mask| prefix_length(&mask))),
    };
    let length = length.unwrap_or_else(|| bits.to_string());
    fields.insert(
        format!("cidr{suffix}"),
        format!("{address}/{length}").into(),
    );
    fields.insert(format!("address{suffix}"), address.into());
    fields.insert(format!("netmask{suffix}"), length.into());
}

/// `24` for `255.255.255.0`.
fn prefix_length(mask: &str) -> String {
    match mask.parse::<Ipv4Addr>() {
        Ok(mask) => u32::from(mask).leading_ones().to_string(),
        Err(_) => mask.to_owned(),
    }
}

fn complete_vlan(name: &str, fields: &mut Map<String, Value>) {
    if let Some((device, id)) = name.rsplit_once('.') {
        fields
            .entry("vlan-raw-device")
            .or_insert_with(|| device.into());
        fields.entry("vlan-id").or_insert_with(|| id.into());
    } else if let Some(id) = name.strip_prefix("vlan").filter(|id| is_number(id)) {
        fields.entry("vlan-id").or_insert_with(|| id.into());
    }
}

/// The VLAN of a port is one of its options in the file, and apart from them for the API.
fn split_ovs_tag(fields: &mut Map<String, Value>) {
    let Some(options) = fields.get("ovs_options").and_then(Value::as_str) else {
        return;
    };
    let is_tag = |word: &&str| word.starts_with("tag=");
    let (tags, others): (Vec<&str>, Vec<&str>) = options.split_whitespace().partition(is_tag);
    let tag = tags.first().map(|tag| tag["tag=".len()..].to_owned());
    let others = others.join(" ");
    if let Some(tag) = tag {
        fields.insert("ovs_tag".into(), tag.into());
    }
    match others.is_empty() {
        true => fields.remove("ovs_options"),
        false => fields.insert("ovs_options".into(), others.into()),
    };
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn has_number_after(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(is_number)
}

/// What an interface is, by its options and else by its name.
fn kind(name: &str, fields: &Map<String, Value>) -> &'static str {
    let ovs = fields.get("ovs_type").and_then(Value::as_str);
    let ovs = ["OVSBridge", "OVSBond", "OVSPort", "OVSIntPort"]
        .into_iter()
        .find(|kind| ovs == Some(kind));
    if let Some(kind) = ovs {
        return kind;
    }
    let is_alias = name
        .split_once(':')
        .is_some_and(|(_, number)| is_number(number));
    let is_tagged = name.rsplit_once('.').is_some_and(|(_, id)| is_number(id));
    match name {
        "lo" => "loopback",
        _ if fields.contains_key("bridge_ports") => "bridge",
        _ if is_alias => "alias",
        _ if is_tagged || has_number_after(name, "vlan") => "vlan",
        _ if fields.contains_key("vlan-raw-device") => "vlan",
        _ if has_number_after(name, "bond") => "bond",
        _ if fields.contains_key("slaves") && !has_number_after(name, "vmbr") => "bond",
        _ if is_card(name) => "eth",
        _ => "unknown",
    }
}

/// Whether a network card may have this name.
fn is_card(name: &str) -> bool {
    has_number_after(name, "eth")
        || ["en", "ib", "nic"].iter().any(|prefix| {
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| !rest.is_empty())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str, name: &str) -> Value {
        let mut interfaces = parse(text).into_fields();
        let (_, fields) = interfaces.find(|(known, _)| known == name).unwrap();
        Value::Object(fields)
    }

    #[test]
    fn a_bridge_with_both_families_and_comments() {
        let text = "auto vmbr2\niface vmbr2 inet static\n\taddress 10.20.0.1/24\n\
                    \tbridge-ports eno2\n\tbridge-stp off\n\tbridge-fd 0\n\
                    \tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n\tmtu 1400\n#my bridge\n\
                    #second line\n\niface vmbr2 inet6 static\n\taddress fd00:20::1/64\n#six\n\n\
                    source /etc/network/interfaces.d/*\n";
        assert_eq!(
            fields(text, "vmbr2"),
            json!({"type": "bridge", "method": "static", "method6": "static",
                   "families": ["inet", "inet6"], "autostart": 1, "priority": 2,
                   "address": "10.20.0.1", "netmask": "24", "cidr": "10.20.0.1/24",
                   "address6": "fd00:20::1", "netmask6": "64", "cidr6": "fd00:20::1/64",
                   "bridge_ports": "eno2", "bridge_stp": "off", "bridge_fd": "0",
                   "bridge_vlan_aware": 1, "bridge_vids": "2-4094", "mtu": "1400",
                   "comments": "my bridge\nsecond line\nsix\n"})
        );
    }

    #[test]
    fn kinds_follow_options_and_names() {
        let text = "iface eno9 inet manual\niface bond1 inet manual\n\tbond-slaves eno2 eno3\n\
                    \tbond-miimon 100\n\tbond-mode 802.3ad\niface eno3.50 inet static\n\
                    \taddress 10.50.0.1\n\tnetmask 255.255.255.0\niface dmz inet manual\n\
                    \tvlan-id 70\n\tvlan-raw-device eno3\niface vlan60 inet manual\n\
                    \tvlan-raw-device eno3\niface vmbr2:1 inet manual\niface in1 inet manual\n\
                    \tovs_type OVSIntPort\n\tovs_bridge vmbr20\n\tovs_options tag=5\n\
                    \tup echo hello\nallow-hotplug eno9\n\tbridge-ports x\n";
        for (name, kind) in [
            ("eno9", "eth"),
            ("bond1", "bond"),
            ("eno3.50", "vlan"),
            ("dmz", "vlan"),
            ("vlan60", "vlan"),
            ("vmbr2:1", "alias"),
            ("in1", "OVSIntPort"),
        ] {
            assert_eq!(fields(text, name)["type"], kind, "{name}");
        }
        assert_eq!(fields(text, "bond1")["slaves"], "eno2 eno3");
        let tagged = fields(text, "eno3.50");
        assert_eq!(
            (
                &tagged["vlan-id"],
                &tagged["vlan-raw-device"],
                &tagged["cidr"]
            ),
            (&json!("50"), &json!("eno3"), &json!("10.50.0.1/24"))
        );
        assert_eq!(fields(text, "vlan60")["vlan-id"], "60");
        assert_eq!(fields(text, "in1")["ovs_tag"], "5");
        assert_eq!(fields(text, "in1")["options"], json!(["up echo hello"]));
    }
}
