//! The output of `qm`, in the format that scripts parse.

use model::ByteSize;
use model::schema::Values;
use serde_json::Value;

use super::super::format::{plain_text, time};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The machines of a node, by number.
pub(super) fn list(data: &Value) -> String {
    let columns = ["VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"];
    let [vmid, name, status, memory, disk, pid] = columns;
    let mut text =
        format!("{vmid:>10} {name:<20} {status:<10} {memory:<10} {disk:>12} {pid:<10}\n");
    let mut guests: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    guests.sort_by_key(|guest| guest["vmid"].as_u64());
    for guest in guests {
        let memory = guest["maxmem"].as_u64().unwrap_or(0) >> 20;
        let disk = guest["maxdisk"].as_f64().unwrap_or(0.0) / GIB;
        text.push_str(&format!(
            "{:>10} {:<20} {:<10} {memory:<10} {disk:>12.2} {:<10}\n",
            plain_text(&guest["vmid"]),
            plain_text(&guest["name"]),
            plain_text(&guest["status"]),
            guest["pid"].as_u64().unwrap_or(0),
        ));
    }
    text
}

/// `status: running`; with `verbose` all fields.
pub(in crate::cli) fn status(data: &Value, verbose: bool) -> String {
    if verbose {
        return pairs(data, |_| true);
    }
    format!("status: {}\n", plain_text(&data["status"]))
}

/// A configuration as lines `key: value`, without its digest.
pub(in crate::cli) fn config(data: &Value) -> String {
    pairs(data, |name| name != "digest")
}

fn pairs(data: &Value, wanted: impl Fn(&str) -> bool) -> String {
    let mut pairs: Vec<(&String, &Value)> = data
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| wanted(name))
        .collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", option(name, value)))
        .collect()
}

/// An option's value on one line: notes are percent-encoded.
fn option(name: &str, value: &Value) -> String {
    let text = plain_text(value);
    if name != "description" {
        return text;
    }
    percent_encoded(&text, |byte| {
        matches!(byte, b' '..=b'~') && byte != b'%' && byte != b':'
    })
}

