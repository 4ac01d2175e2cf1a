//! A machine in a network namespace of its own that may be the witness of a `TestCluster`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::cluster::Namespace;
use super::namespace::command_in;
use super::{PROGRAM, end_scopes, etcd_below, kill, open_to_guests, scope_root_of};

/// The last part of the address of the usual one.
pub const WITNESS: usize = 9;

pub struct TestWitness {
    namespace: Namespace,
    folder: tempfile::TempDir,
    running: Option<Child>,
}

impl TestWitness {
    /// `etcd` is the folder of that program; `number` the last part of the address.
    pub fn new(etcd: &Path, number: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("ostler-").tempdir();
        let folder = folder.unwrap();
        open_to_guests(folder.path());
        let settings = format!(
            "node = \"w\"\netcd = {:?}\netcd-user = \"daemon\"\n",
            etcd.join("etcd").display().to_string()
        );
        let config = folder.path().join("etc/ostler");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("ostler.toml"), settings).unwrap();
        Self {
            namespace: Namespace::new(number),
            folder,
            running: None,
        }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("var/lib/ostler")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = command_in(self.namespace.pid(), PROGRAM.as_ref());
        command
            .arg("witness")
            .args(words)
            .env("OSTLER_ROOT", self.folder.path());
        command
    }

    /// Runs a command to its end; returns all that it prints.
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Starts its service.
    pub fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"));
        let child = self
            .command(&["run"])
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn();
        self.running = Some(child.unwrap());
    }

    /// Whether its service has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let running = self.running.as_mut().unwrap();
        running.try_wait().unwrap().is_some()
    }

    /// Kills its service, and its etcd.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
        if let Some(etcd) = etcd_below(self.folder.path()) {
            kill(etcd);
        }
    }
}

impl Drop for TestWitness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            println!("the witness's log:\n{}", log.unwrap_or_default());
        }
        self.kill();
        end_scopes(scope_root_of(self.folder.path()));
    }
}
