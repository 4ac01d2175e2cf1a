//! Checks beyond the compiler and clippy: layers, sizes, names, words, reasons.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{circles, decisions, lanes, layers, operations, sizes, words};

/// Texts at the top of the workspace.
const TEXTS: [&str; 4] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
];

/// Every finding as one line.
pub(crate) fn findings(root: &Path) -> Vec<String> {
    let mut findings = layers::findings(root);
    findings.extend(circles::findings(root));
    findings.extend(decisions::findings(root));
    let mut files: Vec<PathBuf> = TEXTS.iter().map(|text| root.join(text)).collect();
    for folder in ["crates", "docs", "xtask"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    for file in &files {
        let name = file
            .strip_prefix(root)
            .unwrap_or(file)
            .display()
            .to_string();
        match fs::read_to_string(file) {
            Ok(text) => {
                findings.extend(words::mannered(&name, &text));
                if name.ends_with(".md") {
                    continue;
                }
                findings.extend(sizes::findings(&name, &text));
                findings.extend(lanes::findings(&name, &text));
                findings.extend(words::findings(&name, &text));
                findings.extend(operations::findings(root, &name, &text));
            }
            Err(error) => findings.push(format!("{name}: {error}")),
        }
    }
    let exceptions = fs::read_to_string(root.join("xtask/exceptions.txt")).unwrap_or_default();
    without_exceptions(findings, &exceptions)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(reader) = fs::read_dir(folder) else {
        return;
    };
    for item in reader.flatten() {
        let path = item.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "md") {
            files.push(path);
        }
    }
}

/// Removes the findings that the list of exceptions allows, and reports exceptions that are no
/// longer needed, so that the list only shrinks. An exception is the beginning of a finding; with a
/// `*` it is the beginning and a later part.
fn without_exceptions(findings: Vec<String>, exceptions: &str) -> Vec<String> {
    let lines = exceptions
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let excepted: Vec<&str> = lines
        .map(|line| line.split(" because ").next().unwrap_or(line))
        .collect();
    let is_excepted = |finding: &String| excepted.iter().any(|e| allows(e, finding));
    let unneeded = excepted
        .iter()
        .filter(|e| !findings.iter().any(|f| allows(e, f)));
    let mut rest: Vec<String> = unneeded
        .map(|e| format!("xtask/exceptions.txt: '{e}' is no longer needed"))
        .collect();
    rest.extend(findings.iter().filter(|f| !is_excepted(f)).cloned());
    rest
}

fn allows(exception: &str, finding: &str) -> bool {
    let (beginning, part) = exception.split_once('*').unwrap_or((exception, ""));
    finding
        .strip_prefix(beginning)
        .is_some_and(|rest| rest.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_hides_its_finding_and_is_reported_when_unneeded() {
        let findings = vec!["a.rs: 1200 lines".to_owned(), "b.rs: 1100 lines".to_owned()];
        let rest = without_exceptions(findings, "# why\na.rs: because it is a table\nc.rs: x\n");
        assert_eq!(
            rest,
            [
                "xtask/exceptions.txt: 'c.rs: x' is no longer needed",
                "b.rs: 1100 lines"
            ]
        );
    }

    #[test]
    fn an_exception_may_be_of_one_kind_in_a_folder() {
        let findings = vec!["a/x.rs:1: dull".to_owned(), "a/x.rs:2: long".to_owned()];
        let rest = without_exceptions(findings, "a/*: dull because later\nb/*: dull because x\n");
        assert_eq!(
            rest,
            [
                "xtask/exceptions.txt: 'b/*: dull' is no longer needed",
                "a/x.rs:2: long"
            ]
        );
    }
}
