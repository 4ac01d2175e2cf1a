//! `pveum`: users, groups, roles and rights, by the command names of Proxmox VE.

mod own;
mod print;

use super::commands::{Asks, Command, Program, Show, delete, get, own as command, post, put};

pub(super) const PROGRAM: Program = Program {
    name: "pveum",
    about: "users, groups, roles, realms, pools and permissions",
    commands: COMMANDS,
    takes_passwords: false,
};

const GROUP: &[&str] = &["groupid"];
const POOL: &[&str] = &["poolid"];
const REALM: &[&str] = &["realm"];
const ROLE: &[&str] = &["roleid"];
const TOKEN: &[&str] = &["userid", "tokenid"];
const USER: &[&str] = &["userid"];

/// Revokes roles: the operation that grants them, with `delete`.
const fn acl_delete(name: &'static str) -> Command {
    put(name, "/access/acl")
        .takes(&["path"])
        .with(&[("delete", "1")])
}

const fn acl_modify(name: &'static str) -> Command {
    put(name, "/access/acl").takes(&["path"])
}

/// Commands that also have an older name of one word are listed twice.
const COMMANDS: &[Command] = &[
    acl_delete("acl delete"),
    get("acl list", "/access/acl"),
    acl_modify("acl modify"),
    acl_delete("acldel"),
    acl_modify("aclmod"),
    post("group add", "/access/groups").takes(GROUP),
    delete("group delete", "/access/groups/{groupid}").takes(GROUP),
    get("group list", "/access/groups"),
    put("group modify", "/access/groups/{groupid}").takes(GROUP),
    post("groupadd", "/access/groups").takes(GROUP),
    delete("groupdel", "/access/groups/{groupid}").takes(GROUP),
    put("groupmod", "/access/groups/{groupid}").takes(GROUP),
    put("passwd", "/access/password")
        .takes(USER)
        .asks(Asks::New),
    post("pool add", "/pools").takes(POOL),
    delete("pool delete", "/pools").takes(POOL),
    get("pool list", "/pools"),
    put("pool modify", "/pools").takes(POOL),
    post("realm add", "/access/domains").takes(REALM),
    delete("realm delete", "/access/domains/{realm}").takes(REALM),
    get("realm list", "/access/domains"),
    put("realm modify", "/access/domains/{realm}").takes(REALM),
    post("realm sync", "/access/domains/{realm}/sync").takes(REALM),
    post("role add", "/access/roles").takes(ROLE),
    delete("role delete", "/access/roles/{roleid}").takes(ROLE),
    get("role list", "/access/roles"),
    put("role modify", "/access/roles/{roleid}").takes(ROLE),
    post("roleadd", "/access/roles").takes(ROLE),
    delete("roledel", "/access/roles/{roleid}").takes(ROLE),
    put("rolemod", "/access/roles/{roleid}").takes(ROLE),
    post("ticket", "/access/ticket")
        .takes(&["username"])
        .asks(Asks::Old)
        .show(Show::Text(print::ticket)),
    post("user add", "/access/users").takes(USER),
    delete("user delete", "/access/users/{userid}").takes(USER),
    get("user list", "/access/users"),
    put("user modify", "/access/users/{userid}").takes(USER),
    get("user permissions", "/access/permissions")
        .takes(USER)
        .show(Show::Table(print::permissions)),
    command(
        "user tfa delete",
        "Remove a second factor of a user, or all of them.",
        own::TFA_DELETE,
        |agent, given, _| Box::pin(own::tfa_delete(agent, given)),
    )
    .takes(USER),
    command(
        "user tfa list",
        "The second factors of a user, or of all.",
        own::TFA_LIST,
        |agent, given, style| Box::pin(own::tfa_list(agent, given, style)),
    )
    .takes(USER),
    put("user tfa unlock", "/access/users/{userid}/unlock-tfa").takes(USER),
    post("user token add", "/access/users/{userid}/token/{tokenid}")
        .takes(TOKEN)
        .show(Show::Answer),
    delete(
        "user token delete",
        "/access/users/{userid}/token/{tokenid}",
    )
    .takes(TOKEN),
    get("user token list", "/access/users/{userid}/token").takes(USER),
    put(
        "user token modify",
        "/access/users/{userid}/token/{tokenid}",
    )
    .takes(TOKEN)
    .show(Show::Answer),
    command(
        "user token permissions",
        "The privileges of an API token, by path.",
        own::TOKEN_PERMISSIONS,
        |agent, given, style| Box::pin(own::token_permissions(agent, given, style)),
    )
    .takes(TOKEN),
    delete(
        "user token remove",
        "/access/users/{userid}/token/{tokenid}",
    )
    .takes(TOKEN),
    post("useradd", "/access/users").takes(USER),
    delete("userdel", "/access/users/{userid}").takes(USER),
    put("usermod", "/access/users/{userid}").takes(USER),
];
