//! Shell completion of the word that is being typed.
//!
//! The script that a shell loads (`ostler completion bash`) calls this program for every word, so
//! that the suggestions always fit this version.

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;
use model::schema::{Field, Kind, find};
use proto::{Router, table};

use super::commands::Program;
use super::pvesh::{self, list::below};
use super::{PROGRAMS, output};

/// The shells with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
}

/// Options of the output, common to all commands of Proxmox VE.
const FORMATS: [&str; 5] = [
    "--output-format",
    "--human-readable",
    "--noborder",
    "--noheader",
    "--quiet",
];

const BASH: &str = r#"# Completion of Ostler's commands for bash.
_ostler() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(ostler complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
}
complete -o default -F _ostler NAMES
"#;

const ZSH: &str = r#"#compdef NAMES
# Completion of Ostler's commands for zsh.
_ostler() {
    local -a found
    found=("${(@f)$(ostler complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -a found
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _ostler ]]; then
    _ostler "$@"
else
    compdef _ostler NAMES
fi
"#;

/// The script that a shell loads.
pub(crate) fn script(shell: Shell) -> String {
    let mut names = vec!["ostler", "pvesh", "pveversion"];
    names.extend(PROGRAMS.iter().map(|program| program.name));
    let script = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
    };
    script.replace("NAMES", &names.join(" "))
}

/// Prints the suggestions for the last of the words; the first is the program.
pub(crate) fn complete(ostler: &clap::Command, words: &[String]) -> anyhow::Result<()> {
    let lines = candidates(ostler, words).into_iter();
    output::print(&lines.map(|word| word + "\n").collect::<String>())
}

fn candidates(ostler: &clap::Command, words: &[String]) -> Vec<String> {
    let [program, given @ .., typed] = words else {
        return Vec::new();
    };
    let name = Path::new(program)
        .file_name()
        .and_then(|name| name.to_str());
    let all = of_program(ostler, name.unwrap_or_default(), given, typed);
    all.into_iter()
        .filter(|word| word.starts_with(typed.as_str()))
        .collect()
}

fn of_program(
    ostler: &clap::Command,
    name: &str,
    given: &[String],
    typed: &str,
) -> BTreeSet<String> {
    if let Some(program) = PROGRAMS.iter().find(|program| program.name == name) {
        return of_table(program, given, typed);
    }
    match name {
        "pvesh" => of_pvesh(given, typed),
        "pveversion" => BTreeSet::from(["--verbose".to_owned()]),
        "ostler" => match given.split_first() {
            Some((first, rest)) if is_program(first) => of_program(ostler, first, rest, typed),
            _ => of_ostler(ostler, given, typed),
        },
        _ => BTreeSet::new(),
    }
}

fn is_program(word: &str) -> bool {
    matches!(word, "pvesh" | "pveversion") || PROGRAMS.iter().any(|program| program.name == word)
}

/// The next word of a command's name, then its options and their values.
fn of_table(program: &Program, given: &[String], typed: &str) -> BTreeSet<String> {
    let (help, words) = match given.split_first() {
        Some((first, rest)) if first == "help" => (true, rest),
        _ => (false, given),
    };
    let begin: String = words.iter().map(|word| format!("{word} ")).collect();
    let names = program.commands.iter().filter(|command| command.works());
    let mut found: BTreeSet<String> = names
        .filter_map(|command| command.name.strip_prefix(begin.as_str()))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect();
    if given.is_empty() {
        found.insert("help".to_owned());
    }
    if let (false, Some((command, rest))) = (help, program.find(words)) {
        found.extend(of_options(
            &command.fields(),
            &command.options(),
            rest,
            typed,
        ));
    }
    found
}

/// Options, or the values of the preceding one.
fn of_options(
    groups: &[&[Field]],
    options: &[&Field],
    given: &[String],
    typed: &str,
) -> BTreeSet<String> {
    let before = given.last().and_then(|word| word.strip_prefix("--"));
    if before == Some("output-format") {
        return ["text", "json", "json-pretty", "yaml"]
            .map(str::to_owned)
            .into();
    }
    // A word that begins like an option is one, in every place.
    let before = before.filter(|_| !typed.starts_with('-'));
    if let Some(field) = before.and_then(|name| find(groups, name)) {
        let values: &[&str] = match field.kind {
            Kind::Boolean => &["0", "1"],
            _ => field.one_of,
        };
        return values.iter().map(|value| (*value).to_owned()).collect();
    }
    let names = options.iter().map(|field| match field.indexed {
        0 => format!("--{}", field.name),
        _ => format!("--{}", field.name.replace("[n]", "0")),
    });
    names.chain(FORMATS.map(str::to_owned)).collect()
}

/// A command, a path step by step, the operation's options.
fn of_pvesh(given: &[String], typed: &str) -> BTreeSet<String> {
    let verbs = pvesh::COMMANDS.map(|(name, _)| name);
    match given {
        [] => verbs
            .into_iter()
            .chain(["ls", "usage", "help"])
            .map(str::to_owned)
            .collect(),
        [_] => paths(typed),
        [command, path, rest @ ..] => {
            let verb = pvesh::COMMANDS.iter().find(|(name, _)| name == command);
            let found = verb.and_then(|(_, verb)| {
                Router::new(table::rows()).find(*verb, &pvesh::segments(path))
            });
            match found {
                Some(found) => {
                    let options = pvesh::free_fields(found.row);
                    of_options(found.row.params, &options, rest, typed)
                }
                None => BTreeSet::new(),
            }
        }
    }
}

