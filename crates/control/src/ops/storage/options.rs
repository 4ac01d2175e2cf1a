//! Conversion between a storage's properties on the wire and its record.
//!
//! A property is a field of the record by another name: which properties a type has, and which of
//! them can be changed, `storage::StorageType` says.

use model::schema::Values;
use model::schema::format::split_list;
use model::{Error, IdError, NodeName, StorageId};
use node::text_digest;
use serde_json::{Map, Value, json};
use storage::{
    ContentType, FolderNames, Property, StorageConfig, StorageSpec, StorageType, WipeRate,
};

/// Parameters that are no properties of a storage.
const NO_PROPERTIES: [&str; 4] = ["storage", "type", "delete", "digest"];

/// The properties that every type has.
const OF_ALL: [&str; 4] = ["bwlimit", "content", "disable", "nodes"];

/// Properties with an underscore in their name; all others have hyphens.
const UNDERSCORED: [&str; 3] = ["is_mountpoint", "saferemove_throughput", "tagged_only"];

fn field_of(property: &str) -> String {
    property.replace('-', "_")
}

fn property_of(field: &str) -> String {
    match UNDERSCORED.contains(&field) {
        true => field.to_owned(),
        false => field.replace('_', "-"),
    }
}

/// What a property is for a type; none where it has no such property.
fn property(kind: StorageType, name: &str) -> Option<Property> {
    let own = kind.properties().into_iter().find(|(own, _)| *own == name);
    own.map(|(_, property)| property)
}

/// Proxmox VE limits no copies of btrfs.
fn is_of_all(kind: StorageType, name: &str) -> bool {
    OF_ALL.contains(&name) && (name, kind) != ("bwlimit", StorageType::Btrfs)
}

/// The root of the node is no folder of a storage, in the words of Proxmox VE.
fn check_path(params: &Values) -> Result<(), Error> {
    match params.get("path").and_then(Value::as_str) {
        Some("/") => Err(Error::invalid(
            "path",
            "invalid format - value does not look like a valid absolute path\n",
        )),
        _ => Ok(()),
    }
}

/// Refuses what is a property of other types only.
pub(super) fn check_expected(kind: StorageType, params: &Values) -> Result<(), Error> {
    let is_known = |name: &str| {
        NO_PROPERTIES.contains(&name)
            || is_of_all(kind, name)
            || kind.secret() == Some(name)
            || property(kind, name).is_some()
    };
    match params.keys().find(|name| !is_known(name)) {
        Some(name) => Err(Error::conflict(format!("unexpected property '{name}'"))),
        None => Ok(()),
    }
}

/// The configuration of a new storage.
pub(in crate::ops) fn configure(
    id: StorageId,
    kind: StorageType,
    params: &Values,
) -> Result<StorageConfig, Error> {
    check_path(params)?;
    check_expected(kind, params)?;
    let required = kind
        .properties()
        .into_iter()
        .filter(|(_, is)| *is == Property::Required);
    for (name, _) in required {
        if !params.contains_key(name) {
            let text = format!("missing value for required option '{name}'");
            return Err(Error::conflict(text));
        }
    }
    let mut fields = Map::new();
    fields.insert("type".to_owned(), kind.as_str().into());
    if let Some(Property::Fixed) = property(kind, "path") {
        fields.insert("path".to_owned(), storage::usual_path(&id).into());
    }
    let spec = with(fields, kind, params)?;
    let mut config = StorageConfig::new(id, spec, kind.default_contents().to_vec());
    set_common(&mut config, params)?;
    Ok(config)
}

/// Changes what is given and resets what is to be deleted.
pub(super) fn change(
    config: &mut StorageConfig,
    delete: &[&str],
    params: &Values,
) -> Result<(), Error> {
    let kind = config.spec.kind();
    check_expected(kind, params)?;
    let mut fields = fields_of(&config.spec);
    let fixed = params.iter().filter(|(name, _)| {
        matches!(
            property(kind, name),
            Some(Property::Required | Property::Fixed)
        )
    });
    for (name, value) in fixed {
        if fields.get(&field_of(name)) != Some(value) {
            let text = format!("can't change value of fixed parameter '{name}'");
            return Err(Error::conflict(text));
        }
    }
    for name in delete {
        unset(config, &mut fields, name)?;
    }
    config.spec = with(fields, kind, params)?;
    set_common(config, params)
}

