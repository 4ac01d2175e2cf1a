//! `ostler witness …`: on a machine that votes in a cluster and is no node of it.

use std::net::IpAddr;

use anyhow::{Result, bail};
use clap::Subcommand;
use node::membership::Contact;
use node::state::{StateOptions, dismiss, enlist};

use super::super::output;
use super::cluster::Invited;
use super::confirm;

#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Make this machine the witness of a cluster, with what `ostler cluster invite --witness` printed.
    Join {
        invitation: String,
        /// The address of this machine that the nodes reach.
        #[arg(long)]
        link: IpAddr,
    },
    /// Forget the cluster, which should have removed its witness before.
    Leave {
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Serve the cluster until it removes the witness. Needs root.
    Run,
}

pub(crate) async fn join(options: &StateOptions, invitation: &str, link: IpAddr) -> Result<()> {
    let invited = Invited::parse(invitation);
    let (Some(fingerprint), Some(token)) = (invited.fingerprint, invited.token) else {
        bail!("this is no invitation: 'ostler cluster invite --witness' on a node prints one");
    };
    let host = invited.host;
    let contact = Contact { host, fingerprint };
    let cluster = enlist(options, &contact, &token, link).await?;
    output::line(&format!(
        "This machine is the witness of '{cluster}' while 'ostler witness run' runs (systemctl \
         enable --now ostler-witness)."
    ))
}

pub(crate) async fn leave(options: &StateOptions, yes: bool) -> Result<()> {
    if !yes && !confirm("Forget the cluster of which this machine is the witness?")? {
        bail!("the witness was left as it is");
    }
    match dismiss(options).await? {
        true => Ok(()),
        false => bail!("this machine is no witness"),
    }
}
