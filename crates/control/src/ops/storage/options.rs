//! Conversion between a storage's options on the wire and its record.

use model::schema::Values;
use model::schema::format::split_list;
use model::{BlockFormat, Error, IdError, NodeName};
use node::text_digest;
use serde::Deserialize;
use serde_json::{Map, Value};
use storage::{
    ContentType, DirSpec, LvmThinSpec, Preallocation, StorageConfig, StorageSpec, StorageType,
};

/// Parameters that are no properties of a storage.
const NO_PROPERTIES: [&str; 4] = ["storage", "type", "delete", "digest"];

/// The properties that every type has.
const OF_ALL: [&str; 3] = ["content", "disable", "nodes"];

/// The properties that a type has besides.
fn properties_of(kind: StorageType) -> &'static [&'static str] {
    match kind {
        StorageType::Dir => &[
            "create-base-path",
            "create-subdirs",
            "format",
            "is_mountpoint",
            "max-protected-backups",
            "mkdir",
            "path",
            "preallocation",
            "prune-backups",
            "shared",
        ],
        StorageType::LvmThin => &["thinpool", "vgname"],
    }
}

/// Refuses what is a property of other types only.
pub(super) fn check_expected(kind: StorageType, params: &Values) -> Result<(), Error> {
    let known = [&NO_PROPERTIES[..], &OF_ALL, properties_of(kind)];
    let is_known = |name: &String| known.iter().any(|names| names.contains(&name.as_str()));
    match params.iter().find(|(name, _)| !is_known(name)) {
        Some((name, _)) => Err(Error::conflict(format!("unexpected property '{name}'"))),
        None => Ok(()),
    }
}

/// What is said once, when a storage is made.
#[derive(Deserialize)]
pub(super) struct Fixed {
    #[serde(rename = "type")]
    kind: StorageType,
    path: Option<String>,
    vgname: Option<String>,
    thinpool: Option<String>,
}

impl Fixed {
    pub(super) fn spec(self) -> Result<StorageSpec, Error> {
        Ok(match self.kind {
            StorageType::Dir => StorageSpec::Dir(DirSpec {
                path: required("path", self.path)?,
                ..DirSpec::default()
            }),
            StorageType::LvmThin => StorageSpec::LvmThin(LvmThinSpec {
                vgname: required("vgname", self.vgname)?,
                thinpool: required("thinpool", self.thinpool)?,
            }),
        })
    }
}

fn required(option: &str, given: Option<String>) -> Result<String, Error> {
    let missing = || Error::conflict(format!("missing value for required option '{option}'"));
    given.ok_or_else(missing)
}

/// The options that can be set on a storage and changed later.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Options {
    content: Option<String>,
    create_base_path: Option<bool>,
    create_subdirs: Option<bool>,
    disable: Option<bool>,
    format: Option<BlockFormat>,
    #[serde(rename = "is_mountpoint")]
    is_mountpoint: Option<String>,
    max_protected_backups: Option<i64>,
    mkdir: Option<bool>,
    nodes: Option<String>,
    preallocation: Option<Preallocation>,
    prune_backups: Option<String>,
    shared: Option<bool>,
}

impl Options {
    /// Writes the given options into the configuration.
    pub(super) fn apply(mut self, config: &mut StorageConfig) -> Result<(), Error> {
        let common = &mut config.common;
        if let Some(content) = &self.content {
            common.content = contents(config.spec.kind(), content)?;
        }
        if let Some(nodes) = &self.nodes {
            common.nodes = node_names(nodes)?;
        }
        common.disable = self.disable.or(common.disable);
        let point = self.is_mountpoint.take();
        self.is_mountpoint = point.map(mount_point).transpose()?;
        match &mut config.spec {
            StorageSpec::Dir(spec) => self.apply_to_dir(spec),
            StorageSpec::LvmThin(_) => {}
        }
        Ok(())
    }

    fn apply_to_dir(self, spec: &mut DirSpec) {
        let flags = [
            (&mut spec.create_base_path, self.create_base_path),
            (&mut spec.create_subdirs, self.create_subdirs),
            (&mut spec.mkdir, self.mkdir),
            (&mut spec.shared, self.shared),
        ];
        for (kept, given) in flags {
            *kept = given.or(*kept);
        }
        let texts = [
            (&mut spec.is_mountpoint, self.is_mountpoint),
            (&mut spec.prune_backups, self.prune_backups),
        ];
        for (kept, given) in texts {
            *kept = given.or_else(|| kept.take());
        }
        spec.format = self.format.or(spec.format);
        spec.preallocation = self.preallocation.or(spec.preallocation);
        spec.max_protected_backups = self.max_protected_backups.or(spec.max_protected_backups);
    }
}

/// The contents in a list, as far as storages of the type can hold them.
fn contents(kind: StorageType, list: &str) -> Result<Vec<ContentType>, Error> {
    let names: Vec<&str> = split_list(list).collect();
    if names.contains(&"none") && names.len() > 1 {
        return Err(Error::conflict(
            "unable to combine 'none' with other content types",
        ));
    }
    let mut contents: Vec<ContentType> = Vec::new();
    for content in names.into_iter().filter_map(ContentType::from_name) {
        if kind.contents().contains(&content) && !contents.contains(&content) {
            contents.push(content);
        }
    }
    if contents.is_empty() && kind != StorageType::Dir {
        let text = "storage does not support content type 'none'";
        return Err(Error::conflict(text));
    }
    Ok(contents)
}

