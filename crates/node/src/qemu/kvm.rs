//! Whether guests can be accelerated here.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guest::qemu::{Accel, probe};
use model::Error;
use serde::{Deserialize, Serialize};
use sys::{Command, Limits, Output, ScopeName, SharedHost, SysError};
use tracing::{info, warn};

use crate::Paths;
use crate::qemu::programs::QEMU;

/// How long the probe guest may take; it needs a tenth of a second.
const PATIENCE_S: u64 = 5;

/// The kernel's name of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known of KVM on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Usable,
    /// And why not.
    Unusable(String),
}

/// A verdict and what it holds for.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Proof {
    boot_id: String,
    guest_user: Option<(u32, u32)>,
    verdict: Verdict,
}

/// Asks whether KVM works, and remembers.
///
/// `/dev/kvm` proves nothing: there are hosts where it opens and every call on it succeeds, and
/// a guest hangs all the same. So a probe guest (`guest::qemu::probe`) is run as guests are, once
/// in each boot. A no is asked again when the agent starts: it may have been fixed.
pub struct Kvm {
    host: SharedHost,
    paths: Paths,
    guest_user: Option<(u32, u32)>,
    known: Mutex<Option<Verdict>>,
    /// Held by who asks.
    asking: tokio::sync::Mutex<()>,
}

