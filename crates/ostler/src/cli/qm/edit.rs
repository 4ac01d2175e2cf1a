//! How `qm create` and `qm set` turn options into parameters.

use anyhow::{Context, Result, bail};
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::values;
use super::super::commands::Next;
use super::print;

const START: &str = "/nodes/{node}/qemu/{vmid}/status/start";

/// Removes the start from a creation. The agent would submit it as a second task without waiting;
/// this way the machine runs when `qm create --start` returns.
pub(super) fn later_start(given: &mut Values) -> Option<Next> {
    let wanted = given
        .shift_remove("start")
        .is_some_and(|start| start == "1");
    let vmid = given.get("vmid")?.clone();
    wanted.then(|| (Verb::Post, START, values([("vmid", vmid)])))
}

/// A change must change something.
pub(super) fn before_change(given: &mut Values) -> Result<()> {
    const NO_CHANGE: [&str; 4] = ["vmid", "digest", "skiplock", "force"];
    if given.keys().all(|name| NO_CHANGE.contains(&name.as_str())) {
        bail!("no options specified");
    }
    read_keys(given)
}

/// `--sshkeys` names a file; the API takes its content, percent-encoded.
pub(super) fn read_keys(given: &mut Values) -> Result<()> {
    let Some(path) = given.get("sshkeys").and_then(Value::as_str) else {
        return Ok(());
    };
    let keys =
        std::fs::read_to_string(path).with_context(|| format!("reading the keys in {path}"))?;
    let encoded = print::percent_encoded(&keys, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
    });
    given.insert("sshkeys".to_owned(), encoded.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_must_change_something() {
        let mut given = values([("vmid", "100".into()), ("digest", "x".into())]);
        assert!(before_change(&mut given).is_err());
        given.insert("name".to_owned(), "x".into());
        assert!(before_change(&mut given).is_ok());
    }

    #[test]
    fn keys_are_read_from_the_file_that_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ssh-rsa a+b c\n").unwrap();
        let mut given = values([("sshkeys", file.path().to_str().unwrap().into())]);
        read_keys(&mut given).unwrap();
        assert_eq!(given["sshkeys"], "ssh-rsa%20a%2Bb%20c%0A");
    }

    #[test]
    fn a_start_after_the_creation_is_an_operation_of_its_own() {
        let mut given = values([("vmid", "100".into()), ("start", "1".into())]);
        let (_, path, params) = later_start(&mut given).unwrap();
        assert_eq!((path, &params["vmid"]), (START, &"100".into()));
        assert!(!given.contains_key("start"));
        assert!(later_start(&mut given).is_none());
    }
}
