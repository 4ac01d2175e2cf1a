//! Terraform or OpenTofu with the provider bpg/proxmox: it finds its resources as it created them,
//! and destroys them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Beside, PASSWORD, done, folder, node_with_admin, nothing_is_left};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, go, left_out, tiny_disk, until};

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

/// A working folder with the configuration, the provider and the files to upload.
struct Workspace {
    terraform: PathBuf,
    folder: tempfile::TempDir,
    endpoint: String,
}

impl Workspace {
    fn new(terraform: PathBuf, provider: &Path, disk: &Path, node: &TestNode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::copy(self::folder("bpg/main.tf"), at("main.tf")).unwrap();
        std::fs::copy(disk, at("tiny.qcow2")).unwrap();
        std::fs::write(at("mini.iso"), vec![0; 1 << 20]).unwrap();
        std::fs::create_dir(at("provider")).unwrap();
        let place = at("provider").join("terraform-provider-proxmox");
        std::os::unix::fs::symlink(provider, place).unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{ \"bpg/proxmox\" = \"{}\" }}\n  direct {{}}\n}}\n",
            at("provider").display()
        );
        std::fs::write(at("rc"), overrides).unwrap();
        let endpoint = format!("https://127.0.0.1:{}/", node.port);
        Self {
            terraform,
            folder,
            endpoint,
        }
    }

    async fn run(&self, args: &[&str]) -> String {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(&self.terraform);
        command
            .args(args)
            .arg("-no-color")
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", at("rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_VAR_endpoint", &self.endpoint)
            .env("TF_VAR_password", PASSWORD)
            .env(
                "TF_VAR_image_url",
                format!("http://127.0.0.1:{FILES_PORT}/tiny.qcow2"),
            )
            .env("TF_VAR_iso_path", at("mini.iso"));
        done(&mut command).await
    }
}

// covers: S1.27
#[test]
#[ignore = "thorough: it builds the provider"]
fn a_second_plan_is_empty_and_destroy_leaves_nothing() {
    if left_out("bpg's provider") {
        return;
    }
    let (Some(terraform), Some(provider)) = (terraform(), go::published(MODULE, VERSION, "bpg"))
    else {
        return;
    };
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = node_with_admin().await;
        let content =
            serde_json::json!({"storage": "local", "content": "images,iso,import,vztmpl,snippets"});
        node.call("storage_update", content).await.unwrap();
        let workspace = Workspace::new(terraform, &provider, &disk, &node);
        let mut files = Command::new("python3");
        files
            .args([
                "-m",
                "http.server",
                &FILES_PORT.to_string(),
                "--bind",
                "127.0.0.1",
            ])
            .current_dir(workspace.folder.path())
            .stderr(std::process::Stdio::null());
        let _files = Beside::start(&mut files);
        until("files are served", async || {
            std::net::TcpStream::connect(("127.0.0.1", FILES_PORT)).is_ok()
        })
        .await;
        workspace.run(&["apply", "-auto-approve"]).await;
        // 0 means that there is nothing to do; 2 would be a difference.
        workspace.run(&["plan", "-detailed-exitcode"]).await;
        workspace.run(&["destroy", "-auto-approve"]).await;
        nothing_is_left(&node);
    });
}
