//! Containers of OCI images: made here, and pulled from a registry on loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use testkit::left_out::missing;
use testkit::oci::{OciLayer, Tar, oci_archive};

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, until};
use crate::lxc_life::{created, give_bridge_an_address, inside, is_left_out, log_of};

/// Where the program of the image serves its page, as a user without rights.
const PORT: u16 = 8080;

fn page() -> String {
    let url = format!("http://10.9.0.2:{PORT}/");
    let got = Command::new("curl")
        .args(["-s", "-m", "2", &url])
        .output()
        .unwrap();
    String::from_utf8_lossy(&got.stdout).into_owned()
}

/// A server of pages that ends at the signal: what is the first process ends at none that it does not
/// ask for.
fn serve() -> String {
    format!("trap 'exit 0' TERM; httpd -f -p {PORT} -h /srv & wait")
}

/// Two layers: the second takes a file of the first away.
fn image() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let mut lower = Tar::default()
        .folder("bin/")
        .file("bin/busybox", busybox)
        .folder("proc/")
        .folder("sys/")
        .folder("dev/")
        .folder("etc/")
        .file(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n",
        )
        .file("etc/group", "app:x:1001:\nextra:x:44:app\n")
        .file("etc/gone", "the next layer takes it away")
        .file("srv/index.html", "the page of the first layer\n")
        .member("dev/null", b'3', "", b"");
    for applet in [
        "cat", "httpd", "id", "ip", "ls", "readlink", "sh", "stat", "tr",
    ] {
        lower = lower.link(&format!("bin/{applet}"), "busybox");
    }
    let upper = Tar::default()
        .file("etc/.wh.gone", "")
        .file("srv/index.html", "the page of the second layer\n");
    let config = json!({
        "Entrypoint": ["sh", "-c", serve()], "Cmd": ["two words"],
        "Env": ["PATH=/bin", "GREETING=hello world"],
        "User": "app", "WorkingDir": "/srv", "Volumes": {"/data": {}},
    });
    oci_archive(&config, &[OciLayer::gzipped(lower), OciLayer::plain(upper)])
}

