//! Registries of OCI images, by `skopeo` as in Proxmox VE. A registry may answer anything: the program
//! runs in the fence of those that read untrusted data, with the host's network.
//!
//! A registry is spoken to by TLS, and its certificate is verified, unless `registries.conf` of the
//! host (`containers-registries.conf(5)`) calls it insecure.

use std::path::Path;
use std::time::Duration;

use model::Error;
use serde::Deserialize;
use sys::{Command, Fence, Output, SysError};

use super::fetch::SYSTEM_ROOTS;
use crate::NodeContext;

pub(crate) const SKOPEO: &str = "skopeo";

/// The host's files on registries and on whose images it takes, where they are in the fence.
const REGISTRIES: &str = "/etc/containers/registries.conf";
const POLICY: &str = "/etc/containers/policy.json";

/// How long a list of tags is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most address space: a list or a manifest that is larger is no honest one.
const MEMORY_BYTES: u64 = 4 << 30;

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Tags")]
    tags: Vec<String>,
}

impl NodeContext {
    /// The tags of a repository: `registry/name`, or `name` of Docker's registry.
    pub async fn repository_tags(
        &self,
        reference: &str,
        proxy: Option<&str>,
    ) -> Result<Vec<String>, Error> {
        let command = self
            .skopeo(proxy)
            .await?
            .args(["list-tags".to_owned(), named(reference)]);
        let ended = self.host.run(command.timeout(Some(PATIENCE))).await;
        let ended = ended.map_err(|error| match error {
            SysError::ProgramMissing { .. } => {
                Error::conflict("Install 'skopeo' to list tags from OCI registries.")
            }
            SysError::ProgramTimeout { after, .. } => silent(after),
            error => error.into(),
        })?;
        if !ended.success() {
            return Err(Error::conflict(complaint(&ended)));
        }
        let listed: Listed = serde_json::from_slice(&ended.stdout)
            .map_err(|error| Error::conflict(format!("the list cannot be read: {error}")))?;
        Ok(listed.tags)
    }

    /// The program in its fence, without what it is to do.
    pub(crate) async fn skopeo(&self, proxy: Option<&str>) -> Result<Command, Error> {
        let mut fence = Fence::new(None).network();
        fence.memory_bytes = MEMORY_BYTES;
        let mut command = Command::new(SKOPEO);
        for (path, inside) in [
            (Path::new(SYSTEM_ROOTS).to_owned(), SYSTEM_ROOTS),
            (self.paths.root().join(&REGISTRIES[1..]), REGISTRIES),
            (self.paths.root().join(&POLICY[1..]), POLICY),
        ] {
            if self.host.stat(&path).await?.is_some() {
                let path = self.host.resolve(&path).await?;
                let file = self.host.open_image(&path, false, false).await?;
                fence = fence.file(inside, file, false);
            } else if inside == POLICY {
                // A host without a policy takes images of everybody.
                command = command.arg("--insecure-policy");
            }
        }
        if let Some(proxy) = proxy {
            for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
                command.env.push((name.to_owned(), proxy.to_owned()));
            }
        }
        command.env.push(("HOME".to_owned(), "/".to_owned()));
        Ok(command.fence(fence))
    }
}

/// A reference as the program takes it.
pub(crate) fn named(reference: &str) -> String {
    format!("docker://{reference}")
}

pub(crate) fn silent(after: Duration) -> Error {
    let after = after.as_secs();
    Error::unavailable(format!("the registry did not answer within {after} s"))
}

/// What the program says at its end: `time="…" level=fatal msg="…"`.
pub(crate) fn complaint(output: &Output) -> String {
    let line = output.complaint();
    let message = line
        .split_once("msg=")
        .map_or(line.as_str(), |(_, text)| text);
    let text = serde_json::from_str(message).unwrap_or_else(|_| message.to_owned());
    text.chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_the_program_is_shown_without_its_frame() {
        let said = |stderr: &str| {
            complaint(&Output {
                code: Some(1),
                stderr: stderr.as_bytes().to_vec(),
                ..Output::default()
            })
        };
        let framed =
            "Getting\ntime=\"2026-11-30T02:00:00Z\" level=fatal msg=\"reading \\\"a\\\": no\"\n";
        assert_eq!(said(framed), "reading \"a\": no");
        assert_eq!(said("panic: out of memory\n"), "panic: out of memory");
    }
}
