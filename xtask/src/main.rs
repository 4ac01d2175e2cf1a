//! Chores of the workspace: `cargo xtask tidy`.

mod circles;
mod decisions;
mod lanes;
mod layers;
mod operations;
mod sizes;
mod tidy;
mod words;

use std::path::Path;
use std::process::ExitCode;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people"
)]
fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => {
            let findings = tidy::findings(root);
            for finding in &findings {
                println!("{finding}");
            }
            if findings.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        _ => {
            eprintln!("usage: cargo xtask tidy");
            ExitCode::FAILURE
        }
    }
}