fn cache(node: &TestNode) -> PathBuf {
    let folder = node.root.join("var/lib/vz/template/cache");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn creation(template: &str) -> Value {
    json!({
        "node": "pve1", "vmid": 100, "ostemplate": format!("local:vztmpl/{template}"),
        "storage": "local", "memory": 64, "swap": 0, "rootfs": "local:0.05",
        "net0": "name=eth0,bridge=vmbr0,ip=10.9.0.2/24,gw=10.9.0.1",
    })
}

/// It runs what its image says, as whom and where that says.
async fn runs(node: &TestNode) {
    let power = json!({"node": "pve1", "vmid": 100});
    let started = node.task("lxc_start", power.clone()).await;
    if started != "OK" {
        let folder = node.root.join("run/ostler/guests");
        for file in ["100/config", "100/lxc.log", "100.log"] {
            println!(
                "{}",
                std::fs::read_to_string(folder.join(file)).unwrap_or_default()
            );
        }
    }
    assert_eq!(started, "OK");
    until("the page is served", async || {
        page().contains("second layer")
    })
    .await;
    let words = inside(node, 100, &["sh", "-c", "tr '\\0' '|' < /proc/1/cmdline"]);
    assert_eq!(words, format!("sh|-c|{}|two words|", serve()));
    let environment = inside(node, 100, &["sh", "-c", "tr '\\0' '\\n' < /proc/1/environ"]);
    assert!(
        environment
            .lines()
            .any(|line| line == "GREETING=hello world"),
        "{environment}"
    );
    let status = inside(node, 100, &["cat", "/proc/1/status"]);
    let ids = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // LXC 5 gives groups beside the first to privileged containers only.
    assert_eq!((ids("Uid:"), ids("Gid:")), ("1000".into(), "1001".into()));
    assert_eq!(inside(node, 100, &["readlink", "/proc/1/cwd"]), "/srv\n");
    let gone = inside(node, 100, &["ls", "/etc/gone"]);
    assert!(gone.contains("No such file"), "{gone}");
    assert_eq!(
        inside(node, 100, &["stat", "-c", "%u %F", "/data"]),
        "0 directory\n"
    );
    assert!(inside(node, 100, &["ip", "address"]).contains("127.0.0.1"));
    // Its signal ends it, without force.
    let ended = node
        .task(
            "lxc_shutdown",
            json!({"node": "pve1", "vmid": 100, "timeout": 20}),
        )
        .await;
    assert_eq!(ended, "OK");
}

// covers: S2.49
#[test]
fn an_image_becomes_a_container() {
    if is_left_out("an image becomes a container") {
        return;
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        std::fs::write(cache(&node).join("app.tar"), image()).unwrap();
        let upid = node
            .call("lxc_create", creation("app.tar"))
            .await
            .unwrap()
            .data;
        let upid = upid.as_str().unwrap();
        let ended = node.ended(upid).await;
        let log = log_of(&node, upid).await;
        assert_eq!(ended, "OK", "{log}");
        assert!(log.contains("Detected OCI archive"), "{log}");
        let config = json!({"node": "pve1", "vmid": 100});
        let config = node.call("lxc_config", config).await.unwrap().data;
        let script = serve().replace('\'', r#"'"'"'"#);
        let expected = format!("sh -c '{script}' 'two words'");
        assert_eq!(config["entrypoint"], expected);
        assert_eq!(config["env"], "PATH=/bin\0GREETING=hello world");
        assert_eq!(
            (&config["cmode"], &config["ostype"]),
            (&json!("console"), &json!("unmanaged"))
        );
        assert!(
            config["net0"].as_str().unwrap().contains("host-managed=1"),
            "{config}"
        );
        let keys = json!([
            ["lxc.init.uid", "1000"],
            ["lxc.init.gid", "1001"],
            ["lxc.init.groups", "44"],
            ["lxc.init.cwd", "/srv"],
            ["lxc.signal.halt", "SIGTERM"],
        ]);
        assert_eq!(config["lxc"], keys);
        runs(&node).await;
        refuses_what_is_wrong(&node).await;
    });
}

/// What is left of guests and their volumes.
fn guests_left(node: &TestNode) -> Vec<String> {
    let entries = std::fs::read_dir(node.root.join("var/lib/vz/images")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Nothing is left of what fails, and the host is not touched.
async fn refuses_what_is_wrong(node: &TestNode) {
    let before = guests_left(node);
    let layer = |tar: Tar| OciLayer::gzipped(tar);
    let whole = layer(Tar::default().file("a", "b"));
    let wrong = OciLayer {
        diff_id: testkit::oci::digest_of(b"other"),
        ..whole.clone()
    };
    let bomb = layer(Tar::default().file("bomb", vec![0; 64 << 20]));
    let climbs = layer(Tar::default().file("../../climbed", "x"));
    let host = node.root.join("host");
    std::fs::create_dir(&host).unwrap();
    let path = host.display().to_string();
    // A link to a folder of the host, then a file and a whiteout through it.
    let leads = layer(Tar::default().link("out", &path).file("out/file", "x"));
    let upward = layer(Tar::default().file("etc/.wh...", ""));
    for (name, layer, why) in [
        ("wrong", wrong, "has another digest"),
        (
            "bomb",
            bomb,
            "there is no space left on the container's file systems",
        ),
        ("climbs", climbs, "the path '../../climbed' leads out of it"),
        ("leads", leads, "cannot write 'out/file'"),
        ("upward", upward, "takes away what is not below it"),
    ] {
        let file = format!("{name}.tar");
        let archive = oci_archive(&json!({"Cmd": ["/bin/x"]}), &[whole.clone(), layer]);
        std::fs::write(cache(node).join(&file), archive).unwrap();
        let mut params = creation(&file);
        params["vmid"] = 101.into();
        let ended = created(node, params).await;
        assert!(ended.starts_with("unable to create CT 101 - "), "{ended}");
        assert!(ended.contains(why), "{name}: {ended}");
        assert_eq!(guests_left(node), before, "{name}");
        let there = node
            .call("lxc_config", json!({"node": "pve1", "vmid": 101}))
            .await;
        assert!(there.is_err(), "{name} left a container");
    }
    assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0);
    assert!(!Path::new("/climbed").exists() && !node.root.join("climbed").exists());
}

/// Debian's registry, on a port of the test's own network namespace.
struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const REGISTRY: &str = "127.0.0.1:5000";

impl Registry {
    async fn start(folder: &Path) -> Self {
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {REGISTRY}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let registry = Self(registry.unwrap());
        until("the registry answers", async || {
            std::net::TcpStream::connect(REGISTRY).is_ok()
        })
        .await;
        registry
    }
}

fn push(archive: &Path, name: &str) {
    let pushed = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
        .arg(format!("oci-archive:{}", archive.display()))
        .arg(format!("docker://{REGISTRY}/{name}"))
        .output()
        .unwrap();
    assert!(
        pushed.status.success(),
        "{}",
        String::from_utf8_lossy(&pushed.stderr)
    );
}

fn files_of(node: &TestNode) -> Vec<String> {
    let listed = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path().display().to_string())
    };
    let storage = node.root.join("var/lib/vz");
    let arriving = listed(storage.join(".arriving"));
    listed(cache(node)).chain(arriving).collect()
}