fn node_names(list: &str) -> Result<Option<Vec<NodeName>>, Error> {
    let names: Result<Vec<NodeName>, IdError> = split_list(list).map(NodeName::new).collect();
    let names = names.map_err(|error| Error::invalid("nodes", error.to_string()))?;
    Ok((!names.is_empty()).then_some(names))
}

fn mount_point(point: String) -> Result<String, Error> {
    let word = ["yes", "no", "on", "off", "true", "false", "1", "0"].contains(&point.as_str());
    if word || (point.starts_with('/') && !point.contains("..")) {
        return Ok(point);
    }
    let reason = format!("'{point}' is neither 'yes', 'no' nor an absolute path");
    Err(Error::invalid("is_mountpoint", reason))
}

/// Resets an option to its default.
pub(super) fn unset(config: &mut StorageConfig, option: &str) -> Result<(), Error> {
    let kind = config.spec.kind();
    let common = &mut config.common;
    match (option, &mut config.spec) {
        ("content", _) => common.content = kind.default_contents().to_vec(),
        ("disable", _) => common.disable = None,
        ("nodes", _) => common.nodes = None,
        ("storage" | "type", _)
        | ("path", StorageSpec::Dir(_))
        | ("vgname" | "thinpool", StorageSpec::LvmThin(_)) => {
            return Err(Error::conflict(format!(
                "unable to delete required option '{option}'"
            )));
        }
        (_, StorageSpec::Dir(spec)) => return unset_of_dir(spec, option),
        (_, StorageSpec::LvmThin(_)) => return Err(no_such(option)),
    }
    Ok(())
}

fn unset_of_dir(spec: &mut DirSpec, option: &str) -> Result<(), Error> {
    match option {
        "create-base-path" => spec.create_base_path = None,
        "create-subdirs" => spec.create_subdirs = None,
        "format" => spec.format = None,
        "is_mountpoint" => spec.is_mountpoint = None,
        "max-protected-backups" => spec.max_protected_backups = None,
        "mkdir" => spec.mkdir = None,
        "preallocation" => spec.preallocation = None,
        "prune-backups" => spec.prune_backups = None,
        "shared" => spec.shared = None,
        _ => return Err(no_such(option)),
    }
    Ok(())
}

fn no_such(option: &str) -> Error {
    Error::conflict(format!("no such option '{option}'"))
}

/// The contents of a storage as the wire lists them.
pub(in crate::ops) fn content_text(config: &StorageConfig) -> String {
    let names: Vec<&str> = config
        .common
        .content
        .iter()
        .map(|content| content.as_str())
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(",")
    }
}

/// A storage as `GET /storage/{storage}` shows it.
pub(super) fn shown(config: &StorageConfig) -> Map<String, Value> {
    let common = &config.common;
    let nodes = common.nodes.as_deref().map(joined);
    let all = [
        ("storage", Some(common.id.as_str().into())),
        ("type", Some(config.spec.kind().as_str().into())),
        ("content", Some(content_text(config).into())),
        ("disable", flag(common.disable)),
        ("nodes", nodes.map(Value::from)),
    ];
    let own = match &config.spec {
        StorageSpec::Dir(spec) => shown_of_dir(spec),
        StorageSpec::LvmThin(spec) => vec![
            ("thinpool", Some(spec.thinpool.as_str().into())),
            ("vgname", Some(spec.vgname.as_str().into())),
        ],
    };
    let set = all.into_iter().chain(own);
    let mut fields: Map<String, Value> = set
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let digest = digest(&fields);
    fields.insert("digest".to_owned(), digest.into());
    fields
}

fn shown_of_dir(spec: &DirSpec) -> Vec<(&'static str, Option<Value>)> {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let format = spec.format.map(BlockFormat::as_str);
    let preallocation = spec.preallocation.map(Preallocation::as_str);
    vec![
        ("path", Some(spec.path.as_str().into())),
        ("create-base-path", flag(spec.create_base_path)),
        ("create-subdirs", flag(spec.create_subdirs)),
        ("format", format.map(Value::from)),
        ("is_mountpoint", text(&spec.is_mountpoint)),
        (
            "max-protected-backups",
            spec.max_protected_backups.map(Value::from),
        ),
        ("mkdir", flag(spec.mkdir)),
        ("preallocation", preallocation.map(Value::from)),
        ("prune-backups", text(&spec.prune_backups)),
        ("shared", flag(spec.shared)),
    ]
}

fn flag(flag: Option<bool>) -> Option<Value> {
    flag.map(|flag| u8::from(flag).into())
}

fn joined(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    names.join(",")
}

/// SHA-1, in hexadecimal, of the lines `name: value`, sorted by name.
fn digest(fields: &Map<String, Value>) -> String {
    let mut lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}\n"),
            other => format!("{name}: {other}\n"),
        })
        .collect();
    lines.sort_unstable();
    text_digest(lines.concat().as_bytes())
}
