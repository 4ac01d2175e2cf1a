//! The agent of a lab node: runs scripts for the supervisor, over a virtio-serial port. It needs no
//! network, and survives saving and restoring the node.

mod job;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use job::Job;
use lab_agent::{Frame, Message, PORT};

/// How often the port, and a supervisor on it, are polled: there is no event for either.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The sender of frames to the supervisor, one at a time.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Mutex<File>>);

impl Outbox {
    /// A frame that cannot be sent is dropped, since its supervisor is gone.
    pub(crate) fn send(&self, id: u32, message: Message) {
        let mut port = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = Frame { id, message }.write(&mut *port);
    }
}

#[expect(clippy::print_stderr, reason = "systemd's journal is its log")]
fn main() -> ExitCode {
    let port = match find_port().and_then(|port| Ok((port.try_clone()?, port))) {
        Ok(port) => port,
        Err(error) => {
            eprintln!("cannot open the port {PORT}: {error}");
            return ExitCode::FAILURE;
        }
    };
    serve(port.0, &Outbox(Arc::new(Mutex::new(port.1))));
}

/// Opens the port, which appears when its driver is loaded.
fn find_port() -> io::Result<File> {
    loop {
        if let Ok(ports) = fs::read_dir("/sys/class/virtio-ports") {
            for port in ports.flatten() {
                let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
                if name.trim() == PORT {
                    let device = PathBuf::from("/dev").join(port.file_name());
                    return OpenOptions::new().read(true).write(true).open(device);
                }
            }
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn serve(mut port: File, outbox: &Outbox) -> ! {
    let mut jobs: HashMap<u32, Job> = HashMap::new();
    loop {
        let Ok(Frame { id, message }) = Frame::read(&mut port) else {
            // No supervisor is connected, or it disconnected within a frame.
            std::thread::sleep(LOOK_AGAIN);
            continue;
        };
        match message {
            Message::Hello(_) => outbox.send(id, Message::Hello(boot_id())),
            Message::Run { input, script } => {
                jobs.retain(|_, job| !job.has_ended());
                match Job::start(id, &script, input, outbox) {
                    Ok(job) => {
                        jobs.insert(id, job);
                    }
                    Err(error) => {
                        let text = format!("lab-agent: cannot start a shell: {error}\n");
                        outbox.send(id, Message::Stderr(text.into_bytes()));
                        outbox.send(id, Message::Exit(127));
                    }
                }
            }
            Message::Input(bytes) => {
                if let Some(job) = jobs.get(&id) {
                    job.input(bytes);
                }
            }
            Message::Signal(signal) => {
                if let Some(job) = jobs.get(&id) {
                    job.signal(signal);
                }
            }
            Message::Stdout(_) | Message::Stderr(_) | Message::Exit(_) => {}
        }
    }
}

fn boot_id() -> Vec<u8> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().as_bytes().to_vec()
}
