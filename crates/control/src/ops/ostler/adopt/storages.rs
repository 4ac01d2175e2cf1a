//! Which storages of `storage.cfg` this node can take over.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::schema::{Values, check_object, find};
use model::{Error, NodeName, StorageId, StorageMap};
use node::StorageEntry;
use node::tasks::AdoptedStorage;
use proto::table;
use serde_json::{Value, json};
use storage::{Property, Storage, StorageConfig, StorageSpec, StorageType};
use sys::Command;

use super::files::{Section, sections};
use super::source::Source;
use crate::ops::Op;
use crate::ops::storage::options::{configure, fields_of};

/// Properties that say nothing about the volumes that are there: without them the storage is still the same.
const LEFT_OUT: [&str; 7] = [
    "create-subdirs",
    "krbd",
    "maxfiles",
    "max-protected-backups",
    "mkdir",
    "preallocation",
    "prune-backups",
];

/// The storage that every Proxmox VE has, also where its file does not say so.
const LOCAL: &str =
    "dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup,images,rootdir,snippets\n";

/// A storage that guests' volumes may be on.
pub(super) struct Found {
    pub(super) driver: Arc<dyn Storage>,
    /// Why nothing can be looked up on it yet.
    pub(super) not_ready: Option<String>,
}

/// What becomes of the storages.
#[derive(Default)]
pub(super) struct Storages {
    /// Those to adopt.
    pub(super) adopted: Vec<AdoptedStorage>,
    /// All that guests' volumes may be on, by the id that they have here.
    pub(super) found: BTreeMap<StorageId, Found>,
    pub(super) rows: Vec<Value>,
    /// Why the others are left, by the id that they have here.
    pub(super) left: BTreeMap<StorageId, String>,
}

/// What the caller says about storages.
pub(super) struct Wanted<'a> {
    /// Only these, by their ids in the source.
    pub(super) only: Option<Vec<String>>,
    pub(super) map: &'a StorageMap,
    /// The source's own name for the node.
    pub(super) from: Option<&'a str>,
}

enum Verdict {
    Adopt(Box<StorageConfig>, Option<String>),
    /// It is defined here, and is the same.
    Present,
    Leave(String),
}

impl Storages {
    pub(super) async fn plan(op: &Op, source: &Source, wanted: &Wanted<'_>) -> Result<Self, Error> {
        let here = op.records.storages().await?;
        let mut plan = Self::default();
        for entry in &here {
            if entry.config.is_enabled_on(&op.context.node.name) {
                let driver = op.context.node.drivers.of(entry);
                plan.find(entry.config.id(), driver).await;
            }
        }
        let text = source.text("storage.cfg");
        let mut all = text.as_deref().map(sections).unwrap_or_default();
        let has = |all: &[Section], id: &str| all.iter().any(|one| one.id == id);
        if text.is_some() && !has(&all, "local") {
            all.extend(sections(LOCAL));
        }
        if let Some(missing) = wanted.only.iter().flatten().find(|id| !has(&all, id)) {
            let text = format!("storage.cfg has no storage '{missing}'");
            return Err(Error::invalid("storages", text));
        }
        for section in all {
            plan.add(op, source, wanted, section, &here).await?;
        }
        Ok(plan)
    }

    async fn find(&mut self, id: &StorageId, driver: Arc<dyn Storage>) {
        let not_ready = driver.status().await.err().map(|error| error.to_string());
        let found = Found { driver, not_ready };
        self.found.insert(id.clone(), found);
    }

