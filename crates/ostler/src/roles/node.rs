//! `ostler node`: opens everything, then serves requests.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use auth::Authority;
use auth::pam::PamHelper;
use control::{Context, Dispatcher};
use model::{Clock, Record};
use node::schedule::{Scheduled, follow_schedules};
use node::snapshot_jobs::SnapshotJobs;
use node::state::{State, StateOptions, check_no_witness};
use node::tasks::timeout_text;
use node::{NodeContext, NodeOptions, registry, storage_key};
use store::{Commit, Precondition, SharedStore, StoreError};
use sys::{RealHost, SharedHost, SystemClock};
use tasks::{Engine, EngineOptions};
use tokio::net::UnixListener;
use tracing::info;

use super::{certificate, cluster};
use crate::config::Config;

/// The space that is reserved for a full disk: some thousand lines of the journal, and the store's
/// log of their commits.
const RESERVE_BYTES: usize = 4 << 20;

pub(crate) async fn node(config: &Config) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the agent needs root: it makes cgroups, taps and guests' processes");
    }
    check_given_away(config)?;
    let host = RealHost::open(&config.scope_root)?;
    let host: SharedHost = Arc::new(match config.guest_user {
        Some((uid, gid)) => host.with_tools_user(uid, gid),
        None => host,
    });
    let paths = &config.paths;
    check_no_witness(&host, paths).await?;
    host.create_dir(&paths.state(), 0o755).await?;
    host.create_dir(&paths.guests(), 0o755).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    prepare_certificates(config, &host, &clock).await?;
    let state = open_state(config, &host, &clock).await?;
    let store = state.store();
    ensure_first_storage(config, &host, &store).await?;
    let authority = open_authority(&store, &host, &clock).await?;
    let node = NodeContext::new(NodeOptions {
        agents: None,
        name: config.node.clone(),
        paths: paths.clone(),
        store: store.clone(),
        host: host.clone(),
        clock: clock.clone(),
        authority: authority.clone(),
        guest_user: config.guest_user,
        guest_uids: Some(config.guest_uids),
        kvm: config.kvm,
        allow_emulation: config.emulate,
        identity: Some(Arc::new(cluster::identity(config, &host).await?)),
        state: Some(state.clone()),
    });
    cluster::join_members(config, &node).await?;
    let options = EngineOptions {
        node: config.node.clone(),
        directory: paths.tasks(),
        host: host.clone(),
        clock: clock.clone(),
        reserve_bytes: RESERVE_BYTES,
        timeout_text,
    };
    let tasks = Engine::open(options, node.clone(), &registry()).await?;
    let context = Context {
        store,
        clock,
        authority: authority.clone(),
        node: node.clone(),
        tasks: tasks.clone(),
    };
    let listener = listen(&paths.socket(), config.api_user.1, &host).await?;
    info!(socket = %paths.socket().display(), "the agent is ready");
    let dispatcher = Arc::new(Dispatcher::new(Arc::new(context)));
    tokio::select! {
        () = proto::wire::serve(listener, dispatcher.clone()) => Ok(()),
        () = cluster::serve_members(config, &node, dispatcher) => Ok(()),
        () = node.cluster.follow() => Ok(()),
        () = authority.follow() => Ok(()),
        () = look_after_guests(&node, &tasks) => Ok(()),
        () = start_guests(&node, &tasks) => Ok(()),
        () = prove_kvm(&node) => Ok(()),
        () = observe(&node, &tasks) => Ok(()),
        () = run_jobs(&node, &tasks) => Ok(()),
        () = cluster::keep(config, &node, &tasks, &state) => Ok(()),
        () = state.restart_wanted() => Ok(()),
        ended = super::asked_to_end() => Ok(ended?),
    }
}

/// Finishes what a join, a leave or a restore has left, and makes the certificate of the API.
async fn prepare_certificates(
    config: &Config,
    host: &SharedHost,
    clock: &Arc<dyn Clock>,
) -> Result<()> {
    node::state::take_belongings(host, &config.paths, clock).await?;
    node::membership::finish(host, &config.paths).await?;
    let fingerprint = certificate::ensure(config, host).await?;
    info!(fingerprint, "the API's certificate");
    Ok(())
}

