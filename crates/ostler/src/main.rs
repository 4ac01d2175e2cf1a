//! The one binary: its arguments select the role.
//!
//! ```text
//!   ostler run     supervises the two below without systemd
//!   ostler node    the agent, as root
//!   ostler api     the public API, as user ostler
//!   ostler witness a vote in a cluster, on a machine that is no node
//!   ostler …       commands for users and scripts, over the agent's socket
//!   pvesh, qm, …   the same, by the name that the program is called under
//! ```

mod cli;
mod config;
mod new_file;
mod roles;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Ostler looks after your guests.
#[derive(Parser)]
#[command(
    name = "ostler",
    version,
    after_help = "Also, as subcommands or by the name of a link to this program: pvesh, qm, \
                  pct, pvecm, pvesm, pveum, ha-manager, pveversion. And as subcommands: \
                  pool, profile, snapshot-job, snapshots, storage, \
                  storage-key, tier."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take over guests and storages of a Proxmox VE where they lie; shows its plan first.
    Adopt(cli::AdoptOptions),
    /// The cluster that this node belongs to.
    #[command(subcommand)]
    Cluster(cli::ClusterCommand),
    /// What the processors of guests can have, and a CPU type that all nodes can give.
    Cpu(cli::CpuOptions),
    /// Examine all nodes of the cluster; the exit code has the worst finding.
    Doctor(cli::DoctorOptions),
    /// What is wrong now, and what to do; the exit code has the worst alert.
    Alerts(cli::AlertsOptions),
    /// Virtual machines of this node.
    #[command(subcommand)]
    Vm(cli::VmCommand),
    /// Tasks of this node.
    #[command(subcommand)]
    Task(cli::TaskCommand),
    /// Run a node: the agent and the API, supervised.
    Run,
    /// Run the agent. Needs root.
    Node,
    /// Run the public API, as the user of `api-user`.
    Api,
    /// A machine that votes in a cluster and is no node of it. Needs root.
    #[command(subcommand)]
    Witness(cli::WitnessCommand),
    /// Print the operation table as JSON.
    ApiDump,
    /// Print the completion script of a shell.
    Completion { shell: cli::Shell },
    /// Write man pages into a folder.
    Man { folder: PathBuf },
    /// Print the completions of the last of these words; for shells.
    #[command(hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Check one password with PAM; for the agent.
    #[command(hide = true)]
    PamHelper,
    /// Copy one file into a running container or out of it; for `pct`.
    #[command(hide = true)]
    ContainerCopy { order: String },
    /// Write into the files of a container; for the agent, in a fence.
    #[command(hide = true)]
    ContainerFiles,
    /// Unpack an image into the files of a container; for the agent, in a fence.
    #[command(hide = true)]
    ContainerImage,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some((known, rest)) = cli::Known::of(&arguments) {
        return known.run(rest);
    }
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => cli::failed(&error),
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Cluster(command) => Ok(cli::run_own(cli::run_cluster(command))),
        Command::Adopt(options) => Ok(cli::run_own(cli::run_adopt(options))),
        Command::Cpu(options) => Ok(cli::run_own(cli::run_cpu(options))),
        Command::Alerts(options) => Ok(cli::run_own(cli::run_alerts(options))),
        Command::Doctor(options) => Ok(cli::run_own(cli::run_doctor(options))),
        Command::Vm(command) => Ok(cli::run_own(cli::run_vm(command))),
        Command::Task(command) => Ok(cli::run_own(cli::run_task(command))),
        Command::ApiDump => {
            let table = proto::dump_table(proto::table::rows());
            let text = serde_json::to_string_pretty(&table).context("printing the table")?;
            done(cli::line(&text))
        }
        Command::Completion { shell } => done(cli::print(&cli::completion_script(shell))),
        Command::Man { folder } => done(cli::write_man_pages(&folder, &Arguments::command())),
        Command::Complete { words } => done(cli::complete(&Arguments::command(), &words)),
        Command::PamHelper => Ok(auth::pam::helper_main()),
        Command::ContainerCopy { order } => Ok(roles::container_copy(&order)),
        Command::ContainerFiles => Ok(roles::container_files()),
        Command::ContainerImage => Ok(roles::container_image()),
        role => {
            log();
            rustls::crypto::aws_lc_rs::default_provider()
                .install_default()
                .map_err(|_| anyhow::anyhow!("a crypto provider was installed before ours"))?;
            run_role(&role)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn run_role(role: &Command) -> Result<()> {
    let config = config::Config::load()?;
    if matches!(role, Command::Api) {
        roles::become_api_user(&config)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        match role {
            Command::Run => roles::supervise(&config).await,
            Command::Node => roles::node(&config).await,
            Command::Witness(command) => roles::witness(&config, command).await,
            _ => roles::api(&config).await,
        }
    })
}

/// Logs go to standard error, for the journal or the parent process.
fn log() {
    let filter = EnvFilter::try_from_env("OSTLER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