    async fn add(
        &mut self,
        op: &Op,
        source: &Source,
        wanted: &Wanted<'_>,
        section: Section,
        here: &[StorageEntry],
    ) -> Result<(), Error> {
        let (kind, of) = (section.kind.clone(), section.id.clone());
        let is_wanted = wanted.only.as_ref().is_none_or(|only| only.contains(&of));
        let mut warnings = Vec::new();
        let id = StorageId::new(&of).map(|id| wanted.map.target(&id).clone());
        let verdict = match &id {
            Err(error) => Verdict::Leave(error.to_string()),
            Ok(id) => {
                let secret = secret(source, &section);
                let node = &op.context.node.name;
                match read(id.clone(), section, wanted.from, node, &mut warnings) {
                    Ok(config) => match (judge(config, secret, here), is_wanted) {
                        (Verdict::Adopt(..), false) => {
                            Verdict::Leave("it was not chosen".to_owned())
                        }
                        (verdict, _) => verdict,
                    },
                    Err(reason) => Verdict::Leave(reason),
                }
            }
        };
        let mut row = json!({"source": of, "type": kind});
        if let Ok(id) = &id {
            row["storage"] = id.as_str().into();
        }
        let (action, reason) = match verdict {
            Verdict::Present => ("present", None),
            Verdict::Leave(reason) => ("leave", Some(reason)),
            Verdict::Adopt(config, secret) => {
                let drivers = &op.context.node.drivers;
                let driver = drivers.open((*config).clone(), secret.clone());
                let id = config.id().clone();
                self.find(&id, driver).await;
                match self.not_here(op, &config, &mut warnings).await? {
                    Some(reason) => {
                        self.found.remove(&id);
                        ("leave", Some(reason))
                    }
                    None => {
                        let secret = match secret {
                            Some(secret) => Some(op.context.authority.seal(&secret).await?),
                            None => None,
                        };
                        let config = *config;
                        self.adopted.push(AdoptedStorage { config, secret });
                        ("adopt", None)
                    }
                }
            }
        };
        if let (Ok(id), Some(reason)) = (id, &reason) {
            self.left.insert(id, reason.clone());
        }
        row["action"] = action.into();
        row["reasons"] = reason.into_iter().collect();
        row["warnings"] = warnings.into();
        self.rows.push(row);
        Ok(())
    }

    /// Why a storage cannot be used on this node. A pool that waits for its import is no reason.
    async fn not_here(
        &self,
        op: &Op,
        config: &StorageConfig,
        warnings: &mut Vec<String>,
    ) -> Result<Option<String>, Error> {
        let not_ready = self
            .found
            .get(config.id())
            .and_then(|found| found.not_ready.clone());
        let Some(why) = not_ready else {
            return Ok(None);
        };
        match &config.spec {
            StorageSpec::ZfsPool(spec) => {
                let pool = spec.pool.split('/').next().unwrap_or_default();
                let command = Command::new("zpool").arg("import");
                let listed = op.context.node.host.run(command).await?;
                let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
                let reason = importable(&listed, pool);
                if reason.is_none() {
                    warnings.push(format!(
                        "pool '{pool}' is imported first; its volumes are looked for then"
                    ));
                }
                Ok(reason)
            }
            StorageSpec::Nfs(_)
            | StorageSpec::Cifs(_)
            | StorageSpec::CephFs(_)
            | StorageSpec::Iscsi(_) => {
                warnings.push(format!(
                    "it is activated first ({why}); its volumes are looked for then"
                ));
                Ok(None)
            }
            _ => Ok(Some(why)),
        }
    }
}

/// Why a pool cannot be imported; none where it can. The text is that of `zpool import`.
fn importable(listed: &str, pool: &str) -> Option<String> {
    let mut blocks = listed.split("pool: ").skip(1);
    let block = blocks.find(|block| block.lines().next().map(str::trim) == Some(pool));
    let Some(block) = block else {
        return Some(format!("no disk of this node holds pool '{pool}'"));
    };
    let words = block.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_foreign = words.contains("last accessed by another system")
        || words.contains("in use from other system")
        || words.contains("currently imported by another system");
    if is_foreign {
        return Some(format!(
            "pool '{pool}' was not exported by the system that used it last: export it there ('zpool export {pool}'); \
             if that system is gone for good, import it by hand ('zpool import -f {pool}')"
        ));
    }
    let is_whole = words.contains("state: ONLINE") || words.contains("state: DEGRADED");
    (!is_whole).then(|| format!("pool '{pool}' cannot be imported: 'zpool import' says why"))
}

