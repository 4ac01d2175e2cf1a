//! The command line: `ostler …` for people, and the command names of Proxmox VE.
//!
//! ```text
//!   argv[0] or first word ─┬─ pvesh       every operation, from the table
//!                          ├─ qm, pvesm, pveum   hand-kept lists: command → operation, output
//!                          ├─ pveversion
//!                          └─ cluster, vm, task   ours
//!   the same tables ─ completion of shells, man pages
//!        options → check against the row → agent ─┬─ socket       call, submit
//!                                                 └─ http::Index  lists, constants
//!        answer  → format (text, json, yaml) → output
//!        UPID    → follow (log, bar) → exit code
//! ```
//!
//! It uses the agent's socket as root, so it works while the API is down. It changes nothing by
//! itself. **Only `output` prints.**

mod agent;
mod commands;
mod completion;
mod failure;
mod follow;
mod format;
mod ha_manager;
mod joining;
mod keyboard;
mod man;
mod native;
mod options;
mod output;
mod pct;
mod plan;
mod pool;
mod profile;
mod progress;
mod pvecm;
mod pvesh;
mod pvesm;
mod pveum;
mod pveversion;
mod qm;
mod snapshot_job;
mod snapshots;
mod storage;
mod storage_key;
mod terminal;
mod tier;

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use commands::Program;
use failure::Manners;

pub(crate) use completion::{Shell, complete, script as completion_script};
pub(crate) use man::write as write_man_pages;
pub(crate) use native::{
    AdoptOptions, AlertsOptions, ClusterCommand, CpuOptions, DoctorOptions, TaskCommand, VmCommand,
    WitnessCommand, join_as_witness, leave_as_witness, run_adopt, run_alerts, run_cluster, run_cpu,
    run_doctor, run_task, run_vm,
};
pub(crate) use output::{line, print};

/// A command with a name of Proxmox VE.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    Pvesh,
    Table(Program),
    Pveversion,
}

/// Programs whose commands are in a table.
const PROGRAMS: [Program; 13] = [
    pct::PROGRAM,
    qm::PROGRAM,
    pvecm::PROGRAM,
    pvesm::PROGRAM,
    pveum::PROGRAM,
    ha_manager::PROGRAM,
    pool::PROGRAM,
    profile::PROGRAM,
    snapshot_job::PROGRAM,
    snapshots::PROGRAM,
    storage::PROGRAM,
    storage_key::PROGRAM,
    tier::PROGRAM,
];

impl Known {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "pvesh" => Some(Self::Pvesh),
            "pveversion" => Some(Self::Pveversion),
            _ => PROGRAMS
                .into_iter()
                .find(|program| program.name == name)
                .map(Self::Table),
        }
    }

    /// The command for a program's name, with its arguments: by the name of the executable, or by
    /// the first word after `ostler`.
    pub(crate) fn of(arguments: &[OsString]) -> Option<(Self, Vec<OsString>)> {
        let called = Path::new(arguments.first()?).file_name()?.to_str()?;
        if let Some(known) = Self::from_name(called) {
            return Some((known, arguments[1..].to_vec()));
        }
        let word = arguments.get(1)?.to_str()?;
        Self::from_name(word).map(|known| (known, arguments[2..].to_vec()))
    }

    /// Runs the command and prints its errors.
    pub(crate) fn run(self, arguments: Vec<OsString>) -> ExitCode {
        let text = arguments.into_iter().map(|argument| {
            argument
                .into_string()
                .map_err(|_| failure::usage("an argument is not UTF-8"))
        });
        let done = text.collect::<Result<Vec<String>>>().and_then(|arguments| {
            block_on(async {
                match self {
                    Self::Pvesh => pvesh::run(&arguments).await,
                    Self::Table(program) => program.run(&arguments).await,
                    Self::Pveversion => pveversion::run(&arguments),
                }
            })
        });
        end(Manners::Pve, done)
    }
}

/// Runs one of our own commands and prints its errors.
pub(crate) fn run_own(command: impl Future<Output = Result<()>>) -> ExitCode {
    end(Manners::Ostler, block_on(command))
}

/// Prints an error of our own commands.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(failure::report(Manners::Ostler, error))
}

fn end(manners: Manners, done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(failure::report(manners, &error)),
    }
}

fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let done = runtime.block_on(command);
    // A thread that still reads the keyboard must not delay the exit.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `./x up` and the package install each command of Proxmox VE under its name and at its path.
    #[test]
    fn each_command_of_proxmox_ve_is_installed() {
        let script = include_str!("../../../../x");
        let words_of = |variable: &str| -> Vec<&str> {
            let begin = format!("{variable}=\"");
            let line = script.lines().find_map(|line| line.strip_prefix(&begin));
            line.unwrap().trim_end_matches('"').split(' ').collect()
        };
        let (names, paths) = (words_of("NAMES"), words_of("PVE_PATHS"));
        for name in [
            "pct",
            "qm",
            "pvecm",
            "pvesm",
            "pveum",
            "ha-manager",
            "pvesh",
            "pveversion",
        ] {
            assert!(Known::from_name(name).is_some(), "{name}");
            assert!(names.contains(&name), "{name}");
            let is_at = |path: &&str| path.rsplit('/').next() == Some(name);
            assert!(paths.iter().any(is_at), "{name}");
        }
    }

    fn of(line: &str) -> Option<(&'static str, Vec<OsString>)> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let (known, rest) = Known::of(&arguments)?;
        let name = match known {
            Known::Pvesh => "pvesh",
            Known::Table(program) => program.name,
            Known::Pveversion => "pveversion",
        };
        Some((name, rest))
    }

    #[test]
    fn a_command_is_known_by_its_program_or_by_the_first_word() {
        let start = vec![OsString::from("start"), OsString::from("100")];
        assert_eq!(of("/usr/sbin/qm start 100"), Some(("qm", start.clone())));
        assert_eq!(of("./ostler qm start 100"), Some(("qm", start.clone())));
        assert_eq!(of("pvesm start 100"), Some(("pvesm", start)));
        assert_eq!(of("pveversion"), Some(("pveversion", vec![])));
        assert!(of("ostler pveum").is_some() && of("pvesh").is_some());
        for other in ["ostler", "ostler vm qm", "ostler run pvesh"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
