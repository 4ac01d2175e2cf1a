//! `GET /nodes/{node}/qemu/{vmid}/agent/exec-status`

use guest::qemu::agent::ExecStatus;
use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::Guest;
use super::text;
use crate::ops::Op;

#[derive(Deserialize)]
struct Status {
    pid: i64,
}

pub(super) async fn exec_status(op: Op) -> Result<Answer, Error> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
