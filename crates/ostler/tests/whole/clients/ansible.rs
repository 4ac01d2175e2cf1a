//! Third-party clients: Ansible's modules of the collection `community.proxmox`, as published, with
//! a real node.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{PASSWORD, make_admin, nothing_is_left};
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::namespace::{command_in, with_bridge};
use crate::harness::python::python_with;
use crate::harness::session::root_session;
use crate::harness::{TestNode, left_out, tiny_disk, until};
use serde_json::{Value, json};

/// The packages for the playbooks; versions are pinned so that a test stays the same. The
/// collection is version 1.4.0 in this `ansible`.
const PACKAGES: [&str; 4] = [
    "ansible==12.3.0",
    "ansible-core==2.19.14",
    "proxmoxer==2.3.0",
    "requests==2.34.2",
];

/// The users of the node: each has a machine and objects of its own.
const HOSTS: [(&str, u32); 2] = [("password", 201), ("token", 202)];

fn run_ansible(mut python: Command, args: &[String], folder: &Path) -> Output {
    python
        .args(["-m", "ansible"])
        .args(args)
        .current_dir(folder)
        // For requests, these variables override the setting that disables verification.
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_HOME", folder)
        .env("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")
        .env("ANSIBLE_PIPELINING", "1")
        .env("ANSIBLE_DEPRECATION_WARNINGS", "0")
        .env("ANSIBLE_HOST_PATTERN_MISMATCH", "error")
        .env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "1")
        .output()
        .unwrap()
}

fn python() -> Option<PathBuf> {
    let imports = "ansible_collections.community.proxmox, proxmoxer, requests";
    python_with(&PACKAGES, imports)
}

