//! `/nodes/{node}/qemu/{vmid}/agent`

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guest::qemu::agent::{ExecStatus, FILE_READ_MAX};
use guest::qemu::{AgentError, PlainCommand};
use model::{Error, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Guest, Pair, pair};
use crate::ops::Op;

/// An operation that is a command without arguments, by that command's name in the API.
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
    pair!("agent_command", command),
    pair!("agent_exec", exec),
    pair!("agent_exec_status", exec_status),
    pair!("agent_file_read", file_read),
    pair!("agent_file_write", file_write),
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
    pair!("agent_set_user_password", set_user_password),
    plain!("agent_shutdown", "shutdown"),
    plain!("agent_suspend_disk", "suspend-disk"),
    plain!("agent_suspend_hybrid", "suspend-hybrid"),
    plain!("agent_suspend_ram", "suspend-ram"),
];

#[derive(Deserialize)]
struct Command {
    command: String,
}

async fn command(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Command { command } = op.params()?;
    plain(&op, vmid, &command).await
}

/// What an agent answers is passed on as it is, and so is its refusal: Proxmox VE says 200 to
/// both, and clients look for `result.error`.
async fn plain(op: &Op, vmid: VmId, name: &str) -> Result<Answer, Error> {
    let command = PlainCommand::from_api_name(name);
    let command = command.ok_or_else(|| Error::bug(format!("no agent's command is '{name}'")))?;
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

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Exec {
    command: Vec<String>,
    input_data: Option<String>,
}

async fn exec(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Exec {
        command,
        input_data,
    } = op.params()?;
    let missing = || Error::invalid("command", "names no program");
    let (program, arguments) = command.split_first().ok_or_else(missing)?;
    if program.is_empty() {
        return Err(missing());
    }
    let input = input_data.as_deref().map(str::as_bytes);
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let pid = agent.exec(program, arguments, input).await;
    let pid = pid.map_err(|error| agent.failed(error))?;
    Ok(Answer::new(json!({ "pid": pid })))
}

#[derive(Deserialize)]
struct Status {
    pid: i64,
}

async fn exec_status(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Status { pid } = op.params()?;
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let status = agent.exec_status(pid).await;
    let status = status.map_err(|error| agent.failed(error))?;
    Ok(Answer::new(shown(status)))
}

fn shown(status: ExecStatus) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            answer.insert(name.to_owned(), value);
        }
    };
    put("exited", Some(u8::from(status.exited).into()));
    put("exitcode", status.exit_code.map(Value::from));
    put("signal", status.signal.map(Value::from));
    put("out-data", status.out.map(|bytes| text(bytes).into()));
    put("err-data", status.err.map(|bytes| text(bytes).into()));
    let flag = |flag: Option<bool>| flag.map(|flag| u8::from(flag).into());
    put("out-truncated", flag(status.out_truncated));
    put("err-truncated", flag(status.err_truncated));
    answer
}

/// Bytes of a guest's as text. What is not UTF-8 becomes a character for each byte, as all bytes
/// do in Proxmox VE, so that nothing of it is lost.
fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

#[derive(Deserialize)]
struct FileRead {
    file: String,
    count: Option<usize>,
    decode: Option<bool>,
    offset: Option<u64>,
}

async fn file_read(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let FileRead {
        file,
        count,
        decode,
        offset,
    } = op.params()?;
    let count = count.unwrap_or(FILE_READ_MAX);
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let read = agent.read_file(&file, offset.unwrap_or(0), count).await;
    let read = read.map_err(|error| agent.failed(error))?;
    let content = match decode {
        Some(false) => STANDARD.encode(read.bytes),
        _ => text(read.bytes),
    };
    let mut answer = json!({ "content": content });
    if read.is_truncated {
        answer["truncated"] = 1.into();
    }
    Ok(Answer::new(answer))
}

#[derive(Deserialize)]
struct FileWrite {
    file: String,
    content: String,
    encode: Option<bool>,
}

async fn file_write(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let FileWrite {
        file,
        content,
        encode,
    } = op.params()?;
    let bytes = match encode {
        Some(false) => STANDARD.decode(&content).map_err(|error| {
            Error::invalid(
                "content",
                format!("is not base64, as 'encode' says: {error}"),
            )
        })?,
        _ => content.into_bytes(),
    };
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let written = agent.write_file(&file, &bytes).await;
    written.map_err(|error| agent.failed(error))?;
    Ok(Answer::null())
}

#[derive(Deserialize)]
struct SetPassword {
    username: String,
    password: String,
    crypted: Option<bool>,
}

async fn set_user_password(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let SetPassword {
        username,
        password,
        crypted,
    } = op.params()?;
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let is_crypted = crypted == Some(true);
    let set = agent.set_user_password(&username, &password, is_crypted);
    set.await.map_err(|error| agent.failed(error))?;
    Ok(Answer::new(json!({"result": {}})))
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

    #[test]
    fn the_status_of_a_program_says_only_what_is_known() {
        let running = shown(ExecStatus::default());
        assert_eq!(Value::Object(running), json!({"exited": 0}));
        let ended = ExecStatus {
            exited: true,
            exit_code: Some(2),
            err: Some(b"no\n".to_vec()),
            err_truncated: Some(false),
            ..ExecStatus::default()
        };
        let wanted = json!({"exited": 1, "exitcode": 2, "err-data": "no\n", "err-truncated": 0});
        assert_eq!(Value::Object(shown(ended)), wanted);
    }
}
