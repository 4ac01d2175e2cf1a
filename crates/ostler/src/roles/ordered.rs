//! What the roles share that the agent runs in a fence: an order comes in, an outcome goes out.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Carries out the order on standard input. The outcome goes to standard output, an error to standard error.
pub(super) fn carry_out<O: DeserializeOwned, T: Serialize>(
    order: impl FnOnce(O) -> Result<T>,
) -> ExitCode {
    let answer = || -> Result<()> {
        let mut input = Vec::new();
        io::stdin().read_to_end(&mut input)?;
        let outcome = order(serde_json::from_slice(&input).context("reading the order")?)?;
        Ok(io::stdout().write_all(&serde_json::to_vec(&outcome)?)?)
    };
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
