//! The program that plays a guest's security module, in the guest's own scope.
//!
//! It ends when QEMU closes its connection. It runs as root, because its volume is on a storage
//! whose files the guests' user may not open, and confines itself.

use std::path::Path;
use std::time::Duration;

use guest::qemu::RuntimePaths;
use model::qemu::TpmState;
use model::{BlockSource, Error, VmId};
use sys::{Command, ScopeName};

use crate::{World, volumes};

/// How long it may take until it listens.
const READY_PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Making the keys and certificates of a new module takes seconds.
const SETUP_PATIENCE: Duration = Duration::from_secs(120);

/// Starts the module of a guest that is about to start, and makes it one first where its volume
/// is fresh.
pub(crate) async fn start(
    world: &World,
    vmid: VmId,
    tpm: &TpmState,
    paths: &RuntimePaths,
) -> Result<(), Error> {
    let state = state_file(world, tpm).await?;
    let scope = ScopeName::guest(vmid);
    set_up(world, tpm, &state, &scope).await?;
    let socket = paths.tpm();
    let owner = match world.guest_user {
        Some((uid, gid)) => format!(",uid={uid},gid={gid}"),
        None => String::new(),
    };
    let mut command = Command::new("swtpm").args([
        "socket".to_owned(),
        "--tpmstate".to_owned(),
        format!("backend-uri=file://{state},mode=0600"),
        "--ctrl".to_owned(),
        format!("type=unixio,path={socket},mode=0600{owner}"),
        "--terminate".to_owned(),
    ]);
    if tpm.is_version_2() {
        command = command.arg("--tpm2");
    }
    world.host.spawn(command.timeout(None), &scope).await?;
    let deadline = world.clock.monotonic() + READY_PATIENCE;
    while world.host.stat(Path::new(&socket)).await?.is_none() {
        if world.clock.monotonic() >= deadline || world.host.members(&scope).await?.is_empty() {
            return Err(Error::unavailable("swtpm does not listen"));
        }
        world.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// The file that keeps what the module knows.
async fn state_file(world: &World, tpm: &TpmState) -> Result<String, Error> {
    let missing = || Error::bug("a security module without a volume");
    let volume = tpm.volume().ok_or_else(missing)?;
    let storage = world.storage(volume.storage()).await?;
    storage.activate().await?;
    volumes::info_of(&*storage, &volume).await?;
    match storage.block(volume.name(), false)?.source {
        // Its options are separated by commas, and there is no quoting.
        BlockSource::Path(path) if !path.contains(',') => Ok(path),
        _ => {
            let text = format!("swtpm cannot use volume '{volume}'");
            Err(Error::unavailable(text))
        }
    }
}

/// Gives a fresh module its keys and certificates; one that has them keeps them.
async fn set_up(
    world: &World,
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
    let output = world
        .host
        .run(command.timeout(Some(SETUP_PATIENCE)))
        .await?;
    output.checked("swtpm_setup")?;
    Ok(())
}
