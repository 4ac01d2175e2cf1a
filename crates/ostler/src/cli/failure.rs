//! Errors of commands: text and exit code.
//!
//! Commands with names of Proxmox VE print its texts and exit with 255 on every error. `ostler`
//! distinguishes kinds of failure (docs/cli.md) and adds a hint if it has one.

use std::fmt;

use anyhow::Error;
use model::ErrorKind;

use super::output;

/// The command line is wrong.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A wrong command line, as an error to return.
pub(crate) fn usage(text: impl Into<String>) -> Error {
    Error::new(Usage(text.into()))
}

/// A task failed while the command waited for it.
#[derive(Debug)]
pub(crate) struct TaskFailed {
    pub(crate) upid: String,
    pub(crate) status: String,
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.status)
    }
}

impl std::error::Error for TaskFailed {}

/// The command has printed its result, which scripts read from its exit code.
#[derive(Debug)]
pub(crate) struct Code(u8);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Code {}

pub(crate) fn with_code(code: u8) -> Error {
    Error::new(Code(code))
}

/// The conventions that a command follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Those of the command of this name in Proxmox VE.
    Pve,
    /// Our own.
    Ostler,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const TASK_FAILED: u8 = 4;
const SIGPIPE: u8 = 141;
const PVE_FAILED: u8 = 255;

/// Prints an error and returns the exit code.
pub(crate) fn report(manners: Manners, error: &Error) -> u8 {
    if error.is::<output::Closed>() {
        return SIGPIPE;
    }
    if let Some(Code(code)) = error.downcast_ref() {
        return *code;
    }
    match manners {
        Manners::Pve => {
            output::note(pve_text(error).trim_end());
            PVE_FAILED
        }
        Manners::Ostler => {
            output::note(&own_text(error, output::has_colours()));
            own_code(error)
        }
    }
}

fn own_code(error: &Error) -> u8 {
    if error.is::<Usage>() {
        USAGE
    } else if error.is::<TaskFailed>() {
        TASK_FAILED
    } else if is_unreachable(error) {
        UNREACHABLE
    } else {
        FAILED
    }
}

/// The text of an error in Proxmox VE's form: a status where its clients expect one, then one line
/// per wrong parameter.
fn pve_text(error: &Error) -> String {
    let Some(refused) = error.downcast_ref::<model::Error>() else {
        return format!("{error:#}");
    };
    let status = match refused.kind {
        ErrorKind::Invalid => "400 ",
        ErrorKind::Forbidden => "403 ",
        ErrorKind::NotImplemented => "501 ",
        ErrorKind::NodeUnreachable => "595 ",
        ErrorKind::NodeLost => "596 ",
        ErrorKind::NodeGarbled => "599 ",
        _ => "",
    };
    let mut text = format!("{status}{}\n", refused.message);
    for (field, reason) in &refused.fields {
        text.push_str(&format!("{field}: {}\n", reason.trim_end()));
    }
    text
}