// covers: S2.49
#[test]
fn an_image_is_pulled() {
    if is_left_out("an image is pulled") {
        return;
    }
    for program in ["/usr/bin/skopeo", "/usr/bin/docker-registry"] {
        if !Path::new(program).exists() {
            missing(
                "an image is pulled",
                format!("{program} is not installed").as_str(),
            );
            return;
        }
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        let folder = tempfile::tempdir().unwrap();
        let _registry = Registry::start(folder.path()).await;
        let archive = folder.path().join("app.tar");
        std::fs::write(&archive, image()).unwrap();
        push(&archive, "team/app:1.0");
        push(&archive, "team/app:2.0");
        let before = files_of(&node);
        let reference = format!("{REGISTRY}/team/app");
        let pull = json!({
            "node": "pve1", "storage": "local", "reference": format!("{reference}:1.0"),
        });
        // Without a word of the administrator it is spoken to by TLS only.
        let ended = node.task("volume_pull", pull.clone()).await;
        assert!(
            ended.contains("server gave HTTP response to HTTPS client"),
            "{ended}"
        );
        assert_eq!(files_of(&node), before);
        let containers = node.root.join("etc/containers");
        std::fs::create_dir_all(&containers).unwrap();
        let text = format!("[[registry]]\nlocation = \"{REGISTRY}\"\ninsecure = true\n");
        std::fs::write(containers.join("registries.conf"), text).unwrap();

        let query = json!({"node": "pve1", "reference": reference});
        let tags = node.call("query_oci_repo_tags", query).await.unwrap().data;
        let mut tags: Vec<String> = serde_json::from_value(tags).unwrap();
        tags.sort();
        assert_eq!(tags, ["1.0", "2.0"]);

        let upid = node.call("volume_pull", pull.clone()).await.unwrap().data;
        let upid = upid.as_str().unwrap();
        assert!(upid.contains(":ociregistrypull:"), "{upid}");
        let ended = node.ended(upid).await;
        let log = log_of(&node, upid).await;
        assert_eq!(ended, "OK", "{log}");
        assert!(log.contains("Copying blob"), "{log}");
        let file = cache(&node).join("app_1.0.tar");
        let mut expected = before.clone();
        expected.push(file.display().to_string());
        assert_eq!(files_of(&node), expected);

        let again = node.task("volume_pull", pull.clone()).await;
        let refused = format!("refusing to override existing file '{}'", file.display());
        assert_eq!(again, refused);
        let mut other = pull.clone();
        other["reference"] = format!("{reference}:9.9").into();
        let unknown = node.task("volume_pull", other).await;
        assert!(unknown.contains("manifest unknown"), "{unknown}");
        assert_eq!(files_of(&node), expected);

        assert_eq!(created(&node, creation("app_1.0.tar")).await, "OK");
        runs(&node).await;
    });
}
