//! Several nodes, each in a network namespace of its own, connected by a bridge.
//!
//! ```text
//!   test 10.77.0.254 ── bridge ─┬─ 10.77.0.1  n1   api, agent, etcd
//!                               ├─ 10.77.0.2  n2
//!                               └─ 10.77.0.3  n3
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use node::membership::fingerprint_of;
use node::pki::fingerprint;
use serde_json::{Value, json};
use store::SharedStore;
use testkit::left_out::missing;

use super::namespace::{command_in, inside};
use super::session::root_session;
use super::witness::{TestWitness, WITNESS};
use super::{PROGRAM, TestNode, TestNodeOptions, left_out, put_guest_of, until};

/// Runs `work` in a network namespace with the bridge that connects the nodes.
pub fn with_cluster_bridge<F: Future<Output = ()>>(work: F) {
    let links = "ip link add cluster0 type bridge && ip link set cluster0 up && \
                 ip addr add 10.77.0.254/24 dev cluster0";
    inside(links, work);
}

/// etcd where its user may run it, which the build's cache need not be; none if there is no etcd.
pub fn etcd_program(folder: &Path) -> Option<PathBuf> {
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let program = folder.join("etcd");
    std::fs::copy(Path::new(&cache).join("etcd"), &program).ok()?;
    for (path, mode) in [(folder, 0o755), (&program, 0o755)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    Some(program)
}

/// A network namespace, which lives as long as its process.
pub(super) struct Namespace {
    number: usize,
    holder: Child,
}

impl Namespace {
    /// Makes namespace `number`, with its address and a bridge for guests.
    pub(super) fn new(number: usize) -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec sleep infinity"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut namespace = Self { number, holder };
        let mut ready = [0; 1];
        let out = namespace.holder.stdout.as_mut().unwrap();
        std::io::Read::read_exact(out, &mut ready).unwrap();
        let pid = namespace.pid();
        run(&format!(
            "ip link add v{number} type veth peer name eth0 netns {pid}"
        ));
        run(&format!("ip link set v{number} master cluster0 up"));
        for command in [
            "ip link set lo up".to_owned(),
            format!("ip addr add 10.77.0.{number}/24 dev eth0"),
            "ip link set eth0 up".to_owned(),
            "ip link add vmbr0 type bridge".to_owned(),
            "ip link set vmbr0 up".to_owned(),
            "ip link add vmbr1 type bridge".to_owned(),
            "ip link set vmbr1 up".to_owned(),
        ] {
            run(&format!("nsenter --target {pid} --net {command}"));
        }
        namespace
    }

    pub(super) fn pid(&self) -> u32 {
        self.holder.id()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // The namespace itself goes a little later.
        let link = format!("v{}", self.number);
        let _ = Command::new("ip").args(["link", "delete", &link]).status();
    }
}

fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Nodes `n1`, `n2`, … that may become a cluster.
pub struct TestCluster {
    pub nodes: Vec<TestNode>,
    /// Of a session of root@pam.
    pub root_ticket: String,
    namespaces: Vec<Namespace>,
    etcd: tempfile::TempDir,
}