async fn open_state(
    config: &Config,
    host: &SharedHost,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<State>> {
    let state = State::open(StateOptions {
        node: config.node.clone(),
        paths: config.paths.clone(),
        host: host.clone(),
        clock: clock.clone(),
        etcd: config.etcd.clone(),
        etcd_user: config.etcd_user,
    });
    Ok(Arc::new(state.await.context("opening the store")?))
}

async fn open_authority(
    store: &SharedStore,
    host: &SharedHost,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Authority>> {
    let processes: Arc<dyn sys::Processes> = host.clone();
    let pam = Arc::new(PamHelper::new(processes, super::ITSELF, &["pam-helper"]));
    let authority = Authority::new(store.clone(), clock.clone(), pam).await?;
    Ok(Arc::new(authority))
}

/// Refuses uids for guests that the host has assigned to containers (subuid).
fn check_given_away(config: &Config) -> Result<()> {
    for path in ["/etc/subuid", "/etc/subgid"] {
        // Most hosts have no such files.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(line) = config.guest_uids.given_away(&text) {
            bail!("'guest-uids' overlaps with '{line}' in {path}");
        }
    }
    Ok(())
}

/// Clears up after guests that have ended, were frozen, or were on their way here. Never returns.
async fn look_after_guests(node: &Arc<NodeContext>, tasks: &Engine<NodeContext>) {
    tokio::join!(
        node::reap_guests(node, tasks),
        node::thaw_abandoned(node, tasks),
        node::follow_isolation(node),
        node::migration::follow_arrivals(node, tasks),
    );
}

/// Measures, keeps the history, and finds what is wrong. Never returns.
async fn observe(node: &Arc<NodeContext>, tasks: &Engine<NodeContext>) {
    tokio::join!(
        node::sample(node),
        node::follow_history(node),
        node::follow_alerts(node, tasks),
        node::follow_zpools(node),
        node::follow_exports(node),
    );
}

/// Begins the jobs that are due. Never returns.
async fn run_jobs(node: &NodeContext, tasks: &Engine<NodeContext>) {
    let snapshots: Box<dyn Scheduled> = Box::new(SnapshotJobs);
    follow_schedules(node, tasks, vec![snapshots]).await;
}

/// Starts the guests that start at boot, then waits for ever, while the node serves requests.
async fn start_guests(node: &NodeContext, tasks: &Engine<NodeContext>) {
    if let Err(error) = node::start_guests(node, tasks).await {
        tracing::error!(%error, "guests cannot be started with the machine");
    }
    std::future::pending().await
}

/// Probes KVM before the first guest needs it, then waits for ever.
async fn prove_kvm(node: &NodeContext) {
    node.kvm.verdict().await;
    std::future::pending().await
}

/// The storage of a new node.
async fn ensure_first_storage(
    config: &Config,
    host: &SharedHost,
    store: &SharedStore,
) -> Result<()> {
    let folder = config.paths.local_storage();
    let storage = storage::local(&folder.display().to_string());
    let key = storage_key(storage.id());
    // Created once: if it is deleted, it does not come back.
    let marker = store::Key::new("system/first-storage")?;
    let commit = Commit::new()
        .when(Precondition::Absent(marker.clone()))
        .when(Precondition::Absent(key.clone()))
        .put(marker, "1")
        .put(key, Record::new(storage).encode()?);
    match store.commit(commit).await {
        // Without its folder it would not be there.
        Ok(_) => Ok(host.create_dir(&folder, 0o755).await?),
        Err(StoreError::Conflict { .. }) => Ok(()),
        // The state of a cluster began on a node that had made it.
        Err(StoreError::NoQuorum) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Binds the socket for root and the API's group. The socket of a dead agent is replaced: the store
/// is locked by now, so there is no other running agent.
async fn listen(socket: &Path, group: u32, host: &SharedHost) -> Result<UnixListener> {
    host.remove(socket).await?;
    let listener =
        UnixListener::bind(socket).with_context(|| format!("listening on {}", socket.display()))?;
    host.chown(socket, 0, group).await?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))
        .with_context(|| format!("protecting {}", socket.display()))?;
    Ok(listener)
}
