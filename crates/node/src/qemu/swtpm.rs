//! The program that plays a guest's security module, in the guest's own scope.
//!
//! It ends when QEMU closes its connection. It runs as the guest's user, in a fence with its volume
//! and the guest's folder: what it reads, a guest has written. Its keys and certificates it gets
//! before, by a program of root's, while the volume holds nothing yet.

use std::path::Path;
use std::time::Duration;

use guest::qemu::RuntimePaths;
use model::qemu::TpmState;
use model::{Error, VmId};
use storage::{AttachMode, Attacher};
use sys::{Command, Fence, ScopeName};

use crate::NodeContext;

/// How long it may take until it listens.
const READY_PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Making the keys and certificates of a new module takes seconds.
const SETUP_PATIENCE: Duration = Duration::from_secs(120);

/// What of a volume is looked at to find out whether a module is in it: it begins with a header.
const HEAD_BYTES: usize = 512;

/// Starts the module of a guest that is about to start, as `user`, and makes it one first where its
/// volume is fresh.
pub(crate) async fn start(
    node: &NodeContext,
    vmid: VmId,
    tpm: &TpmState,
    paths: &RuntimePaths,
    user: Option<(u32, u32)>,
    by: &Attacher,
) -> Result<(), Error> {
    let state = state_file(node, tpm, by).await?;
    let scope = ScopeName::guest(vmid);
    if is_fresh(node, &state).await? {
        set_up(node, tpm, &state, &scope).await?;
    }
    let socket = paths.tpm();
    // The folder that the socket lies in is the guest's alone.
    let mut command = Command::new("swtpm").args([
        "socket".to_owned(),
        "--tpmstate".to_owned(),
        format!("backend-uri=file://{state},mode=0600"),
        "--ctrl".to_owned(),
        format!("type=unixio,path={socket},mode=0666"),
        "--terminate".to_owned(),
    ]);
    if tpm.is_version_2() {
        command = command.arg("--tpm2");
    }
    command.user = user;
    let file = node.host.open_image(state.as_ref(), true, false).await?;
    let fence = Fence::new(None)
        .folder(&paths.directory)
        .file(&state, file, true);
    let command = command.fence(fence).timeout(None);
    node.host.spawn(command, &scope).await?;
    let deadline = node.clock.monotonic() + READY_PATIENCE;
    while node.host.stat(Path::new(&socket)).await?.is_none() {
        if node.clock.monotonic() >= deadline || node.host.members(&scope).await?.is_empty() {
            return Err(Error::unavailable("swtpm does not listen"));
        }
        node.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// The file or device that keeps what the module knows, attached for the guest.
async fn state_file(node: &NodeContext, tpm: &TpmState, by: &Attacher) -> Result<String, Error> {
    let missing = || Error::bug("a security module without a volume");
    let volume = tpm.volume().ok_or_else(missing)?;
    let spec = node.attach(&volume, AttachMode::Exclusive, by).await?;
    match spec.source.path() {
        // Its options are separated by commas, and there is no quoting.
        Some(path) if !path.contains(',') => Ok(path.to_owned()),
        _ => {
            let text = format!("swtpm cannot use volume '{volume}'");
            Err(Error::unavailable(text))
        }
    }
}

/// Whether nothing was ever written to a volume.
async fn is_fresh(node: &NodeContext, state: &str) -> Result<bool, Error> {
    let path = Path::new(state);
    let host = &node.host;
    let file = host.open_image(path, false, false).await?;
    let head = host.read_at(&file, path, 0, HEAD_BYTES).await?;
    Ok(head.iter().all(|byte| *byte == 0))
}

/// Gives a fresh module its keys and certificates.
async fn set_up(
    node: &NodeContext,
    tpm: &TpmState,
    state: &str,
    scope: &ScopeName,
) -> Result<(), Error> {
    let mut command = Command::new("swtpm_setup").args([
        "--tpmstate".to_owned(),
        format!("file://{state}"),
        "--createek".to_owned(),
        "--create-ek-cert".to_owned(),
        "--create-platform-cert".to_owned(),
        "--lock-nvram".to_owned(),
        "--not-overwrite".to_owned(),
    ]);
    if tpm.is_version_2() {
        command = command.args(["--tpm2", "--ecc"]);
    }
    command.scope = Some(scope.clone());
    let output = node.host.run(command.timeout(Some(SETUP_PATIENCE))).await?;
    output.checked("swtpm_setup")?;
    Ok(())
}