/// A node that owns the machines, the node that Ansible speaks to, and the folder with its files.
struct Scene<'a> {
    owner: &'a TestNode,
    members: Vec<&'a str>,
    port: u16,
    /// Where Ansible runs; none: where the test does.
    namespace: Option<u32>,
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl<'a> Scene<'a> {
    /// Ansible speaks to the owner.
    async fn of(node: &'a TestNode, root_ticket: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self {
            owner: node,
            members: vec![&node.name],
            port: node.port,
            namespace: None,
            python: python()?,
            folder,
        };
        scene.prepare(root_ticket).await
    }

    /// Ansible speaks to the second node, which owns nothing.
    async fn of_cluster(cluster: &'a TestCluster) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self {
            owner: &cluster.nodes[0],
            members: cluster.nodes.iter().map(|node| &*node.name).collect(),
            port: 8006,
            namespace: Some(cluster.namespace(2)),
            python: python()?,
            folder,
        };
        scene.prepare(&cluster.root_ticket).await
    }

    async fn prepare(self, root_ticket: &str) -> Option<Self> {
        let disk = tiny_disk()?;
        make_admin(self.owner).await;
        let token = json!({"userid": "admin@pve", "tokenid": "deploy", "privsep": 0});
        let token = self.owner.call("token_create", token).await.unwrap().data;
        let folder = &self.folder;
        for (name, _) in HOSTS {
            let medium = folder.path().join(format!("medium-{name}.iso"));
            std::fs::write(medium, b"an image of nothing".repeat(1000)).unwrap();
            let copy = folder.path().join(format!("tiny-{name}.qcow2"));
            std::fs::copy(&disk, copy).unwrap();
        }
        self.configure(root_ticket, token["value"].as_str().unwrap());
        Some(self)
    }

    /// Writes the static inventory, and one for the inventory plugin for each way to log in.
    fn configure(&self, root_ticket: &str, secret: &str) {
        let credentials = [
            json!({"api_password": PASSWORD}),
            json!({"api_token_id": "deploy", "api_token_secret": secret}),
        ];
        let plugin = [
            json!({"password": PASSWORD}),
            json!({"token_id": "deploy", "token_secret": secret}),
        ];
        let mut hosts = json!({});
        for (at, (name, vmid)) in HOSTS.into_iter().enumerate() {
            let mut host = credentials[at].clone();
            host["mine"] = name.into();
            host["vmid"] = vmid.into();
            hosts[format!("by_{name}")] = host;
            let mut source = plugin[at].clone();
            source["plugin"] = "community.proxmox.proxmox".into();
            source["url"] = format!("https://127.0.0.1:{}", self.port).into();
            source["user"] = "admin@pve".into();
            source["validate_certs"] = false.into();
            source["want_facts"] = true.into();
            source["qemu_extended_statuses"] = true.into();
            source["keyed_groups"] = json!([{"key": "proxmox_tags_parsed", "prefix": "tag"}]);
            self.write(&format!("{name}.proxmox.yml"), &source);
        }
        let vars = json!({
            "ansible_connection": "local",
            "ansible_python_interpreter": self.python,
            "api_port": self.port,
            "owner": self.owner.name,
            "members": self.members,
            "api_user": "admin@pve",
            "root_ticket": root_ticket,
            "folder": self.folder.path(),
        });
        self.write("hosts.yml", &json!({"all": {"hosts": hosts, "vars": vars}}));
    }

    /// JSON is YAML. Only the test's user reads it: secrets are in it.
    fn write(&self, name: &str, content: &Value) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    async fn ansible(&self, args: &[&str]) -> Value {
        let python = match self.namespace {
            Some(namespace) => command_in(namespace, &self.python),
            None => Command::new(&self.python),
        };
        let folder = self.folder.path().to_owned();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let work = move || run_ansible(python, &args, &folder);
        let output = tokio::task::spawn_blocking(work).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_str(&said).unwrap_or_else(|_| {
            panic!("{said}{complaints}");
        });
        if !output.status.success() {
            failures(&answer);
            let errors = json!({"node": self.owner.name, "errors": 1});
            let tasks = self.owner.call("task_list", errors).await.unwrap().data;
            println!("tasks that failed: {tasks:#}");
            panic!("Ansible failed: {complaints}");
        }
        answer
    }

    /// Runs a playbook, and checks of every module whether it reports a change.
    async fn play(&self, playbook: &str, changed: bool) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/ansible");
        let path = folder.join(playbook).display().to_string();
        let answer = self.ansible(&["playbook", "-i", "hosts.yml", &path]).await;
        let mut modules = 0;
        for (task, host, result) in results(&answer) {
            let action = result["action"].as_str().unwrap();
            let Some(module) = action.strip_prefix("community.proxmox.proxmox_") else {
                continue;
            };
            let again = task["name"].as_str().unwrap() == "again";
            let only_reads = module.ends_with("_info")
                || result["invocation"]["module_args"]["state"] == "current";
            let expected = changed && !again && !only_reads;
            assert_eq!(
                result["changed"], expected,
                "{playbook}, {host}: {module} {result:#}"
            );
            modules += 1;
        }
        assert!(modules > 0, "{playbook} calls no modules");
        println!("{playbook}: {modules} calls of modules");
    }
}

/// Each task's result on each host.
fn results(answer: &Value) -> impl Iterator<Item = (&Value, &str, &Value)> {
    let plays = answer["plays"].as_array().unwrap().iter();
    plays
        .flat_map(|play| play["tasks"].as_array().unwrap())
        .flat_map(|task| {
            let hosts = task["hosts"].as_object().unwrap().iter();
            hosts.map(|(host, result)| (&task["task"], host.as_str(), result))
        })
}

fn failures(answer: &Value) {
    for (task, host, result) in results(answer) {
        if result["failed"] == true {
            let (path, says) = (&task["path"], &result["msg"]);
            println!("{host}: {path}: {says} {}", result["assertion"]);
        }
    }
}

/// The state that must be the same before and after.
async fn inventory_of(node: &TestNode) -> Vec<Value> {
    let mut all = Vec::new();
    for (op, params) in [
        ("user_list", json!({})),
        ("group_list", json!({})),
        ("acl_list", json!({})),
        ("pool_list", json!({})),
        ("storage_list", json!({})),
        (
            "volume_list",
            json!({"node": node.name, "storage": "local"}),
        ),
    ] {
        all.push(node.call(op, params).await.unwrap().data);
    }
    all
}

