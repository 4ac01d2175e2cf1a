//! `ostler witness`: a machine that votes in a cluster, with neither agent nor API.

use std::sync::Arc;

use anyhow::{Result, bail};
use node::state::{StateOptions, serve_as_witness};
use sys::{RealHost, SystemClock};

use crate::cli::{WitnessCommand, join_as_witness, leave_as_witness};
use crate::config::Config;

pub(crate) async fn witness(config: &Config, command: &WitnessCommand) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a witness needs root: it starts etcd as another user");
    }
    let options = StateOptions {
        node: config.node.clone(),
        paths: config.paths.clone(),
        host: Arc::new(RealHost::open(&config.scope_root)?),
        clock: Arc::new(SystemClock::new()),
        etcd: config.etcd.clone(),
        etcd_user: config.etcd_user,
    };
    match command {
        WitnessCommand::Join { invitation, link } => {
            join_as_witness(&options, invitation, *link).await
        }
        WitnessCommand::Leave { yes } => leave_as_witness(&options, *yes).await,
        WitnessCommand::Run => tokio::select! {
            served = serve_as_witness(options) => Ok(served?),
            ended = super::asked_to_end() => Ok(ended?),
        },
    }
}