/// A specification of these fields, changed by the given properties.
fn with(
    mut fields: Map<String, Value>,
    kind: StorageType,
    params: &Values,
) -> Result<StorageSpec, Error> {
    let own = params
        .iter()
        .filter(|(name, _)| property(kind, name).is_some());
    for (name, value) in own {
        check(kind, name, value)?;
        let value = match name.as_str() {
            // The schema has its values as texts.
            "saferemove-stepsize" => number(value),
            _ => value.clone(),
        };
        fields.insert(field_of(name), value);
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Error::bug(format!("the properties of a storage: {error}")))
}

fn number(value: &Value) -> Value {
    let parsed = value.as_str().and_then(|text| text.parse::<u64>().ok());
    parsed.map_or_else(|| value.clone(), Value::from)
}

/// What the schema leaves open.
fn check(kind: StorageType, name: &str, value: &Value) -> Result<(), Error> {
    let text = value.as_str().unwrap_or_default();
    let checked = match name {
        "is_mountpoint" => mount_point(text),
        "content-dirs" => FolderNames::try_from(text.to_owned()).map(drop),
        "options" if text.contains(char::is_whitespace) => {
            Err("mount options are separated by commas alone".to_owned())
        }
        "pool" | "data-pool" | "namespace" | "username" if kind == StorageType::Rbd => {
            name_in_cluster(text)
        }
        "username" if kind == StorageType::CephFs => name_in_cluster(text),
        // It is a part of what the mount is called.
        "subdir" if kind == StorageType::CephFs && text.contains([',', ' ', '\t', '\n', '\\']) => {
            Err("a folder of CephFS has neither spaces, commas nor backslashes here".to_owned())
        }
        "monhost" => monitors(text),
        "target" => target(text),
        "username" | "domain" if text.contains(',') => {
            Err("a comma would begin another mount option".to_owned())
        }
        "pool" => dataset(text),
        "saferemove_throughput" => WipeRate::try_from(text.to_owned()).map(drop),
        _ => Ok(()),
    };
    checked.map_err(|reason| Error::invalid(name, reason))
}

/// A pool of ZFS or a dataset in it; programs must not take it for an option.
fn dataset(name: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.:/ ".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match starts && name.chars().all(is_good) && !name.split('/').any(str::is_empty) {
        true => Ok(()),
        false => Err(format!("'{name}' is no name of a pool or dataset of ZFS")),
    }
}

/// What a cluster of Ceph calls a pool, a namespace or a user; programs must not take it for an
/// option or another name.
fn name_in_cluster(name: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    match starts && name.chars().all(is_good) {
        true => Ok(()),
        false => Err(format!("'{name}' is no name in a cluster of Ceph")),
    }
}

/// A name of a target of iSCSI (RFC 3720, 3.2.6).
fn target(name: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
    let starts = ["iqn.", "eui.", "naa."]
        .iter()
        .any(|begin| name.starts_with(begin));
    match starts && name.len() <= 223 && name.chars().all(is_good) {
        true => Ok(()),
        false => Err(format!("'{name}' is no name of a target")),
    }
}

/// Names or addresses with or without ports.
fn monitors(list: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let is_host = |one: &str| !one.starts_with('-') && one.chars().all(is_good);
    let mut all = split_list(list).peekable();
    match all.peek().is_some() && all.all(is_host) {
        true => Ok(()),
        false => Err(format!("'{list}' is no list of hosts")),
    }
}

fn mount_point(point: &str) -> Result<(), String> {
    let word = ["yes", "no", "on", "off", "true", "false", "1", "0"].contains(&point);
    match word || (point.starts_with('/') && !point.contains("..")) {
        true => Ok(()),
        false => Err(format!(
            "'{point}' is neither 'yes', 'no' nor an absolute path"
        )),
    }
}

