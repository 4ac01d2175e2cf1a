//! Names, habits and words that the project does without.

/// File names without a meaning.
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"];

/// Words that make a sentence a riddle, and what to write instead.
const MANNERED: [(&str, &str); 11] = [
    ("whoever", "name the caller, the user or the process"),
    ("whomever", "name the caller, the user or the process"),
    ("nobody", "name the caller, the user or the process"),
    ("somebody", "name the caller, the user or the process"),
    ("those who", "name the callers, the users or the processes"),
    ("tells", "says, shows, reports"),
    ("is told", "gets, reads"),
    ("are told", "get, read"),
    ("that which", "what, or the thing's name"),
    ("what there is", "list the things"),
    ("has it that", "says"),
];

/// Mannered words in the comments of a Rust file, or in a text in Markdown.
pub(crate) fn mannered(name: &str, text: &str) -> Vec<String> {
    let is_markdown = name.ends_with(".md");
    let mut is_code = false;
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if is_markdown && line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let prose = match is_markdown {
            true => (!is_code).then_some(line),
            false => comment(line),
        };
        let words = words_of(prose.unwrap_or_default());
        for (word, better) in MANNERED {
            if words.contains(&format!(" {word} ")) {
                let place = format!("{name}:{}", number + 1);
                findings.push(format!("{place}: not plain: '{word}'; better: {better}"));
            }
        }
    }
    findings
}

/// The comment on a line of Rust.
fn comment(line: &str) -> Option<&str> {
    match line.trim_start().strip_prefix("//") {
        Some(comment) => Some(comment),
        None => line.split_once(" // ").map(|(_, comment)| comment),
    }
}

/// The words of a line in lower case, each between two blanks; code in backticks is left out.
fn words_of(prose: &str) -> String {
    let prose: Vec<&str> = prose.split('`').step_by(2).collect();
    let words = prose.join(" ").to_lowercase();
    let words: Vec<&str> = words
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    format!(" {} ", words.join(" "))
}

pub(crate) fn findings(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if EMPTY_NAMES
        .iter()
        .any(|empty| name.ends_with(&format!("/{empty}")))
    {
        findings.push(format!("{name}: the name says nothing"));
    }
    let is_crate_root = name.ends_with("/src/lib.rs") || name.ends_with("/src/main.rs");
    if is_crate_root && !text.starts_with("//!") {
        findings.push(format!("{name}: a crate begins with what it is and is not"));
    }
    if !text.starts_with("//!") && !name.contains("/tests/") {
        findings.push(format!(
            "{name}: a file begins with a line that says what is in it"
        ));
    }
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        // Written in two halves, so that this file does not find itself.
        let allows = line.trim_start().starts_with(concat!("#[al", "low("))
            || line.trim_start().starts_with(concat!("#![al", "low("));
        if allows && !line.contains("reason") && !line.trim_end().ends_with('(') {
            findings.push(format!("{place}: an exception to a lint needs a reason"));
        }
        if is_test(name) && line.contains(concat!("thread::sl", "eep(")) {
            findings.push(format!(
                "{place}: a test waits for a condition, not for time"
            ));
        }
    }
    findings
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_without_a_reason_is_found() {
        let bare = concat!("//! x\n#[al", "low(dead_code)]\nfn f() {}\n");
        assert_eq!(
            findings("crates/a/src/b.rs", bare),
            ["crates/a/src/b.rs:2: an exception to a lint needs a reason"]
        );
        let argued = concat!(
            "//! x\n#[al",
            "low(dead_code, reason = \"y\")]\nfn f() {}\n"
        );
        assert!(findings("crates/a/src/b.rs", argued).is_empty());
    }

    #[test]
    fn mannered_words_are_found_in_comments_alone() {
        let lines = [
            "//! Says what somebody's guest does.",
            "/// Whoever asks is",
            concat!("fn nobody() { log(\"nobody\") } /", "/ is told."),
            "// The user `nobody` foretells nothing.",
        ];
        assert_eq!(
            mannered("crates/a/src/b.rs", &lines.join("\n")),
            [
                "crates/a/src/b.rs:1: not plain: 'somebody'; better: name the caller, the user or \
                 the process",
                "crates/a/src/b.rs:2: not plain: 'whoever'; better: name the caller, the user or \
                 the process",
                "crates/a/src/b.rs:3: not plain: 'is told'; better: gets, reads",
            ]
        );
    }

    #[test]
    fn mannered_words_are_found_in_markdown_outside_of_code() {
        let text = "# What there is\n```text\nnobody\n```\nThe user `nobody`. It tells.\n";
        let places: Vec<_> = mannered("docs/a.md", text)
            .iter()
            .map(|finding| finding.split("; ").next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(
            places,
            [
                "docs/a.md:1: not plain: 'what there is'",
                "docs/a.md:5: not plain: 'tells'"
            ]
        );
    }
}
