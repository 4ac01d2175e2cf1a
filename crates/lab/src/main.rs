//! The command `lab`: builds the parts of nodes, starts nodes, runs commands on them, applies
//! faults. `./x lab` runs it, and also the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use lab::{Effort, Lab, Moment, Piece, control};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

#[derive(Parser)]
#[command(name = "lab", about = "Cluster nodes as virtual machines, for tests")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the parts of nodes; does nothing if nothing has changed
    Build {
        /// The static agent
        #[arg(long)]
        agent: PathBuf,
        /// The script that makes the parts
        #[arg(long, default_value = "lab/build.sh")]
        script: PathBuf,
        /// Uses Debian's newest kernel and packages
        #[arg(long, conflicts_with = "cached")]
        renew: bool,
        /// Builds nothing, and fails if something is missing
        #[arg(long)]
        cached: bool,
    },
    /// Starts nodes n1, n2 …, which run until `down`
    Up {
        /// How many
        #[arg(value_parser = clap::value_parser!(u8).range(1..=9))]
        count: u8,
    },
    /// Runs a command on a node, and exits with its code
    Exec {
        node: String,
        /// Passed to a shell, joined by spaces
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Connects to a node's serial port; Ctrl-O disconnects
    Console { node: String },
    /// Applies a fault, or removes it
    #[command(after_help = format!("kinds: {}", control::FAULT_KINDS))]
    Fault { node: String, kind: String },
    /// Measures time and memory of nodes: the figures of docs/lab.md
    Measure,
    /// Shows the nodes and the counters of the network
    Status,
    /// Ends the nodes and removes everything that belongs to them
    Down,
    /// The process behind `up`
    #[command(hide = true)]
    Supervise { count: u8 },
}

#[expect(clippy::print_stderr, reason = "a command for people")]
fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command for people")]
fn run(command: Command) -> anyhow::Result<ExitCode> {
    let code = match command {
        Command::Build {
            agent,
            script,
            renew,
            cached,
        } => {
            let effort = match (renew, cached) {
                (true, _) => Effort::Renew,
                (_, true) => Effort::Cached,
                _ => Effort::Missing,
            };
            lab::build(&script, &agent, effort, &mut |text| {
                eprintln!("lab: {text}")
            })?;
            0
        }
        Command::Up { count } => up(count)?,
        Command::Supervise { count } => supervise(count)?,
        Command::Exec { node, command } => control::exec_on(&node, &command.join(" "), print)?,
        Command::Fault { node, kind } => control::fault_on(&node, &kind, print)?,
        Command::Measure => measure()?,
        Command::Status => control::status(print)?,
        Command::Console { node } => console(&control::console_of(&node)?)?,
        Command::Down => {
            if !control::down()? {
                eprintln!("lab: no lab is up");
            }
            0
        }
    };
    Ok(ExitCode::from(code.clamp(0, 255) as u8))
}

/// The reader may be gone.
fn print(piece: Piece) {
    match piece {
        Piece::Stdout(bytes) => {
            let _ = std::io::stdout().write_all(&bytes);
            let _ = std::io::stdout().flush();
        }
        Piece::Stderr(bytes) => {
            let _ = std::io::stderr().write_all(&bytes);
        }
        Piece::Exit(_) => {}
    }
}

const READY: &str = "-- ready";

/// Starts the supervisor in a session of its own and waits for its first message.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the command starts itself again, for people"
)]
fn up(count: u8) -> anyhow::Result<i32> {
    let itself = std::env::current_exe().context("cannot find this program")?;
    let mut supervisor = std::process::Command::new("setsid")
        .arg(itself)
        .args(["supervise", &count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the supervisor")?;
    let stdout = supervisor.stdout.take().context("no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot hear the supervisor")?;
        if line == READY {
            return Ok(0);
        }
        println!("{line}");
    }
    let mut text = String::new();
    if let Some(mut stderr) = supervisor.stderr.take() {
        stderr.read_to_string(&mut text).ok();
    }
    let _ = supervisor.wait();
    bail!("{}", text.trim().trim_start_matches("lab: "))
}

#[expect(clippy::print_stdout, reason = "`up` listens")]
fn supervise(count: u8) -> anyhow::Result<i32> {
    control::supervise(count, |nodes| println!("{nodes}{READY}"))?;
    Ok(0)
}

/// Starts a lab of its own and times it; one figure per line.
#[expect(clippy::print_stdout, reason = "a command for people")]
fn measure() -> anyhow::Result<i32> {
    let begun = Moment::now();
    let lab = Lab::start(3)?;
    println!("three nodes, connected, with names: {:?}", begun.elapsed());
    let node = lab.node(1);
    let mut rounds = Vec::new();
    for _ in 0..20 {
        let begun = Moment::now();
        node.check("true")?;
        rounds.push(begun.elapsed());
    }
    rounds.sort();
    println!("a command's round trip, median of 20: {:?}", rounds[10]);
    let file = lab.folder().join("file");
    std::fs::write(&file, vec![7; 20 << 20])?;
    let begun = Moment::now();
    node.deliver(&[&file], "/opt")?;
    println!("20 MiB delivered by a disk: {:?}", begun.elapsed());
    let begun = Moment::now();
    let before = node.boot_id()?;
    node.reset()?;
    node.wait_for_boot(Some(&before))?;
    println!("from reset to agent: {:?}", begun.elapsed());
    Ok(0)
}

/// Copies between the terminal and the serial port, byte for byte.
fn console(socket: &Path) -> anyhow::Result<i32> {
    const LEAVE: u8 = 0x0f;
    let doing = || format!("cannot connect to {}", socket.display());
    let mut port = UnixStream::connect(socket).with_context(doing)?;
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(before) = &before {
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("cannot prepare the terminal")?;
    }
    let mut from_port = port.try_clone().with_context(doing)?;
    thread::spawn(move || std::io::copy(&mut from_port, &mut std::io::stdout().lock()));
    // A return makes the shell on the other side show its prompt.
    port.write_all(b"\r").with_context(doing)?;
    let mut key = [0];
    while stdin.lock().read(&mut key).is_ok_and(|n| n == 1) && key[0] != LEAVE {
        if port.write_all(&key).is_err() {
            break;
        }
    }
    if let Some(before) = &before {
        let _ = tcsetattr(&stdin, OptionalActions::Now, before);
    }
    Ok(0)
}
