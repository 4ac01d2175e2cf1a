//! The help of a program's commands.

use super::super::pvesh::usage::options_of;
use super::{Command, Program};

impl Program {
    /// The commands that this version can run.
    pub(in crate::cli) fn list(&self) -> String {
        let works = self.commands.iter().filter(|command| command.works());
        let lines = works.map(|command| format!("       {} {}\n", self.name, command.usage()));
        format!(
            "USAGE: {} <COMMAND> [ARGS] [OPTIONS]\n\n{}",
            self.name,
            lines.collect::<String>()
        )
    }

    /// The options of a command, from its operation's row.
    pub(in crate::cli) fn help(&self, command: &Command) -> String {
        let text = format!("USAGE: {} {}\n", self.name, command.usage());
        if !command.works() {
            return format!("{text}\n  not supported by this version of Ostler\n");
        }
        let summary = command.summary().unwrap_or_default();
        format!("{text}\n  {summary}\n{}", options_of(&command.options()))
    }

    /// The error for an unknown command, with the commands that begin like it.
    pub(super) fn unknown(&self, arguments: &[String]) -> String {
        let first = format!("{} ", arguments[0]);
        let alike: String = self
            .commands
            .iter()
            .filter(|command| command.name.starts_with(&first) && command.works())
            .map(|command| format!("       {} {}\n", self.name, command.usage()))
            .collect();
        let known = if alike.is_empty() {
            self.list()
        } else {
            format!("USAGE:\n{alike}")
        };
        format!("unknown command '{}'\n{known}", arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{pvesm, pveum, qm};

    #[test]
    fn a_command_is_told_with_what_it_needs() {
        let usage = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            pveum::PROGRAM.find(&words).unwrap().0.usage()
        };
        assert_eq!(
            usage("acl modify"),
            "acl modify <path> --roles <string> [OPTIONS]"
        );
        assert_eq!(usage("passwd"), "passwd <userid> [OPTIONS]");
        assert_eq!(
            usage("user permissions"),
            "user permissions [<userid>] [OPTIONS]"
        );
    }

    #[test]
    fn lists_and_helps_are_texts() {
        let list = pvesm::PROGRAM.list();
        let line = "\n       pvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]\n";
        assert!(
            list.starts_with("USAGE: pvesm <COMMAND>") && list.contains(line),
            "{list}"
        );
        assert!(!list.contains("apiinfo"), "{list}");
        let wanted = include_str!("../../../tests/golden/pveum-help.txt");
        assert_eq!(pveum::PROGRAM.list(), wanted);
        let words = ["token", "add"].map(str::to_owned);
        let text = pveum::PROGRAM.unknown(&words);
        assert!(text.contains("USAGE: pveum <COMMAND>"), "{text}");
        let text = qm::PROGRAM.unknown(&["disk".to_owned(), "fly".to_owned()]);
        assert!(
            text.contains("qm disk resize <vmid>") && !text.contains("qm start"),
            "{text}"
        );
    }
}
