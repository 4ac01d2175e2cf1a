//! A small cluster of Ceph on an address of the loopback device: one monitor, one manager, one disk
//! in a file, and a server of CephFS where it is asked for.

#![expect(
    clippy::disallowed_methods,
    reason = "the cluster belongs to the test, and is no part of the host that is tested"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::left_out::missing;

/// What it takes, each in a package of its name.
const PROGRAMS: [&str; 4] = ["ceph-mon", "ceph-mgr", "ceph-osd", "rbd"];

/// The user that may do everything, and the pool for images.
pub const USER: &str = "admin";
pub const POOL: &str = "rbd";

/// The file system, once there is one.
pub const FILE_SYSTEM: &str = "fs";

pub struct Ceph {
    folder: tempfile::TempDir,
    address: String,
    daemons: Vec<(String, Child)>,
}

impl Drop for Ceph {
    fn drop(&mut self) {
        for (_, daemon) in &mut self.daemons {
            // One that has ended already is no matter.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Ceph {
    /// None, with a word why, where this host cannot have one. Ready when it answers.
    pub fn start(test: &str) -> Option<Self> {
        let has = |program: &&str| Command::new(program).arg("--version").output().is_ok();
        let lacks = PROGRAMS.iter().find(|program| !has(program));
        let has_driver = Path::new("/usr/lib/x86_64-linux-gnu/qemu/block-rbd.so").exists();
        if lacks.is_some() || !has_driver {
            missing(
                test,
                "it needs Ceph (ceph-mon, ceph-mgr, ceph-osd, ceph-common) and qemu-block-extra",
            );
            return None;
        }
        let [.., high, low] = std::process::id().to_be_bytes();
        let mut ceph = Self {
            folder: tempfile::tempdir().expect("a folder"),
            // Ports are those of every cluster, so each has an address of its own.
            address: format!("127.77.{high}.{low}"),
            daemons: Vec::new(),
        };
        ceph.write_configuration();
        ceph.start_monitor();
        ceph.start_manager();
        ceph.start_disk();
        ceph.ceph(&["osd", "pool", "create", POOL, "8"]);
        ceph.ceph(&["osd", "pool", "application", "enable", POOL, "rbd"]);
        // The first image waits until the pool is there.
        ceph.rbd(&["create", "--size", "1M", "rbd/first"]);
        ceph.rbd(&["rm", "--no-progress", "rbd/first"]);
        Some(ceph)
    }

    /// Starts a server of CephFS, with one file system in pools of its own. False, with a word why,
    /// where this host cannot have one. Ready when it can be mounted.
    pub fn start_file_system(&mut self, test: &str) -> bool {
        let has = |program: &&str| Command::new(program).arg("--version").output().is_ok();
        if !["ceph-mds", "ceph-fuse"].iter().all(has) || !Path::new("/dev/fuse").exists() {
            missing(test, "it needs ceph-mds, ceph-fuse and /dev/fuse");
            return false;
        }
        for pool in ["fs.meta", "fs.data"] {
            self.ceph(&["osd", "pool", "create", pool, "8"]);
        }
        self.ceph(&["fs", "new", FILE_SYSTEM, "fs.meta", "fs.data"]);
        // What a client has that was killed is given to others after that; it is the shortest.
        self.ceph(&["fs", "set", FILE_SYSTEM, "session_timeout", "30"]);
        let caps = [
            "mon",
            "allow profile mds",
            "osd",
            "allow *",
            "mds",
            "allow *",
        ];
        let keyring = self.make_keyring("mds.m", &caps, "mds/keyring");
        self.daemon("ceph-mds", &["-i", "m", "--keyring", &keyring]);
        // Each question takes a while by itself.
        while !self.ceph(&["mds", "stat"]).contains("up:active") {}
        true
    }

    /// Where its monitor is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The file with the key of `USER`.
    pub fn keyring(&self) -> String {
        std::fs::read_to_string(self.path("keyring")).expect("a keyring")
    }

    /// What programs read to use it as its administrator.
    pub fn configuration(&self) -> PathBuf {
        self.path("ceph.conf")
    }

    /// A part of the pool for one case alone.
    pub fn make_namespace(&self, name: &str) {
        self.rbd(&["namespace", "create", &format!("{POOL}/{name}")]);
    }

    pub fn ceph(&self, args: &[&str]) -> String {
        self.run("ceph", args)
    }

    pub fn rbd(&self, args: &[&str]) -> String {
        self.run("rbd", args)
    }

    /// Stops all of it where it is; what it is asked then stays unanswered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        for (_, daemon) in &self.daemons {
            let pid = daemon.id().to_string();
            let sent = Command::new("kill").args(["-s", signal, &pid]).status();
            assert!(sent.expect("kill").success());
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write_configuration(&self) {
        let folder = self.folder.path().display();
        let address = &self.address;
        for name in ["mon", "mgr", "osd", "mds", "run"] {
            std::fs::create_dir(self.path(name)).expect("a folder");
        }
        let id = program("uuidgen", &[]);
        let content = format!(
            "[global]\nfsid = {id}\nmon_host = {address}\npublic_addr = {address}\n\
             keyring = {folder}/keyring\nmon_data = {folder}/mon\nmgr_data = {folder}/mgr\n\
             osd_data = {folder}/osd\nmds_data = {folder}/mds\nrun_dir = {folder}/run\n\
             admin_socket = {folder}/run/$name.$pid.asok\npid_file = {folder}/run/$name.pid\n\
             log_file = {folder}/run/$name.log\ncrash_dir = {folder}/run\n\
             osd_objectstore = bluestore\nbluestore_block_size = 2147483648\n\
             osd_memory_target = 939524096\nbluestore_cache_size = 67108864\n\
             osd_pool_default_size = 1\nosd_pool_default_min_size = 1\n\
             mon_allow_pool_size_one = true\nosd_crush_chooseleaf_type = 0\n\
             mon_data_avail_warn = 1\nmon_data_avail_crit = 1\nmon_allow_pool_delete = true\n\
             osd_pool_default_pg_autoscale_mode = off\n\
             paxos_propose_interval = 0.02\npaxos_min_wait = 0.01\n\
             [mon]\nsetuser = root\nsetgroup = root\n[mgr]\nsetuser = root\nsetgroup = root\n\
             [osd]\nsetuser = root\nsetgroup = root\n[mds]\nsetuser = root\nsetgroup = root\n"
        );
        std::fs::write(self.path("ceph.conf"), content).expect("a file");
    }

    fn start_monitor(&mut self) {
        let (admin, own, map) = (
            self.text("keyring"),
            self.text("mon.keyring"),
            self.text("map"),
        );
        let everything = ["mon", "osd", "mds", "mgr"];
        let caps = everything.iter().flat_map(|of| ["--cap", of, "allow *"]);
        let args: Vec<&str> = [
            "--create-keyring",
            &admin,
            "--gen-key",
            "-n",
            "client.admin",
        ]
        .into_iter()
        .chain(caps)
        .collect();
        program("ceph-authtool", &args);
        let args = [
            "--create-keyring",
            &own,
            "--gen-key",
            "-n",
            "mon.",
            "--cap",
            "mon",
            "allow *",
        ];
        program("ceph-authtool", &args);
        program("ceph-authtool", &[&own, "--import-keyring", &admin]);
        let at = format!("[v2:{0}:3300,v1:{0}:6789]", self.address);
        let id = self.configured("fsid");
        program(
            "monmaptool",
            &["--create", "--addv", "a", &at, "--fsid", &id, &map],
        );
        self.run(
            "ceph-mon",
            &["--mkfs", "-i", "a", "--monmap", &map, "--keyring", &own],
        );
        self.daemon("ceph-mon", &["-i", "a", "--keyring", &own]);
    }

    fn start_manager(&mut self) {
        let caps = [
            "mon",
            "allow profile mgr",
            "osd",
            "allow *",
            "mds",
            "allow *",
        ];
        let keyring = self.make_keyring("mgr.x", &caps, "mgr/keyring");
        self.daemon("ceph-mgr", &["-i", "x", "--keyring", &keyring]);
    }

    fn start_disk(&mut self) {
        let id = program("uuidgen", &[]);
        let key = program("ceph-authtool", &["--gen-print-key"]);
        let (secret, keyring) = (self.text("osd.json"), self.text("osd/keyring"));
        let content = format!("{{\"cephx_secret\": \"{key}\"}}");
        std::fs::write(&secret, content).expect("a file");
        self.ceph(&["osd", "new", &id, "-i", &secret]);
        let args = ["--create-keyring", &keyring, "-n", "osd.0", "-a", &key];
        program("ceph-authtool", &args);
        let args = ["-i", "0", "--keyring", &keyring];
        self.run(
            "ceph-osd",
            &[&args[..], &["--mkfs", "--osd-uuid", &id]].concat(),
        );
        self.daemon("ceph-osd", &args);
    }

    fn make_keyring(&self, user: &str, caps: &[&str], name: &str) -> String {
        let made = self.ceph(&[&["auth", "get-or-create", user], caps].concat());
        std::fs::write(self.path(name), format!("{made}\n")).expect("a file");
        self.text(name)
    }

    fn configured(&self, name: &str) -> String {
        let content = std::fs::read_to_string(self.path("ceph.conf")).expect("a file");
        let begin = format!("{name} = ");
        let line = content.lines().find_map(|line| line.strip_prefix(&begin));
        line.expect("a line").to_owned()
    }

    fn run(&self, name: &str, args: &[&str]) -> String {
        let conf = self.text("ceph.conf");
        program(name, &[args, &["-c", &conf]].concat())
    }

    fn daemon(&mut self, name: &str, args: &[&str]) {
        let daemon = Command::new(name)
            .args(args)
            .args(["-f", "-c", &self.text("ceph.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.daemons
            .push((name.to_owned(), daemon.expect("a daemon")));
    }
}

/// What a program printed, which must succeed.
fn program(name: &str, args: &[&str]) -> String {
    let output = Command::new(name).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
