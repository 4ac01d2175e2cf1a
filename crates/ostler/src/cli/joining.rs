//! Joining a cluster from the command line: what is asked for before the task begins.

use std::io::{IsTerminal, stdin};

use anyhow::{Result, bail};
use model::schema::Values;
use node::membership::fingerprint_of;
use proto::Verb;

use super::agent::Agent;
use super::commands::ask_secret;
use super::follow::{follow, upid};
use super::keyboard::Keyboard;
use super::output;
use super::progress::Log;

const JOIN: &str = "/cluster/config/join";

/// Lets this node join the cluster of a host. `given` are the parameters of the operation so far. A
/// password that is missing is asked for; a fingerprint that is missing is shown and must be
/// confirmed, with `yes`.
pub(super) async fn join(agent: &Agent, host: &str, mut given: Values, prompt: &str) -> Result<()> {
    let mut keyboard = Keyboard::open();
    given.insert("hostname".to_owned(), host.into());
    if !given.contains_key("password") {
        let password = ask_secret(&mut keyboard, prompt).await?;
        given.insert("password".to_owned(), password.into());
    }
    if !given.contains_key("fingerprint") {
        let fingerprint = fingerprint_of(host).await?;
        output::note(&format!(
            "The authenticity of host '{host}' can't be established."
        ));
        output::note(&format!("X509 SHA256 key fingerprint is {fingerprint}."));
        if !is_confirmed(&mut keyboard).await? {
            bail!("Host key verification failed.");
        }
        given.insert("fingerprint".to_owned(), fingerprint.into());
    }
    let task = agent.at(Verb::Post, JOIN, given).await?.data;
    follow(agent, upid(&task)?, Log::Stdout).await
}

async fn is_confirmed(keyboard: &mut Keyboard) -> Result<bool> {
    if stdin().is_terminal() {
        output::prompt("Are you sure you want to continue connecting (yes/no)? ");
    }
    let answer = keyboard.line().await?.unwrap_or_default();
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
