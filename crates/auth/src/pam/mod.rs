//! Realm `pam`: the machine's own users.
//!
//! ```text
//!   agent: PamHelper ──spawn──► `ostler pam-helper` ──dlopen──► libpam.so.0, service "ostler"
//!           user \0 password on stdin                  accepted / refused on stdout, exit code
//! ```
//!
//! PAM modules are foreign code that may hang, leak, change signal handlers or crash, and are not
//! made for many threads. So each question gets a process of its own that lives no longer than
//! the answer. The password travels through a pipe, never in arguments or environment.

mod conversation;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sys::{Command, Processes};

/// Why the machine cannot be asked. Never says anything about the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask PAM: {0}")]
pub struct PamError(pub String);

/// Asks the machine whether a password is right.
#[async_trait]
pub trait PamRunner: Send + Sync + 'static {
    /// `user` is the name without its realm. May be cancelled, and repeated (which counts as
    /// another attempt for modules that count).
    async fn authenticate(&self, user: &str, password: &str) -> Result<bool, PamError>;
}

const ACCEPTED: u8 = 0;
const REFUSED: u8 = 1;
const FAILED: u8 = 2;

/// Starts the helper for each question.
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

    /// Sets a variable of the helper's environment, which is otherwise empty.
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
        // Code and text must agree: a helper that was ended by a module's own exit(0) has not
        // said anything.
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

/// A runner for a machine without PAM: nobody of realm `pam` can log in with a password.
pub struct NoPam;

#[async_trait]
impl PamRunner for NoPam {
    async fn authenticate(&self, _user: &str, _password: &str) -> Result<bool, PamError> {
        Ok(false)
    }
}

/// The whole of the helper process: reads `user NUL password` from standard input, asks PAM and
/// says on standard output and with its exit code what it answered.
pub fn helper_main() -> std::process::ExitCode {
    helper_code().into()
}

/// The same, for a program that ends itself: returns the exit code.
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
            // Nobody can be told if even this cannot be written.
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