/// A text with all bytes percent-encoded except those that `may_stand`.
pub(super) fn percent_encoded(text: &str, may_stand: impl Fn(u8) -> bool) -> String {
    let encoded = text.bytes().map(|byte| {
        if may_stand(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    encoded.collect()
}

/// `cur`, `new` and `del` lines: current values, pending ones, and pending deletions.
pub(in crate::cli) fn pending(data: &Value) -> String {
    let mut items: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    items.sort_by_key(|item| plain_text(&item["key"]));
    let mut text = String::new();
    for item in items {
        let key = plain_text(&item["key"]);
        let line = |word: &str, value: &Value| format!("{word} {key}: {}\n", option(&key, value));
        let (now, next) = (item.get("value"), item.get("pending"));
        let goes = item
            .get("delete")
            .is_some_and(|flag| plain_text(flag) != "0");
        match (now, next) {
            _ if key == "digest" => {}
            (Some(now), _) if goes => text.push_str(&line("del", now)),
            (now, next) => {
                text.extend(now.map(|now| line("cur", now)));
                text.extend(next.map(|next| line("new", next)));
            }
        }
    }
    text
}

/// What a rescan has found, a line each.
pub(in crate::cli) fn rescanned(data: &Value) -> String {
    let rows = data.as_array().into_iter().flatten();
    let line = |row: &Value| {
        let text = |name: &str| plain_text(&row[name]);
        if !row["storage"].is_null() {
            return format!("storage {}: {}\n", text("storage"), text("error"));
        }
        let (vmid, option, volume) = (text("vmid"), text("option"), text("volume"));
        if !row["error"].is_null() {
            return format!("guest {vmid}: {}\n", text("error"));
        }
        let word = if row["type"] == "lxc" { "CT" } else { "VM" };
        match row["size"].as_u64() {
            None => format!("{word} {vmid}: add unreferenced volume '{volume}' as '{option}'\n"),
            Some(size) => {
                let size = ByteSize(size);
                format!("{word} {vmid} ({option}): size of disk '{volume}' is {size}\n")
            }
        }
    };
    rows.map(line).collect()
}

/// Snapshots as a tree: each below its parent, the current state last.
pub(in crate::cli) fn snapshots(data: &Value) -> String {
    let items: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    let named = |name: &Value| items.iter().any(|item| item["name"] == *name);
    let mut text = String::new();
    let roots = items.iter().filter(|item| !named(&item["parent"]));
    for root in roots {
        branch(&mut text, &items, root, 0);
    }
    text
}

fn branch(text: &mut String, all: &[&Value], at: &Value, depth: usize) {
    // More levels than snapshots mean a cycle, which only a broken answer has.
    if depth > all.len() {
        return;
    }
    let taken = at["snaptime"].as_i64().map(time).unwrap_or_default();
    let about = plain_text(&at["description"]);
    let about = about.lines().next().unwrap_or_default();
    let name = format!("{}`-> {}", "  ".repeat(depth), plain_text(&at["name"]));
    text.push_str(format!("{name:<32} {taken:<24} {about}").trim_end());
    text.push('\n');
    for child in all.iter().filter(|item| item["parent"] == at["name"]) {
        branch(text, all, child, depth + 1);
    }
}

/// `update VM 100: -memory 512`
pub(super) fn update(values: &Values) -> String {
    let mut options: Vec<(&String, &Value)> = values
        .iter()
        .filter(|(name, _)| *name != "vmid" && *name != "node")
        .collect();
    options.sort_by_key(|(name, _)| *name);
    let shown = options.iter().map(|(name, value)| match name.as_str() {
        "cipassword" => format!("-{name} <hidden>"),
        _ => format!("-{name} {}", option(name, value)),
    });
    let vmid = values.get("vmid").map(plain_text).unwrap_or_default();
    format!("update VM {vmid}: {}", shown.collect::<Vec<_>>().join(" "))
}

/// A guest agent's answer in Proxmox VE's format: text unchanged, everything else as JSON with
/// sorted names, an indentation of three spaces and spaces around colons. Empty for null.
pub(super) fn agent_result(data: &Value) -> String {
    match data.get("result").unwrap_or(data) {
        Value::Null => String::new(),
        result @ (Value::Array(_) | Value::Object(_)) => {
            let mut text = String::new();
            pretty(&mut text, result, 0);
            text + "\n"
        }
        other => match visible(plain_text(other).trim_end()).as_str() {
            "" => String::new(),
            text => format!("{text}\n"),
        },
    }
}

/// Escapes control characters: output of a guest must not control the terminal.
fn visible(text: &str) -> String {
    let is_shown = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars()
        .map(|c| if is_shown(c) { c } else { '?' })
        .collect()
}

fn pretty(text: &mut String, value: &Value, depth: usize) {
    let mut items: Vec<(Option<&String>, &Value)> = match value {
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, item)| (Some(name), item))
            .collect(),
        other => return text.push_str(&visible(&other.to_string())),
    };
    items.sort_by_key(|(name, _)| *name);
    let brackets = if value.is_array() {
        ['[', ']']
    } else {
        ['{', '}']
    };
    text.push(brackets[0]);
    for (at, (name, item)) in items.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"   ".repeat(depth + 1));
        if let Some(name) = name {
            text.push_str(&format!("{} : ", Value::from(name.as_str())));
        }
        pretty(text, item, depth + 1);
    }
    if !items.is_empty() {
        text.push('\n');
        text.push_str(&"   ".repeat(depth));
    }
    text.push(brackets[1]);
}