/// A fact without Ansible's marks on untrusted values.
fn plain(fact: &Value) -> Value {
    match fact {
        Value::Object(fields) => match fields.get("__ansible_unsafe") {
            Some(text) => text.clone(),
            None => fields
                .iter()
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Waits until the guests have booted.
async fn booted(node: &TestNode) {
    for (_, vmid) in HOSTS {
        let machine = json!({"node": node.name, "vmid": vmid});
        until("the guest agent answers", async || {
            node.call("agent_ping", machine.clone()).await.is_ok()
        })
        .await;
    }
}

/// The inventory plugin, by password and by token: hosts, groups and facts.
async fn plugin(scene: &Scene<'_>) {
    for (name, _) in HOSTS {
        let source = format!("{name}.proxmox.yml");
        let list = scene.ansible(&["inventory", "-i", &source, "--list"]).await;
        let members = |group: &str| list[group]["hosts"].as_array().cloned().unwrap_or_default();
        let mut names = members("proxmox_all_running");
        names.sort_by_key(Value::to_string);
        assert_eq!(names, ["web-password", "web-token"], "{list:#}");
        assert_eq!(members("proxmox_nodes"), scene.members);
        for (other, vmid) in HOSTS {
            let machine = format!("web-{other}");
            assert_eq!(
                members(&format!("proxmox_pool_pool_{other}")),
                [machine.as_str()]
            );
            assert_eq!(members(&format!("tag_{other}")), [machine.as_str()]);
            let facts = &list["_meta"]["hostvars"][&machine];
            let fact = |key: &str| plain(&facts[&format!("proxmox_{key}")]);
            assert_eq!(fact("vmid"), vmid, "{facts:#}");
            assert_eq!(fact("qmpstatus"), "running");
            assert_eq!(fact("ciuser"), "operator");
            assert_eq!(fact("net0")["bridge"], "vmbr0");
            let interfaces = fact("agent_interfaces");
            let found = interfaces.as_array().unwrap().iter().any(|interface| {
                interface["mac-address"].as_str().unwrap().to_uppercase() == fact("net0")["virtio"]
            });
            assert!(found, "{interfaces:#}");
        }
    }
}

// covers: S1.27
#[test]
#[ignore = "thorough: it plays for minutes"]
fn ansible_does_what_it_does_with_proxmox_ve() {
    if left_out("Ansible") {
        return;
    }
    // Fetches what is needed while there still is a network.
    if python().is_none() || tiny_disk().is_none() {
        return;
    }
    with_bridge(async {
        let mut root_ticket = String::new();
        let node = TestNode::start(async |store| root_ticket = root_session(store).await.0).await;
        play_all(Scene::of(&node, &root_ticket).await.unwrap()).await;
    });
}

// covers: S0.1 S1.27 S2.1
#[test]
#[ignore = "thorough: it plays for minutes"]
fn ansible_does_the_same_at_another_node() {
    if left_out("Ansible at another node") || python().is_none() || tiny_disk().is_none() {
        return;
    }
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(2).await else {
            return;
        };
        cluster.form().await;
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(cluster.nodes[0].task("qemu_destroy", guest).await, "OK");
        until("the link is there", async || {
            let status = json!({"node": "n1"});
            cluster.nodes[1].call("node_status", status).await.is_ok()
        })
        .await;
        play_all(Scene::of_cluster(&cluster).await.unwrap()).await;
    });
}

async fn play_all(scene: Scene<'_>) {
    let node = scene.owner;
    let before = inventory_of(node).await;
    scene.play("make.yml", true).await;
    scene.play("make.yml", false).await;
    booted(node).await;
    plugin(&scene).await;
    scene.play("use.yml", true).await;
    // It ended with a reset, and nothing can be unplugged from a guest that boots.
    booted(node).await;
    scene.play("strip.yml", true).await;
    scene.play("strip.yml", false).await;
    scene.play("snap.yml", true).await;
    scene.play("unmake.yml", true).await;
    scene.play("unmake.yml", false).await;
    assert_eq!(inventory_of(node).await, before);
    nothing_is_left(node);
}
