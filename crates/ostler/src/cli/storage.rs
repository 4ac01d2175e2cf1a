//! `ostler storage`: disks of storages that are plugged in and unplugged.

use super::commands::{Command, Program, post};

pub(super) const PROGRAM: Program = Program {
    name: "storage",
    about: "disks of storages that are plugged in and unplugged",
    commands: COMMANDS,
    takes_passwords: false,
};

const COMMANDS: &[Command] = &[
    post("attach", "/ostler/nodes/{node}/storage/{storage}/attach").takes(&["storage"]),
    post("detach", "/ostler/nodes/{node}/storage/{storage}/detach").takes(&["storage"]),
];
