//! Tests that cannot run here: each prints a line that begins with `left out:`.

use std::fmt::Display;

/// Leaves a test out because this host lacks something that can be installed: a program, a package,
/// root. With `OSTLER_STRICT=1`, which promises that everything is there, the test fails instead.
pub fn missing(test: &str, what: impl Display) {
    assert!(
        std::env::var_os("OSTLER_STRICT").is_none_or(|strict| strict != "1"),
        "{test}: {what}, and OSTLER_STRICT=1 leaves nothing out"
    );
    not_here(test, what);
}

/// Leaves a test out because it means nothing on a host of this kind.
#[expect(clippy::print_stdout, reason = "the runner shows it")]
pub fn not_here(test: &str, reason: impl Display) {
    println!("left out: {test}: {reason}");
}
