//! The folder of a lab's parts and traces: `${OSTLER_CACHE:-/var/cache/ostler}/lab`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::machine::Parts;

/// The result of the last `lab build`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) modules: PathBuf,
    /// The memory of the golden node.
    pub(crate) golden: PathBuf,
}

impl Built {
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone(),
            root: self.root.clone(),
            modules: self.modules.clone(),
        }
    }
}

/// FNV-1a: a hash that is the same on every host.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The lab's folder below the cache.
#[derive(Debug, Clone)]
pub(crate) struct Store(PathBuf);

/// How many folders with traces are kept.
const TRACES_MAX: usize = 50;

impl Store {
    pub(crate) fn from_environment() -> Store {
        let cache = std::env::var_os("OSTLER_CACHE").filter(|value| !value.is_empty());
        Store(PathBuf::from(cache.unwrap_or_else(|| "/var/cache/ostler".into())).join("lab"))
    }

    /// A folder for files of a run.
    pub(crate) fn runs(&self) -> Result<PathBuf, LabError> {
        self.folder("run")
    }

    /// The socket of the supervisor of `lab up`.
    pub(crate) fn control(&self) -> Result<PathBuf, LabError> {
        Ok(self.runs()?.join("control.sock"))
    }

    /// Held by the supervisor of `lab up` as long as it lives.
    pub(crate) fn lock(&self) -> Result<PathBuf, LabError> {
        Ok(self.runs()?.join("up.lock"))
    }

    pub(crate) fn parts(&self) -> Result<PathBuf, LabError> {
        self.folder("parts")
    }

    fn folder(&self, name: &str) -> Result<PathBuf, LabError> {
        let folder = self.0.join(name);
        fs::create_dir_all(&folder).map_err(LabError::file("make", &folder))?;
        Ok(folder)
    }

    /// A new folder for the traces of a failure; only the newest are kept.
    pub(crate) fn traces(&self, name: &str) -> Result<PathBuf, LabError> {
        let all = self.folder("failures")?;
        let listed = fs::read_dir(&all).map_err(LabError::file("list", &all))?;
        let mut old: Vec<PathBuf> = listed.flatten().map(|item| item.path()).collect();
        old.sort_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok());
        for path in old.iter().rev().skip(TRACES_MAX - 1) {
            let _ = fs::remove_dir_all(path);
        }
        let now = crate::clock::time_of_day() as u64;
        let folder = all.join(format!("{name}-{now}-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(LabError::file("make", &folder))?;
        Ok(folder)
    }

    /// Parts are shared by all checkouts on this host; each records which are current.
    fn manifest(&self) -> PathBuf {
        let checkout = fnv(env!("CARGO_MANIFEST_DIR").as_bytes());
        self.0.join(format!("built-{checkout:016x}.json"))
    }

    pub(crate) fn built(&self) -> Result<Built, LabError> {
        let path = self.manifest();
        let missing = |path: &Path| LabError::NotBuilt(format!("no {}", path.display()));
        let text = fs::read_to_string(&path).map_err(|_| missing(&path))?;
        let built: Built = serde_json::from_str(&text)
            .map_err(|error| LabError::NotBuilt(format!("{}: {error}", path.display())))?;
        let parts = [
            &built.kernel,
            &built.initrd,
            &built.root,
            &built.modules,
            &built.golden,
        ];
        if let Some(part) = parts.into_iter().find(|part| !part.exists()) {
            return Err(missing(part));
        }
        Ok(built)
    }

    pub(crate) fn set_built(&self, built: &Built) -> Result<(), LabError> {
        let path = self.manifest();
        let new = path.with_extension("new");
        let text = serde_json::to_string_pretty(built).expect("paths are text");
        fs::write(&new, text).map_err(LabError::file("write", &new))?;
        fs::rename(&new, &path).map_err(LabError::file("write", &path))
    }
}