/// A command line for a shell; `pretty` puts each option on a line.
pub(super) fn command_line(line: &str, pretty: bool) -> String {
    let words: Vec<String> = line
        .trim_end_matches('\0')
        .split('\0')
        .map(quoted)
        .collect();
    if !pretty {
        return words.join(" ");
    }
    let mut text = String::new();
    for word in words {
        let breaks = word.starts_with('-');
        text.push_str(match text.is_empty() {
            true => "",
            false if breaks => " \\\n  ",
            false => " ",
        });
        text.push_str(&word);
    }
    text
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_has_the_columns_that_scripts_cut() {
        let data = json!([
            {"vmid": 1000, "name": "b", "status": "stopped", "maxmem": 134217728, "maxdisk": 0},
            {"vmid": 100, "name": "web", "status": "running", "maxmem": 2147483648u64,
             "maxdisk": 34359738368u64, "pid": 4711},
        ]);
        assert_eq!(
            list(&data),
            include_str!("../../../tests/golden/qm-list.txt")
        );
    }

    #[test]
    fn what_an_agent_answers_is_json_or_a_text() {
        let cards = json!({"result": [
            {"name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [
                {"prefix": 8, "ip-address-type": "ipv4", "ip-address": "127.0.0.1"},
            ], "statistics": {}},
            {"name": "eth0", "ip-addresses": []},
        ]});
        let wanted = include_str!("../../../tests/golden/qm-guest-cmd.txt");
        assert_eq!(agent_result(&cards), wanted);
        let status = json!({"out-data": "a \"b\"\n", "exited": 1, "exitcode": 0});
        let wanted = include_str!("../../../tests/golden/qm-guest-exec.txt");
        assert_eq!(agent_result(&status), wanted);
        assert_eq!(agent_result(&json!({"result": "thawed"})), "thawed\n");
        assert_eq!(agent_result(&json!({"result": "a\u{1b}[2J"})), "a?[2J\n");
        assert_eq!(agent_result(&json!({"result": 1})), "1\n");
        assert_eq!(agent_result(&json!({"result": {}})), "{}\n");
        assert_eq!(agent_result(&json!({"result": null})), "");
    }

    #[test]
    fn a_configuration_is_lines_of_key_and_value() {
        let data = json!({"name": "web", "digest": "x", "description": "a: b\nö", "memory": 512});
        assert_eq!(
            config(&data),
            "description: a%3A b%0A%C3%B6\nmemory: 512\nname: web\n"
        );
    }

    #[test]
    fn the_status_is_a_line_or_all_there_is() {
        let data = json!({"status": "running", "cpus": 2, "ha": {"managed": 0}});
        assert_eq!(status(&data, false), "status: running\n");
        assert_eq!(
            status(&data, true),
            "cpus: 2\nha: {\"managed\":0}\nstatus: running\n"
        );
    }

    #[test]
    fn pending_changes_are_told_apart() {
        let data = json!([
            {"key": "memory", "value": 512, "pending": 1024},
            {"key": "net0", "value": "virtio", "delete": 1},
            {"key": "cores", "pending": 2},
            {"key": "name", "value": "web"},
            {"key": "digest", "value": "x"},
        ]);
        let wanted =
            "new cores: 2\ncur memory: 512\nnew memory: 1024\ncur name: web\ndel net0: virtio\n";
        assert_eq!(pending(&data), wanted);
    }

    #[test]
    fn snapshots_hang_on_their_parents() {
        let data = json!([
            {"name": "current", "parent": "b", "description": "You are here!"},
            {"name": "b", "parent": "a", "snaptime": 0},
            {"name": "a", "snaptime": 0, "description": "first\nmore"},
        ]);
        let wanted = include_str!("../../../tests/golden/qm-snapshots.txt");
        assert_eq!(snapshots(&data), wanted);
        assert_eq!(snapshots(&json!([{"name": "a", "parent": "a"}])), "");
    }

    #[test]
    fn a_change_is_told_without_its_secrets() {
        let data = json!({"vmid": "100", "memory": "512", "cipassword": "x"});
        let text = update(data.as_object().unwrap());
        assert_eq!(text, "update VM 100: -cipassword <hidden> -memory 512");
    }

    #[test]
    fn a_command_line_can_be_given_to_a_shell() {
        let line = "/usr/bin/kvm\0-name\0it's,debug=on\0-S\0";
        assert_eq!(
            command_line(line, false),
            r"/usr/bin/kvm -name 'it'\''s,debug=on' -S"
        );
        assert_eq!(
            command_line("kvm\x00-id\x00100\x00", true),
            "kvm \\\n  -id 100"
        );
    }
}
