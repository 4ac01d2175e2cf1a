//! Checks beyond the compiler and clippy: layers, sizes, names, words, reasons.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{decisions, layers, operations, sizes, words};

/// Every finding as one line.
pub(crate) fn findings(root: &Path) -> Vec<String> {
    let mut findings = layers::findings(root);
    findings.extend(decisions::findings(root));
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
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
                findings.extend(sizes::findings(&name, &text));
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
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Removes the findings that the list of exceptions allows, and reports exceptions that are no
/// longer needed, so that the list only shrinks.
fn without_exceptions(findings: Vec<String>, exceptions: &str) -> Vec<String> {
    let lines = exceptions
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let excepted: Vec<&str> = lines
        .map(|line| line.split(" because ").next().unwrap_or(line))
        .collect();
    let is_excepted = |finding: &String| excepted.iter().any(|e| finding.starts_with(e));
    let unneeded = excepted
        .iter()
        .filter(|e| !findings.iter().any(|f| f.starts_with(**e)));
    let mut rest: Vec<String> = unneeded
        .map(|e| format!("xtask/exceptions.txt: '{e}' is no longer needed"))
        .collect();
    rest.extend(findings.iter().filter(|f| !is_excepted(f)).cloned());
    rest
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
}
