//! `ostler storage-key`: the keys of encrypted storages.

use serde_json::Value;

use super::commands::{Command, Program, Show, get};
use super::format::plain_text;

pub(super) const PROGRAM: Program = Program {
    name: "storage-key",
    about: "the keys of encrypted storages",
    commands: COMMANDS,
    takes_passwords: false,
};

const COMMANDS: &[Command] = &[get("export", "/ostler/storage/{storage}/key")
    .takes(&["storage"])
    .show(Show::Text(key))];

/// As `zfs load-key` reads it.
fn key(data: &Value) -> String {
    format!("{}\n", plain_text(&data["key"]))
}
