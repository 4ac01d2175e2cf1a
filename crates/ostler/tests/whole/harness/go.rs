//! Programs in Go that tests run, built once and kept in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::left_out::missing;

/// The folder of built programs, in folders named by version.
pub fn kept(name: &str) -> PathBuf {
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    PathBuf::from(cache).join("clients").join(name)
}

/// The program `name`, from the cache or made by `build`; none if it cannot be built.
pub fn built(name: &str, build: impl Fn(&Path) -> Command) -> Option<PathBuf> {
    let program = kept(name);
    if program.exists() {
        return Some(program);
    }
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    // Tests that build the same at once must not see each other's partial files.
    let fresh = kept(&format!("{name}.{}", std::process::id()));
    let output = match build(&fresh).output() {
        Ok(output) => output,
        Err(error) => {
            missing(name, format!("it cannot be built: {error}"));
            return None;
        }
    };
    if !output.status.success() || !fresh.exists() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let last = reason.trim().lines().next_back().unwrap_or_default();
        missing(name, format!("it cannot be built: {last}"));
        return None;
    }
    std::fs::rename(fresh, &program).unwrap();
    Some(program)
}

/// Builds the main package of a module as it is published, in a copy of its folder.
pub fn published(module: &str, version: &str, name: &str) -> Option<PathBuf> {
    built(&format!("{name}-{version}"), |out| {
        let script = "set -e; \
             from=$(go mod download -json \"$1@$2\" | sed -n 's/.*\"Dir\": \"\\(.*\\)\".*/\\1/p'); \
             [ -n \"$from\" ]; \
             work=$(mktemp -d); trap 'rm -rf \"$work\"' EXIT; \
             cp -r --no-preserve=mode \"$from/.\" \"$work\"; cd \"$work\"; go build -o \"$3\" \"$4\"";
        let package = if name == "tofu" { "./cmd/tofu" } else { "." };
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", module, version]);
        command.arg(out).arg(package);
        command
    })
}

/// Builds a program of ours that uses a published library.
pub fn ours(folder: &Path, name: &str) -> Option<PathBuf> {
    let sources = ["go.sum", "main.go"].map(|file| std::fs::read(folder.join(file)).unwrap());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sources.concat());
    let short: String = digest.as_ref()[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    built(&format!("{name}-{short}"), |out| {
        let mut command = Command::new("go");
        command
            .args(["build", "-o"])
            .arg(out)
            .arg(".")
            .current_dir(folder);
        command
    })
}
