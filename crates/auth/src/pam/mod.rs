//! Realm `pam`: the users of the host.
//!
//! ```text
//!   agent: PamHelper ──spawn──► `ostler pam-helper` ──dlopen──► libpam.so.0, service "ostler"
//!           user \0 password on stdin                  accepted / refused on stdout, exit code
//! ```
//!
//! PAM modules are foreign code that may hang, leak, change signal handlers or crash, and are not
//! thread-safe. So each check runs in a process of its own that ends with its answer. The password
//! is passed through a pipe, never in arguments or environment.

mod conversation;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sys::{Command, Processes};

/// Why PAM could not be used. Never contains anything about the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask PAM: {0}")]
pub struct PamError(pub String);

/// Checks a password with the host's PAM.
#[async_trait]
pub trait PamRunner: Send + Sync + 'static {
    /// `user` is the name without its realm. May be cancelled, and repeated (which counts as
    /// another attempt for modules that count).
    async fn authenticate(&self, user: &str, password: &str) -> Result<bool, PamError>;
}

const ACCEPTED: u8 = 0;
const REFUSED: u8 = 1;
const FAILED: u8 = 2;

/// Starts the helper for each check.
pub struct PamHelper {
    processes: Arc<dyn Processes>,
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    timeout: Duration,
}

impl PamHelper {
    /// `program` with `args` calls `helper_main`. The timeout is longer than the delay of a
    /// module that answers wrong passwords slowly (`pam_faildelay`: 2 s by default).
    pub fn new(processes: Arc<dyn Processes>, program: impl Into<String>, args: &[&str]) -> Self {
        Self {
            processes,
            program: program.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            timeout: Duration::from_secs(15),
        }
    }

    /// Sets an environment variable of the helper; its environment is otherwise empty.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

#[async_trait]
impl PamRunner for PamHelper {
    async fn authenticate(&self, user: &str, password: &str) -> Result<bool, PamError> {
        if user.contains('\0') || password.contains('\0') {
            return Ok(false);
        }
        let mut command = Command::new(&self.program)
            .args(self.args.iter().cloned())
            .input(format!("{user}\0{password}"))
            .timeout(Some(self.timeout));
        command.env.clone_from(&self.env);
        let output = self.processes.run(command).await;
        let output = output.map_err(|error| PamError(error.to_string()))?;
        // Exit code and text must agree: a module that calls exit(0) must not count as a success.
        match (output.code, output.stdout.ends_with(b"accepted\n")) {
            (Some(0), true) => Ok(true),
            (Some(code), false) if code == i32::from(REFUSED) => Ok(false),
            _ => Err(PamError(format!(
                "the helper failed: {}",
                output.complaint()
            ))),
        }
    }
}

/// A runner for a host without PAM: no user of realm `pam` can log in with a password.
pub struct NoPam;

#[async_trait]
impl PamRunner for NoPam {
    async fn authenticate(&self, _user: &str, _password: &str) -> Result<bool, PamError> {
        Ok(false)
    }
}

/// The whole helper process: reads `user NUL password` from standard input, asks PAM, and answers
/// on standard output and by its exit code.
pub fn helper_main() -> std::process::ExitCode {
    helper_code().into()
}

/// The same, but returns the exit code.
pub fn helper_code() -> u8 {
    match ask() {
        Ok(accepted) => {
            let (word, code) = if accepted {
                ("accepted", ACCEPTED)
            } else {
                ("refused", REFUSED)
            };
            match std::io::stdout().write_all(format!("{word}\n").as_bytes()) {
                Ok(()) => code,
                Err(_) => FAILED,
            }
        }
        Err(error) => {
            // If even this cannot be written, there is no way left to report it.
            let _ = writeln!(std::io::stderr(), "{error}");
            FAILED
        }
    }
}

fn ask() -> Result<bool, PamError> {
    let mut input = Vec::new();
    let limit = 64 * 1024;
    std::io::stdin()
        .take(limit)
        .read_to_end(&mut input)
        .map_err(|error| PamError(format!("cannot read the question: {error}")))?;
    let (user, password) = input
        .iter()
        .position(|byte| *byte == 0)
        .map(|at| (&input[..at], &input[at + 1..]))
        .ok_or_else(|| PamError("the question has no user".to_owned()))?;
    conversation::authenticate("ostler", user, password)
}
