//! Tests that cannot run here: each says so in a line that begins with `left out:`.

use std::fmt::Display;

/// A test is left out since this machine lacks what it needs and could have: a program, a package,
/// root. Where `OSTLER_STRICT=1` promises that everything is there, the test fails instead.
pub fn missing(test: &str, what: impl Display) {
    assert!(
        std::env::var_os("OSTLER_STRICT").is_none_or(|strict| strict != "1"),
        "{test}: {what}, and OSTLER_STRICT=1 leaves nothing out"
    );
    not_here(test, what);
}

/// A test is left out since it says nothing on a machine of this kind.
#[expect(clippy::print_stdout, reason = "the runner shows it")]
pub fn not_here(test: &str, reason: impl Display) {
    println!("left out: {test}: {reason}");
}
