//! Tests of a whole node that need a kernel of their own: run inside of a node of the lab.

use std::path::PathBuf;
use std::time::Duration;

use lab::Node;

/// A task is broken off some hundred times, under a guest that the node emulates.
const LONG: Duration = Duration::from_secs(4500);

fn path(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("./x lab test sets {variable}")))
}

/// Brings the tests, and the program that they start at its path, to an empty disk of a node.
pub(crate) fn deliver(node: &Node, disk: &str) {
    node.check(&format!(
        "set -e; mkfs.ext4 -q {disk}; mount {disk} /opt; mkdir -m 1777 /opt/tmp"
    ))
    .unwrap();
    let program = path("OSTLER_LAB_PROGRAM");
    node.deliver(&[&path("OSTLER_LAB_WHOLE_TESTS"), &program], "/opt")
        .unwrap();
    let (folder, program) = (program.parent().unwrap().display(), program.display());
    node.check(&format!("mkdir -p {folder} && ln -s /opt/ostler {program}"))
        .unwrap();
}

/// Runs the test of this name with these variables; returns what it prints.
pub(crate) fn passes(node: &Node, variables: &str, name: &str) -> String {
    let tests = path("OSTLER_LAB_WHOLE_TESTS");
    let tests = tests.file_name().unwrap().to_string_lossy();
    let script = format!(
        "cd /opt && TMPDIR=/opt/tmp {variables} \
         ./{tests} {name} --ignored --nocapture --test-threads=1 2>&1"
    );
    let output = node.run_within(LONG, &script).unwrap();
    let text = output.text();
    let end: Vec<&str> = text.lines().rev().take(60).collect();
    let end: Vec<&str> = end.into_iter().rev().collect();
    assert!(
        output.success() && text.contains("1 passed"),
        "{}",
        end.join("\n    | ")
    );
    text
}
