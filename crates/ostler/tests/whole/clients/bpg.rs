//! Terraform or OpenTofu with the provider bpg/proxmox: it finds its resources as it created them,
//! and destroys them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{Beside, PASSWORD, done, folder, node_with_admin, nothing_is_left};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, go, left_out, tiny_disk, until};
use crate::lxc_life::template;

const MODULE: &str = "github.com/bpg/terraform-provider-proxmox";
const VERSION: &str = "v0.111.1";
/// For hosts without `tofu` and `terraform`.
const TOFU: (&str, &str) = ("github.com/opentofu/opentofu", "v1.12.6");
const FILES_PORT: u16 = 18080;

fn terraform() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let installed = ["tofu", "terraform"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.exists());
    installed.or_else(|| go::published(TOFU.0, TOFU.1, "tofu"))
}

/// Content that is served to the node, and its template of a container.
const IMAGE: &str = "tiny.qcow2";
const TEMPLATE: &str = "alpine-3.20-default_20240529_amd64.tar.gz";

/// A working folder with one of the configurations, the provider and the files to upload.
struct Workspace {
    terraform: PathBuf,
    folder: tempfile::TempDir,
    endpoint: String,
}

impl Workspace {
    fn new(configuration: &str, programs: Programs, node: &TestNode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let source = self::folder("bpg");
        let main = source.join(configuration).join("main.tf");
        std::fs::copy(source.join("provider.tf"), at("provider.tf")).unwrap();
        std::fs::copy(main, at("main.tf")).unwrap();
        std::fs::copy(programs.disk, at(IMAGE)).unwrap();
        std::fs::write(at("mini.iso"), vec![0; 1 << 20]).unwrap();
        std::fs::create_dir(at("provider")).unwrap();
        let place = at("provider").join("terraform-provider-proxmox");
        std::os::unix::fs::symlink(programs.provider, place).unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{ \"bpg/proxmox\" = \"{}\" }}\n  direct {{}}\n}}\n",
            at("provider").display()
        );
        std::fs::write(at("rc"), overrides).unwrap();
        let endpoint = format!("https://127.0.0.1:{}/", node.port);
        Self {
            terraform: programs.terraform,
            folder,
            endpoint,
        }
    }

    async fn run(&self, args: &[&str]) -> String {
        let at = |name: &str| self.folder.path().join(name);
        let image = format!("http://127.0.0.1:{FILES_PORT}/{IMAGE}");
        let mut command = Command::new(&self.terraform);
        command
            .args(args)
            .arg("-no-color")
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", at("rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_VAR_endpoint", &self.endpoint)
            .env("TF_VAR_password", PASSWORD)
            .env("TF_VAR_image_url", image)
            .env("TF_VAR_iso_path", at("mini.iso"))
            .env("TF_VAR_folder", self.folder.path())
            .env("TF_VAR_template", format!("local:vztmpl/{TEMPLATE}"));
        done(&mut command).await
    }

    /// Applies the configuration in both of its versions. Afterwards there is nothing to do: 0 says
    /// so, 2 would be a difference.
    async fn life(&self) {
        for later in ["later=false", "later=true"] {
            self.run(&["apply", "-auto-approve", "-var", later]).await;
            self.run(&["plan", "-detailed-exitcode", "-var", later])
                .await;
        }
        self.run(&["destroy", "-auto-approve", "-var", "later=true"])
            .await;
    }

    /// Serves its files to the node.
    async fn serve(&self) -> Beside {
        let port = FILES_PORT.to_string();
        let mut files = Command::new("python3");
        files
            .args(["-m", "http.server", &port, "--bind", "127.0.0.1"])
            .current_dir(self.folder.path())
            .stderr(std::process::Stdio::null());
        let files = Beside::start(&mut files);
        until("files are served", async || {
            std::net::TcpStream::connect(("127.0.0.1", FILES_PORT)).is_ok()
        })
        .await;
        files
    }
}

/// What is needed beside the node.
struct Programs {
    terraform: PathBuf,
    provider: PathBuf,
    disk: PathBuf,
}

impl Programs {
    /// None where a test is left out.
    fn find() -> Option<Self> {
        if left_out("bpg's provider") {
            return None;
        }
        Some(Self {
            terraform: terraform()?,
            provider: go::published(MODULE, VERSION, "bpg")?,
            disk: tiny_disk()?,
        })
    }
}

async fn lives(configuration: &str, programs: Programs) {
    let node = node_with_admin().await;
    let content =
        json!({"storage": "local", "content": "images,rootdir,iso,import,vztmpl,snippets"});
    node.call("storage_update", content).await.unwrap();
    let _template = template(&node, TEMPLATE);
    let workspace = Workspace::new(configuration, programs, &node);
    let _files = workspace.serve().await;
    workspace.life().await;
    nothing_is_left(&node);
}

// covers: S1.27
#[test]
#[ignore = "thorough: it builds the provider"]
fn machines_from_images_and_templates() {
    if let Some(programs) = Programs::find() {
        with_bridge(async { lives("machines", programs).await });
    }
}

/// Users, groups, rights, pools, storages of each type, options, mappings, and what can be read.
// covers: S1.27
#[test]
#[ignore = "thorough: it builds the provider"]
fn users_storages_and_options() {
    if let Some(programs) = Programs::find() {
        with_bridge(async { lives("cluster", programs).await });
    }
}

// covers: S1.27
#[test]
#[ignore = "thorough: it builds the provider"]
fn containers_and_machines_with_many_options() {
    if crate::lxc_life::is_left_out("bpg's containers") {
        return;
    }
    if let Some(programs) = Programs::find() {
        with_bridge(async { lives("guests", programs).await });
    }
}