impl TestCluster {
    /// Starts so many nodes on their own; none if that is not possible here. The first one has a guest
    /// 100 that does nothing.
    pub async fn start(nodes: usize) -> Option<Self> {
        let test = "a cluster of nodes";
        if left_out(test) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let Some(etcd) = etcd_program(folder.path()) else {
            missing(test, "there is no etcd in the cache of ./x");
            return None;
        };
        let namespaces: Vec<Namespace> = (1..=nodes).map(Namespace::new).collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            root_ticket: String::new(),
            namespaces,
            etcd: folder,
        };
        for number in 1..=nodes {
            let mut root_ticket = String::new();
            let node = cluster.launch(&etcd, number, &mut root_ticket).await;
            cluster.nodes.push(node);
            if number == 1 {
                cluster.root_ticket = root_ticket;
            }
        }
        Some(cluster)
    }

    async fn launch(&self, etcd: &Path, number: usize, root_ticket: &mut String) -> TestNode {
        let settings = format!(
            "etcd = {:?}\netcd-user = \"daemon\"\nagent-address = \"10.77.0.{number}:8009\"",
            etcd.display().to_string()
        );
        let name = format!("n{number}");
        let options = TestNodeOptions {
            name: &name,
            settings: &settings,
            listen: Some("[::]:8006"),
            namespace: Some(self.namespaces[number - 1].pid()),
        };
        let guest = [
            ("memory", "32".into()),
            ("kvm", 0.into()),
            ("vga", "none".into()),
        ];
        let seed = async |store: &SharedStore| {
            if number == 1 {
                put_guest_of(store, &name, 100, &guest).await;
                *root_ticket = root_session(store).await.0;
            }
        };
        TestNode::launch(options, seed).await
    }

    /// Makes a cluster `lab` of all nodes, and waits until it has all of its votes.
    pub async fn form(&self) {
        self.form_of(self.nodes.len()).await;
        self.votes(node::membership::wanted_votes(self.nodes.len(), false) as u64)
            .await;
    }

    /// Makes a cluster `lab` of the first nodes.
    pub async fn form_of(&self, count: usize) {
        let created = json!({"clustername": "lab", "link0": "10.77.0.1"});
        assert_eq!(self.nodes[0].task("cluster_create", created).await, "OK");
        for number in 2..=count {
            assert_eq!(self.join(number).await, "OK");
        }
    }

    /// Joins node `number` to the cluster of the first one.
    pub async fn join(&self, number: usize) -> String {
        let join = self.invitation(number).await;
        let joined = self.nodes[number - 1].task("cluster_join", join).await;
        self.serves_its_certificate(number).await;
        joined
    }

    /// Waits until the API of a node is there with the certificate that is in its file: after a join
    /// it starts again with another one.
    async fn serves_its_certificate(&self, number: usize) {
        let file = self.nodes[number - 1]
            .root
            .join("var/lib/ostler/api/chain.pem");
        until("the API serves its certificate", async || {
            let known = std::fs::read_to_string(&file).unwrap_or_default();
            let served = fingerprint_of(&format!("10.77.0.{number}")).await;
            fingerprint(&known).is_ok_and(|known| served.is_ok_and(|served| served == known))
        })
        .await;
    }

    /// The parameters with which node `number` joins the cluster of the first one.
    pub async fn invitation(&self, number: usize) -> Value {
        let invited = self.nodes[0]
            .call("cluster_invite", json!({}))
            .await
            .unwrap();
        json!({
            "hostname": invited.data["hostname"],
            "fingerprint": invited.data["fingerprint"],
            "password": invited.data["token"],
            "link0": format!("10.77.0.{number}"),
        })
    }

    /// Waits until all nodes of a cluster see so many votes.
    pub async fn votes(&self, wanted: u64) {
        for node in &self.nodes {
            until(&format!("{} sees {wanted} votes", node.name), async || {
                let nodes = node.call("cluster_config_nodes", json!({})).await;
                nodes.is_ok_and(|nodes| votes(&nodes.data) == wanted)
            })
            .await;
        }
    }

    /// Runs a command of the program in a node's network; returns all that it prints.
    pub fn command(&self, number: usize, words: &[&str], input: &str) -> String {
        let node = &self.nodes[number - 1];
        let mut child = command_in(self.namespace(number), PROGRAM.as_ref())
            .args(words)
            .env("OSTLER_ROOT", &node.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Runs a command that asks for nothing.
    pub fn run(&self, number: usize, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        self.command(number, &words, "")
    }

    /// A process in the network namespace of a node.
    pub fn namespace(&self, number: usize) -> u32 {
        self.namespaces[number - 1].pid()
    }

    /// Cuts a node or the witness off from the others.
    pub fn cut(&self, number: usize) {
        run(&format!("ip link set v{number} nomaster"));
    }

    pub fn heal(&self, number: usize) {
        run(&format!("ip link set v{number} master cluster0"));
    }

    /// A machine beside the nodes that may become their witness.
    pub fn witness(&self) -> TestWitness {
        self.witness_at(WITNESS)
    }

    /// The same, with another address.
    pub fn witness_at(&self, number: usize) -> TestWitness {
        TestWitness::new(self.etcd.path(), number)
    }
}

fn votes(nodes: &Value) -> u64 {
    let votes = nodes.as_array().unwrap().iter();
    let votes = votes.map(|node| {
        node["quorum_votes"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    });
    votes.sum()
}

/// A change of the cluster's state, asked for at a node.
pub async fn describe(node: &TestNode, text: &str) -> Result<(), model::Error> {
    let change = json!({"description": text});
    node.call("cluster_options_update", change).await.map(drop)
}

pub async fn description(node: &TestNode) -> String {
    let options = node.call("cluster_options", json!({})).await.unwrap().data;
    options["description"].as_str().unwrap().trim().to_owned()
}