impl Kvm {
    /// `word` is the administrator's, who knows better than any probe.
    pub(crate) fn new(
        host: SharedHost,
        paths: Paths,
        guest_user: Option<(u32, u32)>,
        word: Option<bool>,
    ) -> Self {
        let known = word.map(|usable| match usable {
            true => Verdict::Usable,
            false => Verdict::Unusable("this node is configured to do without KVM".to_owned()),
        });
        Self {
            host,
            paths,
            guest_user,
            known: Mutex::new(known),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// What is known; none as long as the probe guest has not ended.
    pub fn known(&self) -> Option<Verdict> {
        self.lock().clone()
    }

    /// What is known, or can be found out in a few seconds.
    pub async fn verdict(&self) -> Verdict {
        let _asking = self.asking.lock().await;
        if let Some(verdict) = self.known() {
            return verdict;
        }
        let verdict = match self.prove().await {
            Ok(verdict) => verdict,
            // What hinders the probe hinders guests too, but it may pass.
            Err(error) => return Verdict::Unusable(error.to_string()),
        };
        match &verdict {
            Verdict::Usable => info!("KVM works here"),
            Verdict::Unusable(why) => warn!(why, "KVM cannot be used here"),
        }
        *self.lock() = Some(verdict.clone());
        verdict
    }

    /// How a guest is run that does or does not ask for KVM.
    pub(crate) async fn accel(&self, wanted: bool, allow_emulation: bool) -> Result<Accel, Error> {
        if !wanted {
            return Ok(Accel::Tcg);
        }
        match self.verdict().await {
            Verdict::Usable => Ok(Accel::Kvm),
            Verdict::Unusable(_) if allow_emulation => Ok(Accel::Tcg),
            Verdict::Unusable(why) => Err(Error::unavailable(format!(
                "KVM virtualisation configured, but not available: {why}. Either set 'kvm: 0' in \
                 the VM configuration, or 'emulate = true' in /etc/ostler/ostler.toml"
            ))),
        }
    }

    /// Takes an earlier yes of this boot, or runs the probe guest.
    async fn prove(&self) -> Result<Verdict, Error> {
        let boot_id = self.host.read(BOOT_ID.as_ref()).await?;
        let mut proof = Proof {
            boot_id: String::from_utf8_lossy(&boot_id).trim().to_owned(),
            guest_user: self.guest_user,
            verdict: Verdict::Usable,
        };
        let file = self.paths.runtime().join("kvm.json");
        let earlier = self.host.read(&file).await.unwrap_or_default();
        if serde_json::from_slice::<Proof>(&earlier).is_ok_and(|earlier| earlier == proof) {
            return Ok(Verdict::Usable);
        }
        let folder = self.paths.runtime().join("kvm-probe");
        proof.verdict = run_probe(&self.host, &folder, Accel::Kvm, self.guest_user).await?;
        let content = serde_json::to_vec(&proof)
            .map_err(|error| Error::bug(format!("a proof cannot be written: {error}")))?;
        self.host.write(&file, &content, 0o644).await?;
        Ok(proof.verdict)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Verdict>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the probe guest, as `user`, with its file in `folder`, which is made and removed. What an
/// agent that died had started is ended first: a probe that hangs burns a processor.
pub async fn run_probe(
    host: &SharedHost,
    folder: &Path,
    accel: Accel,
    user: Option<(u32, u32)>,
) -> Result<Verdict, Error> {
    let scope = ScopeName::task("kvm-probe");
    host.kill_scope(&scope).await?;
    host.create_scope(&scope, &Limits::default()).await?;
    // The guest's user must come to the file, and it holds no secret.
    host.create_dir(folder, 0o755).await?;
    let firmware: PathBuf = folder.join("firmware");
    host.write(&firmware, &probe::firmware(), 0o644).await?;
    let groups_of = match accel {
        Accel::Kvm if user.is_some() => vec!["/dev/kvm".into()],
        _ => Vec::new(),
    };
    let command = Command {
        user,
        groups_of,
        ..Command::new(QEMU)
            .args(probe::arguments(&firmware.display().to_string(), accel))
            .timeout(Some(Duration::from_secs(PATIENCE_S)))
            .scope(scope.clone())
    };
    let ended = host.run(command).await;
    host.kill_scope(&scope).await?;
    host.remove(&firmware).await?;
    host.remove_dir(folder).await?;
    match ended {
        Ok(output) => Ok(judge(&output)),
        Err(SysError::ProgramTimeout { .. }) => Ok(Verdict::Unusable(format!(
            "a guest that tried it hung for {PATIENCE_S} s"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What the way that the guest has come says.
fn judge(output: &Output) -> Verdict {
    if output.code == Some(probe::WORKS) {
        return Verdict::Usable;
    }
    let way = String::from_utf8_lossy(&output.stdout);
    let next = probe::WAY.strip_prefix(way.trim()).unwrap_or_default();
    Verdict::Unusable(match next.chars().next() {
        // It did not even begin: QEMU says why.
        Some('R') | None => output.complaint(),
        Some('P' | 'L') => "a guest that tried it did not reach long mode".to_owned(),
        Some('T') => "a guest that tried it got no timer interrupts".to_owned(),
        Some(_) => "a guest that tried it could not run in user mode".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sys::Files;
    use testkit::{Disk, FakeHost, Faults};

    use super::*;

    async fn boot(host: &FakeHost, id: &str) {
        let file = Path::new(BOOT_ID);
        let folder = file.parent().unwrap();
        host.create_dir(folder, 0o755).await.unwrap();
        host.write(file, id.as_bytes(), 0o444).await.unwrap();
    }

    async fn kvm(word: Option<bool>, qemu: testkit::Program) -> (FakeHost, Kvm) {
        let host = FakeHost::new(Faults::default()).program(QEMU, qemu);
        boot(&host, "this-boot").await;
        let runtime = Paths::below("/").runtime();
        host.create_dir(&runtime, 0o755).await.unwrap();
        let kvm = Kvm::new(Arc::new(host.clone()), Paths::below("/"), None, word);
        (host, kvm)
    }

    fn output(code: i32, said: &str) -> Output {
        Output {
            code: Some(code),
            stdout: said.into(),
            stderr: b"qemu: no such file".to_vec(),
        }
    }

    fn works(_: &mut Disk, _: &Command) -> Output {
        output(probe::WORKS, probe::WAY)
    }

    fn lies(_: &mut Disk, _: &Command) -> Output {
        output(0, "RPLT")
    }

    #[test]
    fn a_guest_that_comes_not_the_whole_way_is_no_proof() {
        let why = |output| match judge(&output) {
            Verdict::Usable => "usable".to_owned(),
            Verdict::Unusable(why) => why,
        };
        assert_eq!(why(output(probe::WORKS, probe::WAY)), "usable");
        assert_eq!(why(output(1, "")), "qemu: no such file");
        assert!(why(output(0, "RPL")).contains("timer"));
        assert!(why(output(0, "RPLT")).contains("user mode"));
        assert!(why(output(0, "RP")).contains("long mode"));
    }

    #[tokio::test]
    async fn without_proof_a_guest_that_wants_kvm_is_told_why_it_cannot_start() {
        let (host, kvm) = kvm(None, lies).await;
        let error = kvm.accel(true, false).await.unwrap_err();
        assert!(error.message.contains("'kvm: 0'"), "{error}");
        assert!(error.message.contains("user mode"), "{error}");
        assert_eq!(kvm.accel(false, false).await.unwrap(), Accel::Tcg);
        assert_eq!(kvm.accel(true, true).await.unwrap(), Accel::Tcg);
        let left: Vec<String> = host.inventory(&["/run/ostler/kvm.json"]);
        assert!(!left.iter().any(|line| line.contains("kvm")), "{left:?}");
    }

    #[tokio::test]
    async fn a_yes_holds_for_the_boot_and_a_no_is_asked_again() {
        let (host, first) = kvm(None, works).await;
        assert_eq!(first.verdict().await, Verdict::Usable);
        let asked_again = |host: &FakeHost| {
            let host = host.clone().program(QEMU, lies);
            Kvm::new(Arc::new(host), Paths::below("/"), None, None)
        };
        assert_eq!(asked_again(&host).verdict().await, Verdict::Usable);
        boot(&host, "next-boot").await;
        let no = asked_again(&host).verdict().await;
        assert!(matches!(no, Verdict::Unusable(_)), "{no:?}");
        let (_, word) = kvm(Some(true), lies).await;
        assert_eq!(word.known(), Some(Verdict::Usable));
    }
}
