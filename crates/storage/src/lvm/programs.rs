//! LVM's programs, and how they are called.
//!
//! Every call rejects the devices of guests: a volume group inside a guest's disk must not be found
//! or changed. The administrator's own filter stays in force.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sys::{Command, SharedHost, SysError};
use tokio::sync::OnceCell;

/// The time-out of calls that only read.
const LOOK: Duration = Duration::from_secs(10);

/// How LVM ends where it leaves a group out: it is not there, is locked, or must not be changed. Which
/// of these it is, the lines before say.
pub(super) const GROUP_LEFT_OUT: &str = "Cannot process volume group";

/// Devices that are never searched for physical volumes: disks of guests on any storage. `scan_lvs=0`
/// excludes all logical volumes; the names of guests' volumes are rejected as well.
const REJECTED: [&str; 6] = [
    "r|^/dev/zd|",
    "r|^/dev/zvol/|",
    "r|^/dev/rbd|",
    "r|^/dev/drbd|",
    "r|^/dev/mapper/.*-(vm|base)--[0-9]+--|",
    "r|^/dev/mapper/.*-(snap|back|new|put|put_snap)_(vm|base)--[0-9]+--|",
];

/// What the programs list with `--reportformat json`: a list of rows below one name.
#[derive(Deserialize)]
struct Printed<T> {
    report: Vec<BTreeMap<String, Vec<T>>>,
}

/// LVM's programs on a host.
pub struct LvmPrograms {
    host: SharedHost,
    /// What `--config` says, once it is known.
    config: OnceCell<String>,
}

impl LvmPrograms {
    pub fn new(host: SharedHost) -> Self {
        Self {
            host,
            config: OnceCell::new(),
        }
    }

    /// Rows of `lvs`, `vgs` or `pvs`: texts by the names of columns, sizes in bytes. `of` are further
    /// arguments.
    pub async fn list<T: DeserializeOwned>(
        &self,
        program: &str,
        columns: &str,
        of: &[&str],
    ) -> Result<Vec<T>, SysError> {
        let how = [
            "--reportformat",
            "json",
            "--units",
            "b",
            "--nosuffix",
            "--options",
            columns,
        ];
        let printed = self.run(program, &[&how[..], of].concat(), LOOK).await?;
        parse(program, &printed)
    }

    pub async fn run(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
    ) -> Result<Vec<u8>, SysError> {
        self.run_until(program, args, timeout, None).await
    }

    /// Reads what each program is given, so that the next one begins at once.
    pub async fn prepare(&self) -> Result<(), SysError> {
        let config = self.config.get_or_try_init(|| self.read_config());
        config.await.map(drop)
    }

    /// The same for a program that must not go on after a time, whatever becomes of us.
    pub async fn run_until(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
        deadline: Option<Duration>,
    ) -> Result<Vec<u8>, SysError> {
        let command = self.command(program, args, timeout).await?;
        let command = command.deadline(deadline);
        let output = self.host.run(command).await?;
        let whole = String::from_utf8_lossy(&output.stderr).into_owned();
        output.checked(program).map_err(|error| match error {
            SysError::ProgramFailed {
                program,
                status,
                message,
            } if message.contains(GROUP_LEFT_OUT) => SysError::ProgramFailed {
                program,
                status,
                message: whole.split_whitespace().collect::<Vec<_>>().join(" "),
            },
            error => error,
        })
    }

    async fn command(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
    ) -> Result<Command, SysError> {
        let config = self.config.get_or_try_init(|| self.read_config()).await?;
        let mut command = Command::new(program)
            .args(["--config", config])
            .args(args.iter().copied())
            .timeout(Some(timeout));
        // What the agent has open is closed in its programs; LVM need not look for more.
        let quiet = ("LVM_SUPPRESS_FD_WARNINGS".to_owned(), "1".to_owned());
        command.env.push(quiet);
        Ok(command)
    }

    /// Our filter, and the administrator's beside it: a device has to pass both.
    async fn read_config(&self) -> Result<String, SysError> {
        let ask = Command::new("lvmconfig")
            .arg("devices/global_filter")
            .timeout(Some(LOOK));
        let asked = self.host.run(ask).await?;
        let printed = String::from_utf8_lossy(&asked.stdout);
        // It fails if the filter is not set.
        let theirs = printed.split_once('=').filter(|_| asked.success());
        Ok(config(theirs.map(|(_, filter)| filter.trim())))
    }
}

/// What `--config` says, with the administrator's filter as `lvmconfig` prints it.
fn config(theirs: Option<&str>) -> String {
    let quoted: Vec<String> = REJECTED.map(|pattern| format!("\"{pattern}\"")).to_vec();
    let ours = quoted.join(",");
    let filter = theirs.map(|theirs| format!(" filter={theirs}"));
    let filter = filter.unwrap_or_default();
    format!(
        "devices {{ global_filter=[{ours}]{filter} scan_lvs=0 }} log {{ silent=0 }} \
         report {{ time_format=\"%s\" }}"
    )
}

pub(super) fn parse<T: DeserializeOwned>(
    program: &str,
    printed: &[u8],
) -> Result<Vec<T>, SysError> {
    let printed: Printed<T> = serde_json::from_slice(printed).map_err(|error| {
        SysError::Unsupported(format!(
            "{program} printed something else than JSON: {error}"
        ))
    })?;
    let lists = printed.report.into_iter().flat_map(BTreeMap::into_values);
    Ok(lists.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_disks_are_rejected_beside_what_the_administrator_rejects() {
        let plain = config(None);
        assert!(plain.starts_with("devices { global_filter=[\"r|^/dev/zd|\",\"r|^/dev/zvol/|\","));
        assert!(plain.contains("scan_lvs=0") && !plain.contains(" filter="));
        let both = config(Some(r#"["r|/dev/sdz|"]"#));
        assert!(
            both.contains(r#"] filter=["r|/dev/sdz|"] scan_lvs=0"#),
            "{both}"
        );
    }
}
