//! A QEMU of the bench's own, and what is said to its monitor.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How often to look where there is no event.
const LOOK: Duration = Duration::from_millis(2);

/// A guest of `DISK` alone, which ends with this value.
pub(crate) struct ByHand {
    child: Child,
    socket: PathBuf,
    monitor: Option<(UnixStream, Lines<BufReader<UnixStream>>)>,
}

/// What a guest of ours was started with.
pub(crate) struct CommandLine {
    words: Vec<String>,
    /// Where its sockets are.
    folder: String,
}

impl CommandLine {
    pub(crate) fn of(pid: u32, folder: &Path) -> Self {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        Self {
            words: line
                .split_terminator('\0')
                .skip(1)
                .map(str::to_owned)
                .collect(),
            folder: folder.display().to_string(),
        }
    }
}

/// The file in its folder that has what its console has shown.
pub(crate) const CONSOLE: &str = "console";

/// What the node of its disk is called.
pub(crate) const DISK: &str = "disk";

impl ByHand {
    pub(crate) fn spawn(folder: &Path, memory_mib: u32, disk: Option<&Path>) -> Self {
        let socket = folder.join("qmp.sock");
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-nodefaults", "-accel", "tcg", "-display", "none"])
            .args(["-vga", "std", "-m", &memory_mib.to_string(), "-serial"])
            .arg(format!("file:{}", folder.join(CONSOLE).display()))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        if let Some(disk) = disk {
            let file = disk.display();
            let node = format!("qcow2,node-name={DISK},file.driver=file,file.filename={file}");
            let device = format!("virtio-blk-pci,drive={DISK}");
            command.args(["-blockdev", &node, "-device", &device]);
        }
        Self {
            child: command.stdin(Stdio::null()).spawn().unwrap(),
            socket,
            monitor: None,
        }
    }

    /// The machine of a guest of ours, whose process has this id: the same command line, with its
    /// sockets in `folder` and `disk` opened by name.
    pub(crate) fn like(line: &CommandLine, folder: &Path, disk: Option<&Path>) -> Self {
        let mut command = Command::new("qemu-system-x86_64");
        let mut words = line.words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Waiting for `cont`, and descriptors that are passed on.
                "-S" => {}
                "-add-fd" => drop(words.next()),
                word => {
                    let mut word = word.replace(&line.folder, &folder.display().to_string());
                    if let Some((before, rest)) = word.split_once("/dev/fdset/") {
                        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                        let disk = disk.expect("a guest with a disk").display();
                        word = format!("{before}{disk}{after}");
                    }
                    command.arg(word);
                }
            }
        }
        let socket = folder.join("qmp.sock");
        let _ = std::fs::remove_file(&socket);
        Self {
            child: command.stdin(Stdio::null()).spawn().unwrap(),
            socket,
            monitor: None,
        }
    }

    /// Waits until QMP says that it runs.
    pub(crate) fn runs(mut self) -> Self {
        let stream = loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(LOOK),
            }
        };
        let limit = Some(Duration::from_secs(120));
        stream.set_read_timeout(limit).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        self.monitor = Some((stream, lines));
        self.ask("qmp_capabilities", json!({}));
        let status = self.ask("query-status", json!({}));
        assert_eq!(status["status"], "running");
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let (stream, lines) = self.monitor.as_mut().unwrap();
        let command = json!({"execute": command, "arguments": arguments});
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        for line in lines {
            let mut line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(line.get("error").is_none(), "{command}: {line}");
            if line.get("return").is_some() {
                return line["return"].take();
            }
        }
        panic!("QEMU ended");
    }

    /// Runs a job until it has ended well.
    pub(crate) fn job(&mut self, command: &str, mut arguments: Value) {
        arguments["job-id"] = "job".into();
        self.ask(command, arguments);
        loop {
            let jobs = self.ask("query-jobs", json!({}));
            assert!(jobs[0].get("error").is_none(), "{jobs}");
            if jobs[0]["status"] == "concluded" {
                self.ask("job-dismiss", json!({"id": "job"}));
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
