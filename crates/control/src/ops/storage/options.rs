//! Conversion between a storage's options on the wire and its record.

use model::schema::format::split_list;
use model::{BlockFormat, Error, IdError, NodeName};
use node::text_digest;
use serde::Deserialize;
use serde_json::{Map, Value};
use storage::{ContentType, Preallocation, StorageConfig};

/// The default content types. Source: Proxmox VE's default for directories.
pub(super) const DEFAULT_CONTENT: [ContentType; 2] = [ContentType::Images, ContentType::Rootdir];

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
    pub(super) fn apply(self, config: &mut StorageConfig) -> Result<(), Error> {
        if let Some(content) = &self.content {
            config.content = contents(content)?;
        }
        if let Some(nodes) = &self.nodes {
            config.nodes = node_names(nodes)?;
        }
        if let Some(point) = self.is_mountpoint {
            config.is_mountpoint = Some(mount_point(point)?);
        }
        let flags = [
            (&mut config.create_base_path, self.create_base_path),
            (&mut config.create_subdirs, self.create_subdirs),
            (&mut config.disable, self.disable),
            (&mut config.mkdir, self.mkdir),
            (&mut config.shared, self.shared),
        ];
        for (kept, given) in flags {
            *kept = given.or(*kept);
        }
        config.format = self.format.or(config.format);
        config.preallocation = self.preallocation.or(config.preallocation);
        config.prune_backups = self.prune_backups.or_else(|| config.prune_backups.take());
        config.max_protected_backups = self.max_protected_backups.or(config.max_protected_backups);
        Ok(())
    }
}

fn contents(list: &str) -> Result<Vec<ContentType>, Error> {
    let names: Vec<&str> = split_list(list).collect();
    if names.contains(&"none") && names.len() > 1 {
        return Err(Error::conflict(
            "unable to combine 'none' with other content types",
        ));
    }
    let mut contents: Vec<ContentType> = Vec::new();
    for content in names.into_iter().filter_map(ContentType::from_name) {
        if !contents.contains(&content) {
            contents.push(content);
        }
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
    match option {
        "content" => config.content = DEFAULT_CONTENT.to_vec(),
        "create-base-path" => config.create_base_path = None,
        "create-subdirs" => config.create_subdirs = None,
        "disable" => config.disable = None,
        "format" => config.format = None,
        "is_mountpoint" => config.is_mountpoint = None,
        "max-protected-backups" => config.max_protected_backups = None,
        "mkdir" => config.mkdir = None,
        "nodes" => config.nodes = None,
        "preallocation" => config.preallocation = None,
        "prune-backups" => config.prune_backups = None,
        "shared" => config.shared = None,
        "path" | "storage" | "type" => {
            return Err(Error::conflict(format!(
                "unable to delete required option '{option}'"
            )));
        }
        _ => return Err(Error::conflict(format!("no such option '{option}'"))),
    }
    Ok(())
}

/// The contents of a storage as the wire lists them.
pub(in crate::ops) fn content_text(config: &StorageConfig) -> String {
    let names: Vec<&str> = config
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
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let flag = |flag: Option<bool>| flag.map(|flag| u8::from(flag).into());
    put("storage", Some(config.id.as_str().into()));
    put("type", Some(config.kind.as_str().into()));
    put("path", Some(config.path.as_str().into()));
    put("content", Some(content_text(config).into()));
    put("create-base-path", flag(config.create_base_path));
    put("create-subdirs", flag(config.create_subdirs));
    put("disable", flag(config.disable));
    put("format", config.format.map(|format| format.as_str().into()));
    put(
        "is_mountpoint",
        config.is_mountpoint.clone().map(Value::from),
    );
    put(
        "max-protected-backups",
        config.max_protected_backups.map(Value::from),
    );
    put("mkdir", flag(config.mkdir));
    put(
        "nodes",
        config.nodes.as_ref().map(|nodes| joined(nodes).into()),
    );
    put(
        "preallocation",
        config.preallocation.map(|kind| kind.as_str().into()),
    );
    put(
        "prune-backups",
        config.prune_backups.clone().map(Value::from),
    );
    put("shared", flag(config.shared));
    let digest = digest(&fields);
    fields.insert("digest".to_owned(), digest.into());
    fields
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