/// Paths one segment longer than the complete segments that were typed. Names of objects (a node, a
/// machine) are left to the user; this node is `localhost`.
fn paths(typed: &str) -> BTreeSet<String> {
    let (base, _) = typed.rsplit_once('/').unwrap_or(("", ""));
    let children = below(&pvesh::segments(base));
    let mut words = children.words;
    if children.parameter == Some("node") {
        words.insert("localhost".to_owned());
    }
    words
        .into_iter()
        .map(|word| format!("{base}/{word}"))
        .collect()
}

/// Our own commands, from their parser.
fn of_ostler(ostler: &clap::Command, given: &[String], typed: &str) -> BTreeSet<String> {
    let mut at = ostler;
    for word in given {
        if let Some(next) = at.find_subcommand(word) {
            at = next;
        }
    }
    let before = given.last().map(String::as_str).unwrap_or_default();
    let option = at
        .get_arguments()
        .find(|argument| is_named(argument, before));
    if let Some(option) = option.filter(|option| option.get_action().takes_values()) {
        let values = option.get_possible_values();
        return values
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect();
    }
    let commands = at
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut found: BTreeSet<String> = commands
        .map(|command| command.get_name().to_owned())
        .collect();
    if given.is_empty() {
        found.extend(["pvesh", "pveversion"].map(str::to_owned));
        found.extend(PROGRAMS.map(|program| program.name.to_owned()));
    }
    let positionals = at
        .get_positionals()
        .flat_map(clap::Arg::get_possible_values);
    found.extend(positionals.map(|value| value.get_name().to_owned()));
    if typed.starts_with('-') || found.is_empty() {
        let long = at.get_arguments().filter_map(clap::Arg::get_long);
        found.extend(long.map(|name| format!("--{name}")));
        found.insert("--help".to_owned());
    }
    found
}

fn is_named(argument: &clap::Arg, word: &str) -> bool {
    let long = argument.get_long().map(|name| format!("--{name}"));
    let short = argument.get_short().map(|name| format!("-{name}"));
    long.as_deref() == Some(word) || short.as_deref() == Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;
    use clap::CommandFactory;

    /// The suggestions at the end of a line.
    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&Arguments::command(), &words)
    }

    #[test]
    fn names_of_commands_are_offered_word_by_word() {
        assert_eq!(offered("qm sta"), ["start", "status"]);
        assert_eq!(offered("/usr/bin/pveum user to"), ["token"]);
        let tokens = offered("pveum user token ");
        assert!(tokens.contains(&"permissions".to_owned()), "{tokens:?}");
        assert_eq!(offered("ostler pvesm rem"), ["remove"]);
        assert_eq!(offered("qm help disk un"), ["unlink"]);
        assert!(
            offered("qm nbd").is_empty(),
            "what is not built is not offered"
        );
    }

    #[test]
    fn options_are_offered_with_their_values() {
        assert_eq!(offered("qm stop 100 --ti"), ["--timeout"]);
        assert_eq!(offered("qm set 100 --net"), ["--net0"]);
        assert_eq!(offered("qm set 100 --bios "), ["ovmf", "seabios"]);
        assert_eq!(offered("qm start 100 --skiplock "), ["0", "1"]);
        assert_eq!(
            offered("qm list --output-format js"),
            ["json", "json-pretty"]
        );
        assert!(offered("pveum user add a@pve --password ").is_empty());
    }

    #[test]
    fn paths_are_offered_step_by_step() {
        assert_eq!(offered("pvesh cr"), ["create"]);
        assert_eq!(offered("pvesh get /acc"), ["/access"]);
        assert_eq!(offered("pvesh get /nodes/loc"), ["/nodes/localhost"]);
        assert_eq!(
            offered("pvesh create /nodes/pve1/qemu/100/status/re"),
            [
                "/nodes/pve1/qemu/100/status/reboot",
                "/nodes/pve1/qemu/100/status/reset",
                "/nodes/pve1/qemu/100/status/resume",
            ]
        );
        assert_eq!(offered("pvesh get /nodes/pve1/tasks --sou"), ["--source"]);
    }

    #[test]
    fn our_own_commands_are_offered() {
        assert_eq!(offered("ostler vm sn"), ["snapshot"]);
        assert_eq!(offered("ostler vm snapshot cr"), ["create"]);
        assert_eq!(offered("ostler vm list -o "), ["json", "text", "yaml"]);
        assert_eq!(offered("ostler vm create --mem"), ["--memory"]);
        assert_eq!(
            offered("ostler pve"),
            ["pvecm", "pvesh", "pvesm", "pveum", "pveversion"]
        );
        assert_eq!(offered("ostler completion z"), ["zsh"]);
        assert!(offered("ostler pam").is_empty(), "hidden");
    }
}
