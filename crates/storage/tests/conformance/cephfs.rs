//! A file system of Ceph, mounted by `ceph-fuse`. It holds no images, so the cases of the suite are
//! not for it: what it shares with other folders they show there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use model::StorageId;
use storage::{
    CephFsSpec, ContentType, Storage, StorageConfig, StorageError, StorageSpec, StorageType,
};
use sys::{Processes, RealHost, ScopeName, Scopes};
use testkit::ceph::{Ceph, FILE_SYSTEM};
use testkit::left_out::missing;

struct Scene {
    ceph: Ceph,
    host: Arc<RealHost>,
    scopes: String,
    folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A failed test leaves it mounted, and threads of its own that wait for the program.
        let point = self.point().display().to_string();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if line.starts_with(b"ceph-fuse") && String::from_utf8_lossy(&line).contains(&point) {
                let _ = Command::new("kill")
                    .arg("-9")
                    .arg(process.file_name())
                    .status();
            }
        }
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.point())
            .output();
        for controller in [".", "cpu", "cpuacct", "cpuset", "memory", "pids", "freezer"] {
            let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{controller}/{}", self.scopes));
        }
    }
}

impl Scene {
    fn new() -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            missing("cephfs", "it needs root");
            return None;
        }
        let mut ceph = Ceph::start("cephfs")?;
        if !ceph.start_file_system("cephfs") {
            return None;
        }
        let scopes = format!("ostler-test-{}-cephfs", std::process::id());
        Some(Self {
            ceph,
            host: Arc::new(RealHost::open(&scopes).unwrap()),
            scopes,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn point(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn spec(&self) -> CephFsSpec {
        CephFsSpec {
            monhost: Some(self.ceph.address().to_owned()),
            path: Some(self.point().display().to_string()),
            fs_name: Some(FILE_SYSTEM.to_owned()),
            fuse: Some(true),
            ..CephFsSpec::default()
        }
    }

    fn open(&self, spec: CephFsSpec, keyring: Option<String>) -> Arc<dyn Storage> {
        let contents = StorageType::CephFs.contents().to_vec();
        let id = StorageId::new(format!("fs-{}", std::process::id())).unwrap();
        let config = StorageConfig::new(id, StorageSpec::CephFs(spec), contents);
        storage::open(config, keyring, self.host.clone(), Arc::new(storage::Alone))
    }

    fn scope() -> ScopeName {
        ScopeName::service(&format!("cephfs-fs-{}", std::process::id()))
    }
}

fn isos(listed: &[storage::VolumeInfo]) -> Vec<(&str, u64)> {
    let all = listed.iter();
    all.map(|volume| (volume.name.as_str(), volume.size))
        .collect()
}

#[tokio::test]
#[ignore = "thorough: a server of files waits half a minute for a client that is dead"]
async fn every_case() {
    let Some(scene) = Scene::new() else {
        return;
    };
    who_is_refused_is_told_so(&scene).await;
    let storage = scene.open(scene.spec(), Some(scene.ceph.keyring()));
    files_are_kept_and_the_key_is_hidden(&scene, &*storage).await;
    a_program_that_dies_is_started_again(&scene, &*storage).await;
    a_silent_cluster_is_said_to_be(&scene, &*storage).await;
    a_folder_is_a_storage_of_its_own(&scene, storage).await;
    nothing_is_left(&scene).await;
}

async fn who_is_refused_is_told_so(scene: &Scene) {
    let wrong = Some("AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q==".to_owned());
    let nowhere = CephFsSpec {
        subdir: Some("/nowhere".to_owned()),
        ..scene.spec()
    };
    let keyring = Some(scene.ceph.keyring());
    for (spec, keyring, reason) in [
        (scene.spec(), wrong, "the cluster refuses user 'admin'"),
        (scene.spec(), None, "the cluster refuses user 'admin'"),
        (
            nowhere,
            keyring,
            "ceph-fuse: folder '/nowhere' of 'fs': (2) No such file or directory",
        ),
    ] {
        let refused = scene.open(spec, keyring).activate().await.unwrap_err();
        let text = refused.to_string();
        assert!(text.ends_with(reason), "{text}");
        assert!(matches!(refused, StorageError::Inactive { .. }), "{text}");
    }
}

async fn files_are_kept_and_the_key_is_hidden(scene: &Scene, storage: &dyn Storage) {
    let before = storage.status().await.unwrap_err().to_string();
    assert!(before.ends_with("'ceph-fuse:/' is not mounted"), "{before}");
    for _ in 0..2 {
        storage.activate().await.unwrap();
    }
    assert!(storage.status().await.unwrap().total > 0);
    let iso = scene.point().join("template/iso/x.iso");
    std::fs::write(iso, vec![7; 3000]).unwrap();
    let listed = storage.list(Some(ContentType::Iso)).await.unwrap();
    assert_eq!(isos(&listed), [("iso/x.iso", 3000)]);
    let keyring = scene.ceph.keyring();
    let key = storage::key_of(&keyring, "admin").unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    let shown = lines.filter(|line| String::from_utf8_lossy(line).contains(&key));
    assert_eq!(shown.count(), 0);
}

/// Also by another driver, as a new agent has it. The server keeps what the dead one had locked until
/// its session ends, and until then it is silent.
async fn a_program_that_dies_is_started_again(scene: &Scene, storage: &dyn Storage) {
    let all = scene.host.members(&Scene::scope()).await.unwrap();
    let [program] = &all[..] else {
        panic!("{all:?}");
    };
    let pid = program.pid.to_string();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.unwrap().success());
    while scene.host.is_alive(program).await.unwrap() {}
    let dead = storage.status().await;
    assert!(matches!(dead, Err(StorageError::Host { .. })), "{dead:?}");
    let other = scene.open(scene.spec(), Some(scene.ceph.keyring()));
    while let Err(error) = other.activate().await {
        assert!(matches!(error, StorageError::Silent(_)), "{error:?}");
    }
    let listed = other.list(None).await.unwrap();
    assert_eq!(isos(&listed), [("iso/x.iso", 3000)]);
    assert_eq!(mounts(&scene.point()), 1);
}

async fn a_silent_cluster_is_said_to_be(scene: &Scene, storage: &dyn Storage) {
    scene.ceph.freeze();
    let status = storage.status().await;
    let listed = storage.list(None).await;
    let activated = storage.activate().await;
    scene.ceph.thaw();
    for error in [status.err(), listed.err(), activated.err()] {
        let error = error.expect("an answer of a frozen cluster");
        assert_eq!(
            error.to_string().split('\'').nth(2),
            Some(" is not online"),
            "{error}"
        );
    }
    // By itself: the same driver.
    while storage.status().await.is_err() {
        tokio::task::yield_now().await;
    }
    let listed = storage.list(None).await.unwrap();
    assert_eq!(isos(&listed), [("iso/x.iso", 3000)]);
}

async fn a_folder_is_a_storage_of_its_own(scene: &Scene, storage: Arc<dyn Storage>) {
    std::fs::create_dir(scene.point().join("part")).unwrap();
    let spec = CephFsSpec {
        subdir: Some("/part/".to_owned()),
        ..scene.spec()
    };
    let part = scene.open(spec, Some(scene.ceph.keyring()));
    let taken = part.activate().await.unwrap_err().to_string();
    let says = "is where 'ceph-fuse:/' is mounted already, not 'ceph-fuse:/part'";
    assert!(taken.ends_with(says), "{taken}");
    drop(storage);
    unmount(&scene.point());
    part.activate().await.unwrap();
    assert!(part.list(None).await.unwrap().is_empty());
}

async fn nothing_is_left(scene: &Scene) {
    unmount(&scene.point());
    let scope = Scene::scope();
    while !scene.host.members(&scope).await.unwrap().is_empty() {}
    assert!(scene.host.remove_scope(&scope).await.unwrap());
    assert_eq!(mounts(&scene.point()), 0);
}

fn unmount(point: &Path) {
    let unmounted = Command::new("umount").arg(point).status();
    assert!(unmounted.unwrap().success());
}

fn mounts(point: &Path) -> usize {
    let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = format!(" {} ", point.display());
    all.lines().filter(|line| line.contains(&at)).count()
}