fn set_common(config: &mut StorageConfig, params: &Values) -> Result<(), Error> {
    let kind = config.spec.kind();
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    if let Some(content) = text("content") {
        config.common.content = contents(kind, content)?;
    }
    if let Some(nodes) = text("nodes") {
        config.common.nodes = node_names(nodes)?;
    }
    if let Some(disable) = params.get("disable").and_then(Value::as_bool) {
        // Proxmox VE keeps no word of one that is not.
        config.common.disable = disable.then_some(true);
    }
    if let Some(limits) = text("bwlimit") {
        config.common.bwlimit = Some(limits.to_owned());
    }
    check_layers(config)?;
    check_folders(config)
}

/// Volumes that are encrypted are raw ones.
fn check_layers(config: &StorageConfig) -> Result<(), Error> {
    match config.spec.is_encrypted() && config.spec.has_layers() {
        false => Ok(()),
        true => Err(Error::invalid(
            "snapshot-as-volume-chain",
            "an encrypted storage has no snapshots as layers",
        )),
    }
}

/// Two contents in one folder would be each other's.
fn check_folders(config: &StorageConfig) -> Result<(), Error> {
    let id = config.id();
    match config.shared_folder() {
        None => Ok(()),
        Some(folder) => Err(Error::conflict(format!(
            "storage '{id}' uses directory {folder} for multiple content types"
        ))),
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
    if contents.is_empty() && !kind.may_be_empty() {
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

/// Resets a property to its default.
fn unset(
    config: &mut StorageConfig,
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<(), Error> {
    let kind = config.spec.kind();
    let fixed = |what: &str| {
        Err(Error::conflict(format!(
            "unable to delete {what} option '{name}'"
        )))
    };
    match (name, property(kind, name)) {
        ("content", _) => config.common.content = kind.default_contents().to_vec(),
        ("bwlimit", _) => config.common.bwlimit = None,
        ("disable", _) => config.common.disable = None,
        ("nodes", _) => config.common.nodes = None,
        ("storage" | "type", _) | (_, Some(Property::Required)) => return fixed("required"),
        (_, Some(Property::Fixed)) => return fixed("fixed"),
        (_, Some(Property::Changeable)) => {
            fields.remove(&field_of(name));
        }
        // Its value is not in the record.
        (_, None) if kind.secret() == Some(name) => {}
        (_, None) => {
            return Err(Error::conflict(format!("no such option '{name}'")));
        }
    }
    Ok(())
}

/// The fields of a specification by their names in the record.
pub(in crate::ops) fn fields_of(spec: &StorageSpec) -> Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
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
    let mut shown = Map::new();
    for (field, value) in fields_of(&config.spec) {
        let value = match (field.as_str(), value) {
            (_, Value::Bool(flag)) => u8::from(flag).into(),
            ("content_dirs", Value::String(text)) => folders(&text),
            ("exporter", _) => continue,
            (_, value) => value,
        };
        shown.insert(property_of(&field), value);
    }
    if config.spec.is_always_shared() {
        shown.insert("shared".to_owned(), 1.into());
    }
    shown.insert("storage".to_owned(), common.id.as_str().into());
    shown.insert("content".to_owned(), content_text(config).into());
    if let Some(exporter) = config.spec.exporter() {
        shown.insert("exporter".to_owned(), exporter.node.as_str().into());
    }
    if let Some(disable) = common.disable {
        shown.insert("disable".to_owned(), u8::from(disable).into());
    }
    if let Some(limits) = &common.bwlimit {
        shown.insert("bwlimit".to_owned(), limits.as_str().into());
    }
    if let Some(nodes) = &common.nodes {
        shown.insert("nodes".to_owned(), joined(nodes).into());
    }
    let digest = digest(&shown);
    shown.insert("digest".to_owned(), digest.into());
    shown
}

/// `iso=a,backup=b` as an object.
fn folders(text: &str) -> Value {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(content, folder)| (content.to_owned(), json!(folder)))
        .collect()
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
