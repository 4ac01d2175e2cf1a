//! Python environments with the clients of tests, kept in the cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use testkit::left_out::missing;

pub fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

/// An environment with these packages, named by the first; none if it cannot be created.
pub fn python_with(packages: &[&str], imports: &str) -> Option<PathBuf> {
    // Tests of one program run in parallel.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let venv = PathBuf::from(cache).join(packages[0].replace("==", "-"));
    let python = venv.join("bin/python");
    let import = format!("import {imports}");
    if python.exists() && run(&python, &["-c", &import]).status.success() {
        return Some(python);
    }
    let folder = venv.display().to_string();
    let mut step = run(Path::new("python3"), &["-m", "venv", "--clear", &folder]);
    if step.status.success() {
        let mut args = vec!["-m", "pip", "install", "--quiet"];
        args.extend(packages);
        step = run(&python, &args);
    }
    if step.status.success() {
        return Some(python);
    }
    let reason = String::from_utf8_lossy(&step.stderr);
    let last = reason.trim().lines().next_back().unwrap_or_default();
    missing(packages[0], format!("cannot be installed: {last}"));
    None
}