/// The configuration that a section means on this node.
fn read(
    id: StorageId,
    section: Section,
    from: Option<&str>,
    node: &NodeName,
    warnings: &mut Vec<String>,
) -> Result<StorageConfig, String> {
    let Section { kind, values, .. } = section;
    let is_built = StorageType::ALL.iter().find(|one| one.as_str() == kind);
    let Some(kind) = is_built.copied() else {
        return Err(format!(
            "storages of type '{kind}' are not supported by this version"
        ));
    };
    let mut given = Values::new();
    for (name, value) in values {
        match name.as_str() {
            "nodes" => {
                let value = nodes(&value, from, node)?;
                given.insert(name, value.into());
            }
            // Of such a type it is true for all.
            "shared" if kind.properties().iter().all(|(own, _)| *own != "shared") => {}
            _ => {
                given.insert(name, value.into());
            }
        }
    }
    let row = table::row("storage_create").ok_or("the operation is missing")?;
    let mut params = Values::new();
    let mut reasons = Vec::new();
    for (name, value) in given {
        let field = find(row.params, &name).map(|field| [*field]);
        let one = Values::from_iter([(name.clone(), value)]);
        let checked = field.map(|field| check_object(&[&field], &one));
        match checked {
            Some(Ok(values)) => params.extend(values),
            _ if LEFT_OUT.contains(&name.as_str()) => {
                warnings.push(format!(
                    "property '{name}' is left out: this version has none"
                ));
            }
            Some(Err(errors)) => {
                let texts = errors
                    .into_iter()
                    .map(|(name, why)| format!("{name}: {why}"));
                reasons.extend(texts);
            }
            None => reasons.push(format!("{name}: this version has no such property")),
        }
    }
    if !reasons.is_empty() {
        return Err(reasons.join("; "));
    }
    configure(id, kind, &params).map_err(|error| Error::chain(&error))
}

/// The nodes that have the storage: this node in the place of the one that it was.
fn nodes(list: &str, from: Option<&str>, node: &NodeName) -> Result<String, String> {
    let mut nodes = list.split(',').map(str::trim);
    let is_here = |one: &str| from == Some(one) || one == node.as_str();
    match nodes.any(is_here) {
        true => Ok(node.to_string()),
        false => Err(format!("it is a storage of other nodes alone: {list}")),
    }
}

/// The password of a share, the keyring of a cluster.
fn secret(source: &Source, section: &Section) -> Option<String> {
    let id = &section.id;
    match section.kind.as_str() {
        "cifs" => {
            let text = source.text(&format!("priv/storage/{id}.pw"))?;
            let password = text.lines().find_map(|line| line.strip_prefix("password="));
            Some(password.unwrap_or(text.trim_end()).to_owned())
        }
        "rbd" => source.text(&format!("priv/ceph/{id}.keyring")),
        // The key alone.
        "cephfs" => source.text(&format!("priv/ceph/{id}.secret")),
        _ => None,
    }
}

fn judge(config: StorageConfig, secret: Option<String>, here: &[StorageEntry]) -> Verdict {
    let id = config.id().clone();
    if config.common.disable == Some(true) {
        return Verdict::Leave("it is disabled there".to_owned());
    }
    let Some(entry) = here.iter().find(|entry| *entry.config.id() == id) else {
        return Verdict::Adopt(Box::new(config), secret);
    };
    match is_same_place(&entry.config.spec, &config.spec) {
        true => Verdict::Present,
        false => Verdict::Leave(format!(
            "storage ID '{id}' is defined here already, and is another one; give it a new id with 'storage-map {id}:NEW'"
        )),
    }
}

/// Properties that can be changed, and lead to other volumes then.
const OF_PLACE: [&str; 6] = [
    "content-dirs",
    "fs-name",
    "monhost",
    "namespace",
    "pool",
    "subdir",
];