fn own_text(error: &Error, colours: bool) -> String {
    let (red, cyan, plain) = if colours {
        ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{red}error:{plain} {}", own_message(error));
    if let Some(hint) = hint(error) {
        text.push_str(&format!("\n{cyan}hint:{plain} {hint}"));
    }
    text
}

fn own_message(error: &Error) -> String {
    match error.downcast_ref::<model::Error>() {
        Some(refused) if refused.kind == ErrorKind::Invalid && !refused.fields.is_empty() => {
            let wrong = refused
                .fields
                .iter()
                .map(|(field, reason)| format!("{field}: {}", reason.trim_end()));
            wrong.collect::<Vec<_>>().join("\n       ")
        }
        _ => format!("{error:#}").trim_end().to_owned(),
    }
}

fn is_unreachable(error: &Error) -> bool {
    error.downcast_ref::<model::Error>().is_some_and(|error| {
        error.kind == ErrorKind::Unavailable && error.message.contains("node agent")
    })
}

/// A hint, if one follows from the kind or the text of an error.
fn hint(error: &Error) -> Option<String> {
    let text = format!("{error:#}");
    let kind = error.downcast_ref::<model::Error>().map(|error| error.kind);
    if is_unreachable(error) {
        let hint = if text.contains("Permission denied") {
            "the agent's socket is for root: try again with sudo"
        } else {
            "is the agent running? 'ostler run' starts a node, or see 'systemctl status ostler-node'"
        };
        return Some(hint.to_owned());
    }
    if text.contains("kvm") || text.contains("KVM") {
        let hint = "this machine cannot accelerate guests: turn virtualization on in its firmware, \
                    or set 'kvm: 0' for the guest";
        return Some(hint.to_owned());
    }
    if text.contains("is locked") || kind == Some(ErrorKind::Busy) {
        let hint = "another task has locked it: see 'ostler task list --running'";
        return Some(hint.to_owned());
    }
    if text.contains("snapshot '") && text.ends_with("does not exist") {
        return Some("'ostler vm snapshot list VMID' lists the snapshots".to_owned());
    }
    if text.contains("not running") {
        return Some("'ostler vm start VMID' starts it".to_owned());
    }
    if text.contains("already running") {
        return Some("'ostler vm show' shows its state".to_owned());
    }
    if let Some(task) = error.downcast_ref::<TaskFailed>() {
        return Some(format!("'ostler task log {}' shows all of it", task.upid));
    }
    match kind? {
        ErrorKind::NotFound if text.starts_with("storage") => {
            Some("'pvesm status' lists the storages".to_owned())
        }
        ErrorKind::NotFound if text.contains("qemu-server/") => {
            Some("'ostler vm list' lists the machines".to_owned())
        }
        ErrorKind::NodeUnreachable | ErrorKind::NodeLost | ErrorKind::NodeGarbled => {
            Some("this is about another node: 'pvesh get /nodes' shows their states".to_owned())
        }
        ErrorKind::Unauthenticated => Some("this command needs root".to_owned()),
        ErrorKind::NotImplemented => Some("'ostler api-dump' prints all operations".to_owned()),
        ErrorKind::Bug => Some("this is a bug in Ostler: please report it".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Error as Refused;

    fn own(error: impl Into<Error>) -> (u8, String) {
        let error = error.into();
        (own_code(&error), own_text(&error, false))
    }

    #[test]
    fn proxmox_texts_begin_with_a_status_and_name_every_field() {
        let error = Error::new(Refused::invalid("vmid", "too small\n"));
        assert_eq!(
            pve_text(&error),
            "400 Parameter verification failed.\nvmid: too small\n"
        );
        let error = Error::new(Refused::not_found("no such VM"));
        assert_eq!(pve_text(&error), "no such VM\n");
    }

    #[test]
    fn an_agent_out_of_reach_has_a_code_and_a_hint() {
        let gone = "the node agent cannot be reached at /run/x: No such file";
        let (code, text) = own(Refused::unavailable(gone));
        assert_eq!(code, UNREACHABLE);
        assert!(text.starts_with(&format!("error: {gone}\nhint: is the agent running?")));
        let (_, text) = own(Refused::unavailable("the node agent: Permission denied"));
        assert!(text.contains("sudo"), "{text}");
    }

    #[test]
    fn a_lock_and_a_failed_task_have_hints_of_their_own() {
        let (code, text) = own(Refused::conflict("VM is locked (backup)"));
        assert_eq!(code, FAILED);
        assert!(text.contains("hint: another task"), "{text}");
        let failed = TaskFailed {
            upid: "UPID:x:".to_owned(),
            status: "no space left".to_owned(),
        };
        let (code, text) = own(failed);
        assert_eq!(code, TASK_FAILED);
        assert_eq!(
            text,
            "error: no space left\nhint: 'ostler task log UPID:x:' shows all of it"
        );
        assert_eq!(
            own(Usage("what?".to_owned())),
            (2, "error: what?".to_owned())
        );
    }

    #[test]
    fn what_is_missing_or_stopped_has_a_hint() {
        let failed = |status: &str| TaskFailed {
            upid: "UPID:x:".to_owned(),
            status: status.to_owned(),
        };
        for (error, hint) in [
            (
                own(failed("snapshot 'x' does not exist")),
                "'ostler vm snapshot list",
            ),
            (
                own(Refused::conflict("VM 100 not running")),
                "'ostler vm start",
            ),
            (own(failed("VM 100 is not running")), "'ostler vm start"),
            (
                own(Refused::not_found("storage 'x' does not exist")),
                "'pvesm status'",
            ),
        ] {
            assert!(error.1.contains(&format!("\nhint: {hint}")), "{error:?}");
        }
    }

    #[test]
    fn wrong_fields_are_listed() {
        let mut error = Refused::invalid("name", "no such name");
        error
            .fields
            .insert("vmid".to_owned(), "too small".to_owned());
        assert_eq!(
            own(error).1,
            "error: name: no such name\n       vmid: too small"
        );
    }
}
