//! `/nodes/{node}/qemu/{vmid}/agent`

mod command;
mod exec;
mod exec_status;
mod file_read;
mod file_write;
mod set_user_password;

use guest::qemu::{AgentError, PlainCommand};
use model::{Error, VmId};
use proto::wire::Answer;
use serde_json::json;

use super::{Guest, Pair, pair};
use crate::ops::Op;

/// An operation that is an agent command without arguments, under its name in the API.
macro_rules! plain {
    ($row:literal, $command:literal) => {
        (
            $row,
            (|op| {
                Box::pin(async move {
                    let vmid = Guest::of(&op)?.vmid;
                    plain(&op, vmid, $command).await
                })
            }) as crate::ops::Handler,
        )
    };
}

pub(super) const PAIRS: &[Pair] = &[
    pair!("agent_command", command::command),
    pair!("agent_exec", exec::exec),
    pair!("agent_exec_status", exec_status::exec_status),
    pair!("agent_file_read", file_read::file_read),
    pair!("agent_file_write", file_write::file_write),
    plain!("agent_fsfreeze_freeze", "fsfreeze-freeze"),
    plain!("agent_fsfreeze_status", "fsfreeze-status"),
    plain!("agent_fsfreeze_thaw", "fsfreeze-thaw"),
    plain!("agent_fstrim", "fstrim"),
    plain!("agent_get_fsinfo", "get-fsinfo"),
    plain!("agent_get_host_name", "get-host-name"),
    plain!("agent_get_memory_block_info", "get-memory-block-info"),
    plain!("agent_get_memory_blocks", "get-memory-blocks"),
    plain!("agent_get_osinfo", "get-osinfo"),
    plain!("agent_get_time", "get-time"),
    plain!("agent_get_timezone", "get-timezone"),
    plain!("agent_get_users", "get-users"),
    plain!("agent_get_vcpus", "get-vcpus"),
    plain!("agent_info", "info"),
    plain!("agent_network_get_interfaces", "network-get-interfaces"),
    plain!("agent_ping", "ping"),
    pair!(
        "agent_set_user_password",
        set_user_password::set_user_password
    ),
    plain!("agent_shutdown", "shutdown"),
    plain!("agent_suspend_disk", "suspend-disk"),
    plain!("agent_suspend_hybrid", "suspend-hybrid"),
    plain!("agent_suspend_ram", "suspend-ram"),
];

/// The agent's answer is passed on unchanged, errors included: Proxmox VE answers 200 to both, and
/// clients look for `result.error`.
async fn plain(op: &Op, vmid: VmId, name: &str) -> Result<Answer, Error> {
    let command = PlainCommand::from_api_name(name);
    let command =
        command.ok_or_else(|| Error::bug(format!("no agent command is named '{name}'")))?;
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let result = match agent.plain(command).await {
        Ok(result) => result,
        Err(AgentError::Refused {
            class, description, ..
        }) => json!({"error": {"class": class, "desc": description}}),
        Err(error) => return Err(agent.failed(error)),
    };
    Ok(Answer::new(json!({ "result": result })))
}

/// Bytes from a guest as text. If they are not UTF-8, each byte becomes one character, as in
/// Proxmox VE, so that nothing is lost.
fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::qemu::agent::PLAIN_COMMANDS;

    #[test]
    fn every_plain_command_has_a_row_and_is_a_word_of_the_common_one() {
        let row = proto::table::row("agent_command").unwrap();
        let words = model::schema::find(row.params, "command").unwrap().one_of;
        let commands: Vec<&str> = PLAIN_COMMANDS
            .iter()
            .map(|plain| plain.api_name())
            .collect();
        assert_eq!(words, commands);
        for word in words {
            let name = format!("agent_{}", word.replace('-', "_"));
            let row = proto::table::row(&name).unwrap();
            assert!(row.path.ends_with(&format!("/agent/{word}")), "{name}");
            assert!(PAIRS.iter().any(|(pair, _)| *pair == name), "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_one_by_one() {
        assert_eq!(text("grün".into()), "grün");
        assert_eq!(text(vec![b'a', 0xff, 0]), "a\u{ff}\0");
    }
}
