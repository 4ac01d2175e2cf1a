//! The files of cloud-init, which a guest reads at its first boot. Pure functions.
//!
//! ```text
//!   VmConfig · the node's resolv.conf · snippets ──Source::render──► Seed ──files──► a medium
//!                                                                     │
//!                             user · network · meta · vendor ◄────────┘  can be dumped
//! ```
//!
//! Two layouts: NoCloud (label `cidata`) and OpenStack's config drive (label `config-2`). Their
//! content is what Proxmox VE writes, so images made for it find the files that they expect.
//!
//! **Invariants:** the same configuration gives the same files. The instance id is a hash of them,
//! so a guest repeats its first-boot work exactly when something has changed. A user's text cannot
//! end the line or the scalar that contains it.

mod dns;
mod eni;
mod network;
mod user;
mod yaml;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use model::VmId;
use model::qemu::CloudInitType;
use model::text::hex;
use serde_json::{Map, Value, json};

use crate::qemu::VmConfig;
pub use dns::Dns;

/// The maximum size of all files together: the medium has 4 MiB, of which the file system takes
/// some.
const CONTENT_BYTES_MAX: usize = 3 << 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudInitError {
    #[error("Cloud-Init sum of snippets too big (> 3 MiB)")]
    TooBig,
}

/// The content of the administrator's own files (`cicustom`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custom {
    pub meta: Option<String>,
    pub network: Option<String>,
    pub user: Option<String>,
    pub vendor: Option<String>,
}

/// All inputs of the files.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub vmid: VmId,
    pub config: &'a VmConfig,
    /// The node's own DNS settings, for guests without any.
    pub dns: &'a Dns,
    pub custom: Custom,
}

/// The content of the medium.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    kind: CloudInitType,
    pub user: String,
    pub network: String,
    pub meta: String,
    pub vendor: String,
}

impl std::fmt::Debug for Seed {
    /// Leaves out the content, which contains a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// One file of the medium.
#[derive(Clone, PartialEq, Eq)]
pub struct SeedFile {
    /// Relative to the medium's root.
    pub path: &'static str,
    pub content: String,
}

impl Source<'_> {
    pub fn render(self) -> Result<Seed, CloudInitError> {
        let kind = self.kind();
        let user = match &self.custom.user {
            Some(own) => own.clone(),
            None => user::user_data(&self),
        };
        let network = match (&self.custom.network, kind) {
            (Some(own), _) => own.clone(),
            (None, CloudInitType::NoCloud) => network::version_1(&self),
            (None, CloudInitType::ConfigDrive2) => eni::interfaces(&self),
        };
        let meta = match (&self.custom.meta, kind) {
            (Some(own), _) => own.clone(),
            (None, CloudInitType::NoCloud) => {
                format!("instance-id: {}\n", instance_id(&user, &network))
            }
            (None, CloudInitType::ConfigDrive2) => self.config_drive_meta(&user, &network),
        };
        let vendor = self.custom.vendor.unwrap_or_default();
        let all = [&user, &network, &meta, &vendor];
        if all.iter().map(|text| text.len()).sum::<usize>() > CONTENT_BYTES_MAX {
            return Err(CloudInitError::TooBig);
        }
        Ok(Seed {
            kind,
            user,
            network,
            meta,
            vendor,
        })
    }

    /// For Windows the config drive is the default, which its agents support best.
    fn kind(&self) -> CloudInitType {
        let by_system = if self.config.is_windows() {
            CloudInitType::ConfigDrive2
        } else {
            CloudInitType::NoCloud
        };
        self.config.cloud_init.kind.unwrap_or(by_system)
    }

    /// The host name, and the full one if a domain is known.
    fn names(&self) -> (String, Option<String>) {
        let name = self.config.name.clone();
        let name = name.unwrap_or_else(|| format!("VM{}", self.vmid));
        if let Some((host, _)) = name.split_once('.') {
            return (host.to_owned(), Some(name));
        }
        let domains = self.config.cloud_init.search_domains.as_ref();
        let domain = domains.and_then(|domains| domains.first());
        let full = domain.map(|domain| format!("{name}.{domain}"));
        (name, full)
    }

    /// The guest's name servers and search domains.
    fn resolvers(&self) -> (&[String], &[String]) {
        let told = &self.config.cloud_init;
        let servers = told.nameservers.as_ref().unwrap_or(&self.dns.servers);
        let domains = told.search_domains.as_ref().unwrap_or(&self.dns.search);
        (servers, domains)
    }

    fn config_drive_meta(&self, user: &str, network: &str) -> String {
        let mut meta = Map::new();
        let cloud_init = &self.config.cloud_init;
        if self.config.is_windows() {
            // The agent for Windows reads these here; other systems have them in the user data.
            meta.insert("hostname".to_owned(), self.names().0.into());
            if let Some(password) = &cloud_init.password {
                meta.insert("admin_pass".to_owned(), password.as_str().into());
            }
            let keys = (0..).zip(&cloud_init.keys);
            let keys: Map<String, Value> = keys
                .map(|(number, key)| (format!("key-{number}"), key.as_str().into()))
                .collect();
            if !keys.is_empty() {
                meta.insert("public_keys".to_owned(), keys.into());
            }
        }
        let of = format!("{network}{}", Value::Object(meta.clone()));
        meta.insert("uuid".to_owned(), instance_id(user, &of).into());
        let network = json!({"content_path": "/content/0000"});
        meta.insert("network_config".to_owned(), network);
        format!("{:#}\n", Value::Object(meta))
    }
}

/// Vendor data in the form of a config drive. cloud-init rejects the whole drive if this is not
/// JSON, so a text of another kind is wrapped in the key that cloud-init reads.
fn vendor_json(text: &str) -> String {
    if serde_json::from_str::<Value>(text).is_ok() {
        text.to_owned()
    } else {
        json!({"cloud-init": text}).to_string()
    }
}

fn instance_id(user: &str, network: &str) -> String {
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{user}{network}").as_bytes(),
    );
    hex(hash.as_ref())
}

impl Seed {
    /// The label by which the guest finds the medium.
    pub fn label(&self) -> &'static str {
        match self.kind {
            CloudInitType::NoCloud => "cidata",
            CloudInitType::ConfigDrive2 => "config-2",
        }
    }

    pub fn files(&self) -> Vec<SeedFile> {
        let file = |path, content: &str| SeedFile {
            path,
            content: content.to_owned(),
        };
        match self.kind {
            CloudInitType::NoCloud => vec![
                file("user-data", &self.user),
                file("network-config", &self.network),
                file("meta-data", &self.meta),
                file("vendor-data", &self.vendor),
            ],
            CloudInitType::ConfigDrive2 => {
                let mut files = vec![
                    file("openstack/latest/user_data", &self.user),
                    file("openstack/content/0000", &self.network),
                    file("openstack/latest/meta_data.json", &self.meta),
                ];
                // An empty file is not JSON, and cloud-init logs a warning about it.
                if !self.vendor.is_empty() {
                    let vendor = vendor_json(&self.vendor);
                    files.push(file("openstack/latest/vendor_data.json", &vendor));
                }
                files
            }
        }
    }
}

#[cfg(test)]
mod tests;
