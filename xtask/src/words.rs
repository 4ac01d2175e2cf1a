//! Names and habits that the house does without.

/// File names without a meaning.
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"];

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
}
