//! The commands of an installation, and their output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder with the program under all its names.
pub struct Commands {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Commands {
    pub fn new(root: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "ostler",
            "qm",
            "pct",
            "pvesh",
            "pvesm",
            "pveum",
            "pveversion",
        ] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ostler"), folder.path().join(name))
                .unwrap();
        }
        Self {
            folder,
            root: root.to_owned(),
        }
    }

    /// The environment in which a shell finds the commands, and these the node.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let others = std::env::var("PATH").unwrap();
        let path = format!("{}:{others}", self.folder.path().display());
        [
            ("PATH", path),
            ("OSTLER_ROOT", self.root.display().to_string()),
        ]
    }

    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let program = self.folder.path().join(words.next().unwrap());
        let mut command = Command::new(program);
        command
            .args(words)
            .env("OSTLER_ROOT", &self.root)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command: its exit code, standard output and standard error.
    pub fn run(&self, line: &str) -> (i32, String, String) {
        said(self.command(line).output().unwrap())
    }

    /// Runs a command that must succeed; returns its output.
    pub fn ok(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!(code, 0, "{line}\n{out}{err}");
        out
    }

    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --output-format json"))).unwrap()
    }

    /// Runs a command that must fail; returns its code and standard error.
    pub fn fails(&self, line: &str) -> (i32, String) {
        let (code, out, err) = self.run(line);
        assert_ne!(code, 0, "{line}\n{out}{err}");
        (code, err)
    }

    /// Runs a command with input.
    pub fn typed(&self, line: &str, keys: &str) -> (i32, String, String) {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
        said(child.wait_with_output().unwrap())
    }
}

pub fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
