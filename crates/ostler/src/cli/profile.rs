//! `ostler profile`: what new virtual machines of a class are like.

use serde_json::Value;

use super::commands::{Command, Program, Show, delete, get, post, put};
use super::format::{Style, Table, plain_text};

pub(super) const PROGRAM: Program = Program {
    name: "profile",
    about: "profiles of virtual machines, and the making of machines of them",
    commands: COMMANDS,
    takes_passwords: true,
};

const PROFILES: &str = "/ostler/cluster/profiles";
const PROFILE: &str = "/ostler/cluster/profiles/{profile}";
const CREATE: &str = "/ostler/nodes/{node}/profiles/{profile}/create";
const ONE: &[&str] = &["profile"];

const COMMANDS: &[Command] = &[
    post("add", PROFILES).takes(ONE),
    post("create", CREATE).takes(ONE).show(Show::Table(made)),
    delete("delete", PROFILE).takes(ONE),
    get("list", PROFILES).show(Show::Table(list)),
    put("set", PROFILE).takes(ONE),
    get("show", PROFILE).takes(ONE),
];

fn rows(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().into_iter().flatten()
}

fn list(profiles: &Value, style: &Style) -> String {
    let head = [
        "PROFILE",
        "SOCKETS",
        "CORES",
        "MEMORY(MB)",
        "FROM",
        "DISKS",
        "COMMENT",
    ];
    let mut table = Table::new(head);
    for row in rows(profiles) {
        let names = [
            "profile",
            "sockets",
            "cores",
            "memory",
            "from",
            "disk-size",
            "comment",
        ];
        table.row(names.map(|name| plain_text(&row[name])));
    }
    table.print(style)
}

fn made(machines: &Value, style: &Style) -> String {
    let mut table = Table::new(["VMID", "NAME", "TASK"]);
    for row in rows(machines) {
        table.row(["vmid", "name", "upid"].map(|name| plain_text(&row[name])));
    }
    table.print(style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_and_a_machine_are_a_line() {
        let style = Style {
            border: false,
            ..Style::default()
        };
        let rows = json!([{"profile": "k8s", "cores": 4, "memory": "8192", "from": 9000,
            "disk-size": "scsi0=40G"}]);
        let text = list(&rows, &style);
        let line = text.lines().nth(1).unwrap();
        assert!(
            ["k8s", "4", "8192", "9000", "scsi0=40G"]
                .iter()
                .all(|part| line.contains(part)),
            "{text}"
        );
        let text = made(
            &json!([{"vmid": 101, "name": "w-1", "upid": "UPID:n1:"}]),
            &style,
        );
        assert!(text.lines().nth(1).unwrap().contains("w-1"), "{text}");
    }
}