/// Whether two definitions lead to the same volumes.
fn is_same_place(one: &StorageSpec, other: &StorageSpec) -> bool {
    let kind = one.kind();
    let place = |spec: &StorageSpec| -> Vec<Option<String>> {
        let fields = fields_of(spec);
        let all = kind.properties().into_iter();
        let leads = all.filter(|(name, is)| *is != Property::Changeable || OF_PLACE.contains(name));
        let values = leads.map(|(name, _)| fields.get(&name.replace('-', "_")).map(trimmed));
        values.collect()
    };
    kind == other.kind() && place(one) == place(other)
}

/// `/srv/x/` is `/srv/x`.
fn trimmed(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        sections(text).remove(0)
    }

    fn id(id: &str) -> StorageId {
        id.parse().unwrap()
    }

    fn config(text: &str, from: Option<&str>) -> Result<(StorageConfig, Vec<String>), String> {
        let (mut warnings, node) = (Vec::new(), "pve1".parse().unwrap());
        let section = section(text);
        let config = read(id(&section.id.clone()), section, from, &node, &mut warnings)?;
        Ok((config, warnings))
    }

    #[test]
    fn a_section_becomes_a_storage_of_this_node() {
        let text = "zfspool: tank\n\tpool rpool/data\n\tsparse 1\n\tmountpoint /rpool/data\n\tcontent images,rootdir\n\tnodes old,other\n";
        let (config, warnings) = config(text, Some("old")).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(config.common.nodes, Some(vec!["pve1".parse().unwrap()]));
        let StorageSpec::ZfsPool(spec) = &config.spec else {
            panic!("{config:?}")
        };
        assert_eq!(spec.pool, "rpool/data");
    }

    #[test]
    fn what_says_nothing_about_volumes_is_left_out_and_the_rest_is_refused() {
        let text = "dir: dd\n\tpath /srv/d\n\tcontent images\n\tbwlimit default=100\n\tkrbd 1\n";
        let (taken, warnings) = config(text, None).unwrap();
        assert!(warnings[0].contains("'krbd'"), "{warnings:?}");
        assert_eq!(taken.common.bwlimit.as_deref(), Some("default=100"));
        for (text, word) in [
            ("pbs: bb\n\tserver x\n\tdatastore y\n", "'pbs'"),
            ("dir: dd\n\tpath /srv/d\n\tnewer 1\n", "newer"),
            ("dir: dd\n\tpath /srv/d\n\tnodes b,c\n", "b,c"),
            ("dir: dd\n", "path"),
        ] {
            let reason = config(text, Some("a")).unwrap_err();
            assert!(reason.contains(word), "{text}: {reason}");
        }
    }

    #[test]
    fn snapshots_that_are_layers_stay_so() {
        let text = "dir: dd\n\tpath /srv/d\n\tcontent images\n\tsnapshot-as-volume-chain 1\n";
        let (config, warnings) = config(text, None).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let StorageSpec::Dir(spec) = &config.spec else {
            panic!("{config:?}")
        };
        assert_eq!(spec.folder.snapshot_as_volume_chain, Some(true));
    }

    #[test]
    fn the_same_place_is_no_new_storage() {
        let one = |text| config(text, None).unwrap().0.spec;
        let dir = one("dir: aa\n\tpath /srv/a\n\tcontent iso\n");
        assert!(is_same_place(
            &dir,
            &one("dir: bb\n\tpath /srv/a/\n\tshared 1\n")
        ));
        assert!(!is_same_place(&dir, &one("dir: aa\n\tpath /srv/b\n")));
        assert!(!is_same_place(&dir, &one("btrfs: aa\n\tpath /srv/a\n")));
    }

    #[test]
    fn a_pool_is_imported_where_nothing_speaks_against_it() {
        let listed = "   pool: tank\n     id: 1\n  state: ONLINE\n action: The pool can be imported using its name or numeric identifier.\n\n   pool: old\n  state: ONLINE\n status: The pool was last accessed by another system.\n\n   pool: half\n  state: UNAVAIL\n";
        assert_eq!(importable(listed, "tank"), None);
        for (pool, word) in [
            ("old", "zpool export"),
            ("half", "cannot be imported"),
            ("tan", "no disk"),
        ] {
            let reason = importable(listed, pool).unwrap();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
