//! Man pages, generated from the commands' tables.

use std::path::Path;

use anyhow::{Context, Result};

use super::commands::Program;
use super::pvesh::usage::options_of;
use super::{PROGRAMS, pvesh};

/// Writes a page for every program into a folder, creating it if it is missing.
pub(crate) fn write(folder: &Path, ostler: &clap::Command) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (name, text) in pages(ostler) {
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn pages(ostler: &clap::Command) -> Vec<(&'static str, String)> {
    let mut pages = vec![
        ("ostler", own(ostler)),
        ("pvesh", pvesh_page()),
        ("pveversion", pveversion_page()),
    ];
    pages.extend(PROGRAMS.map(|program| (program.name, of_table(&program))));
    pages
}

/// A page under construction, in the language of `man`.
struct Page(String);

impl Page {
    fn new(name: &str, about: &str) -> Self {
        let title = name.to_uppercase();
        let version = env!("CARGO_PKG_VERSION");
        let mut page = Self(format!(".TH {title} 1 \"\" \"Ostler {version}\"\n"));
        page.section("NAME");
        page.0
            .push_str(&format!("{} \\- {}\n", escaped(name), escaped(about)));
        page
    }

    fn section(&mut self, name: &str) {
        self.0.push_str(&format!(".SH {}\n", escaped(name)));
    }

    fn part(&mut self, name: &str) {
        self.0.push_str(&format!(".SS {}\n", escaped(name)));
    }

    /// A paragraph.
    fn text(&mut self, text: &str) {
        self.0.push_str(&format!(".PP\n{}\n", escaped(text)));
    }

    /// Lines without filling.
    fn lines(&mut self, text: &str) {
        let text = text.trim_end().trim_start_matches('\n');
        self.0
            .push_str(&format!(".PP\n.nf\n{}\n.fi\n", escaped(text)));
    }

    fn option(&mut self, name: &str, about: &str) {
        self.0.push_str(&format!(
            ".TP\n\\fB{}\\fR\n{}\n",
            escaped(name),
            escaped(about)
        ));
    }

    fn end(mut self) -> String {
        self.section("SEE ALSO");
        let names = ["ostler", "pvesh", "pveversion"].into_iter();
        let names = names.chain(PROGRAMS.map(|program| program.name));
        let names: Vec<String> = names.map(|name| format!("\\fB{name}\\fR(1)")).collect();
        self.0.push_str(&format!("{}\n", names.join(", ")));
        self.0
    }
}

/// Escapes a text: no line of it is a request, no character an escape.
fn escaped(text: &str) -> String {
    text.lines()
        .map(escaped_line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn escaped_line(line: &str) -> String {
    let mut text = String::new();
    if line.starts_with(['.', '\'']) {
        text.push_str("\\&");
    }
    for c in line.chars() {
        match c {
            '\\' => text.push_str("\\e"),
            '-' => text.push_str("\\-"),
            c if c.is_ascii() => text.push(c),
            c => text.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    text
}

fn of_table(program: &Program) -> String {
    let mut page = Page::new(program.name, program.about);
    page.section("SYNOPSIS");
    page.text(&format!("{} COMMAND [ARGUMENT…] [OPTIONS]", program.name));
    page.section("COMMANDS");
    for command in program.commands.iter().filter(|command| command.works()) {
        page.part(&format!("{} {}", program.name, command.usage()));
        page.text(command.summary().unwrap_or_default());
        let options = options_of(&command.options());
        if !options.is_empty() {
            page.lines(&options);
        }
    }
    formats(&mut page);
    codes(&mut page);
    page.end()
}

fn pvesh_page() -> String {
    let mut page = Page::new("pvesh", "every operation of the API, by its path");
    page.section("SYNOPSIS");
    page.lines(pvesh::USAGE);
    page.section("OPERATIONS");
    page.text("'pvesh usage PATH -v' shows the parameters.");
    for row in proto::table::rows() {
        let command = pvesh::command_of(row.verb);
        page.option(&format!("{command} {}", row.path), row.summary);
    }
    formats(&mut page);
    codes(&mut page);
    page.end()
}

fn pveversion_page() -> String {
    let mut page = Page::new(
        "pveversion",
        "the version of the API, and of the programs in use",
    );
    page.section("SYNOPSIS");
    page.text("pveversion [--verbose]");
    page.section("OPTIONS");
    page.option("-v, --verbose", "One line per installed program.");
    codes(&mut page);
    page.end()
}

fn formats(page: &mut Page) {
    page.section("OUTPUT");
    page.option(
        "--output-format text|json|json-pretty|yaml",
        "text unless given.",
    );
    page.option(
        "--human-readable 0|1",
        "Print sizes, times and shares with units.",
    );
    page.option("--noborder", "Tables without lines.");
    page.option("--noheader", "Tables without the names of columns.");
    page.option("--quiet", "No answer and no log.");
}

fn codes(page: &mut Page) {
    page.section("EXIT STATUS");
    page.text("0 when it is done, 255 when it is not, 141 when its output is closed.");
}

/// Our own commands, from their parser.
fn own(ostler: &clap::Command) -> String {
    let mut page = Page::new("ostler", "looks after your guests");
    page.section("SYNOPSIS");
    page.text("ostler COMMAND [ARGUMENT…] [OPTIONS]");
    page.section("COMMANDS");
    let names: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    let also = format!(
        "pvesh, pveversion, {} are also commands of it, with man pages of their own.",
        names.join(", ")
    );
    page.text(&also);
    for command in ostler.get_subcommands() {
        branch(&mut page, "ostler", command);
    }
    page.section("EXIT STATUS");
    for (code, meaning) in [
        ("0", "Done."),
        ("1", "Refused, or failed."),
        ("2", "The command line is wrong."),
        ("3", "The agent cannot be reached."),
        ("4", "The task failed."),
        ("141", "The output was closed."),
    ] {
        page.option(code, meaning);
    }
    page.end()
}

/// A command of ours and those below it.
fn branch(page: &mut Page, above: &str, command: &clap::Command) {
    if command.is_hide_set() {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    if command.has_subcommands() {
        for below in command.get_subcommands() {
            branch(page, &name, below);
        }
        return;
    }
    let places: String = command
        .get_positionals()
        .map(|argument| format!(" {}", argument.get_id().as_str().to_uppercase()))
        .collect();
    page.part(&format!("{name}{places}"));
    page.text(&about(command.get_about()));
    for option in command.get_arguments().filter(|a| !a.is_positional()) {
        let mut names = Vec::new();
        names.extend(option.get_short().map(|name| format!("-{name}")));
        names.extend(option.get_long().map(|name| format!("--{name}")));
        let mut text = names.join(", ");
        if option.get_action().takes_values() {
            let value = option.get_value_names().and_then(|names| names.first());
            text.push_str(&format!(" {}", value.map_or("VALUE", |name| name.as_str())));
        }
        page.option(&text, &about(option.get_help()));
    }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;
    use clap::CommandFactory;

    #[test]
    fn a_page_is_a_text_for_man() {
        let text = pveversion_page().replace(env!("CARGO_PKG_VERSION"), "0.0.0");
        assert_eq!(text, include_str!("../../tests/golden/pveversion.1"));
    }

    #[test]
    fn every_command_is_on_its_page() {
        let pages = pages(&Arguments::command());
        let page = |name: &str| &pages.iter().find(|(known, _)| *known == name).unwrap().1;
        for program in PROGRAMS {
            let commands = program.commands.iter();
            for command in commands.filter(|command| command.works()) {
                let title = format!(".SS {} {}", program.name, command.usage());
                let text = page(program.name);
                assert!(text.contains(&escaped(&title)[2..]), "{title}");
            }
        }
        for name in [
            "ostler vm snapshot create VMID NAME",
            "ostler task wait UPID",
        ] {
            assert!(page("ostler").contains(&format!(".SS {name}\n")), "{name}");
        }
        assert!(
            !page("ostler").contains("pam"),
            "hidden commands are not documented"
        );
        assert!(page("pvesh").contains("get /version"));
    }

    #[test]
    fn other_letters_are_named() {
        assert_eq!(escaped("a…"), "a\\[u2026]");
    }

    #[test]
    fn a_text_is_no_request() {
        assert_eq!(
            escaped(".so /etc/shadow\n'x\\n--y"),
            "\\&.so /etc/shadow\n\\&'x\\en\\-\\-y"
        );
    }
}
