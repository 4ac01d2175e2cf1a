//! What an image says of the program in it, as options of a container.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::{ImageError, Place};

/// The signal that asks a program to end, unless the image names another.
const STOP_SIGNAL: &str = "SIGTERM";

/// What a container runs unless its options say otherwise.
const INIT: &str = "/sbin/init";

/// The longest text that becomes one option.
const LONGEST: usize = 64 << 10;

/// The keys of LXC that come from an image; no others are taken.
const KEYS: [&str; 5] = [
    "lxc.init.uid",
    "lxc.init.gid",
    "lxc.init.groups",
    "lxc.init.cwd",
    "lxc.signal.halt",
];

/// The configuration of an image, in the words of the specification.
#[derive(Debug, Default, Deserialize)]
pub struct ImageConfig {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) config: Option<Execution>,
    pub(super) rootfs: Layers,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Layers {
    #[serde(default)]
    pub(super) diff_ids: Vec<String>,
}

/// Go writes what is empty as `null`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Execution {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// The options that a container gets from its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOptions {
    /// The option `entrypoint`; none for `/sbin/init`.
    pub entrypoint: Option<String>,
    /// `NAME=value`
    pub environment: Vec<String>,
    /// Keys of LXC with their values, in this order.
    pub lxc: Vec<(String, String)>,
}

impl ImageOptions {
    /// Holds what a program read from an image against what the options may be.
    pub fn check(&self) -> Result<(), ImageError> {
        let texts = self.entrypoint.iter().chain(&self.environment);
        let values = self.lxc.iter().map(|(_, value)| value);
        texts.chain(values).try_for_each(|text| plain(text))?;
        match self
            .lxc
            .iter()
            .find(|(key, _)| !KEYS.contains(&key.as_str()))
        {
            Some((key, _)) => Err(ImageError::refused(format!("it has no say in '{key}'"))),
            None => Ok(()),
        }
    }
}

/// A text that can be a line of LXC's configuration.
fn plain(text: &str) -> Result<(), ImageError> {
    let shown = || text.chars().take(80).collect::<String>();
    if text.chars().any(|c| c.is_control() && c != '\t') {
        let shown = shown();
        let why = format!("'{}' has control characters", shown.escape_debug());
        return Err(ImageError::refused(why));
    }
    match text.len() > LONGEST {
        true => Err(ImageError::refused(format!("'{}…' is too long", shown()))),
        false => Ok(()),
    }
}

impl ImageConfig {
    fn execution(&self) -> &Execution {
        static NOTHING: Execution = Execution {
            user: None,
            env: None,
            entrypoint: None,
            cmd: None,
            working_dir: None,
            stop_signal: None,
            volumes: None,
        };
        self.config.as_ref().unwrap_or(&NOTHING)
    }

    /// The folders that are to be there, relative to the root.
    pub(super) fn volume_folders(&self) -> Result<Vec<String>, ImageError> {
        let volumes = self.execution().volumes.iter().flatten();
        let folders = volumes.map(|(path, _)| {
            plain(path)?;
            let below = model::lxc::inner_path(path);
            let wrong = || ImageError::refused(format!("'{path}' cannot be a volume of it"));
            Ok(below.ok_or_else(wrong)?.trim_start_matches('/').to_owned())
        });
        folders.collect()
    }

    pub(super) fn options(
        &self,
        place: &mut dyn Place,
        warnings: &mut Vec<String>,
    ) -> Result<ImageOptions, ImageError> {
        let said = self.execution();
        let words: Vec<&String> = [&said.entrypoint, &said.cmd]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let entrypoint = words.iter().map(|word| quoted(word));
        let entrypoint = entrypoint.collect::<Vec<_>>().join(" ");
        let is_own = !entrypoint.is_empty() && entrypoint != INIT;
        let mut environment = Vec::new();
        for variable in said.env.iter().flatten() {
            match is_variable(variable) {
                true => environment.push(variable.clone()),
                false => {
                    let name = variable.split('=').next().unwrap_or_default();
                    let name = name.escape_debug();
                    warnings.push(format!("the variable '{name}' of the image is left out"));
                }
            }
        }
        let mut lxc = Vec::new();
        let mut put = |key: &str, value: String| lxc.push((format!("lxc.{key}"), value));
        if let Some(user) = said.user.as_deref().filter(|user| !user.is_empty()) {
            let user = User::find(user, place)?;
            put("init.uid", user.uid.to_string());
            put("init.gid", user.gid.to_string());
            let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
            if !groups.is_empty() {
                put("init.groups", groups.join(","));
            }
        }
        if let Some(folder) = said.working_dir.as_deref().filter(|path| !path.is_empty()) {
            if !folder.starts_with('/') {
                let why = format!("'{}' is no working folder", folder.escape_debug());
                return Err(ImageError::refused(why));
            }
            put("init.cwd", folder.to_owned());
        }
        let signal = said.stop_signal.as_deref().unwrap_or_default();
        match signal {
            // Init has signals of its own.
            "" if !is_own => {}
            "" => put("signal.halt", STOP_SIGNAL.to_owned()),
            signal if is_signal(signal) => put("signal.halt", signal.to_owned()),
            signal => {
                let why = format!("'{}' is no signal", signal.escape_debug());
                return Err(ImageError::refused(why));
            }
        }
        let options = ImageOptions {
            entrypoint: is_own.then_some(entrypoint),
            environment,
            lxc,
        };
        options.check()?;
        Ok(options)
    }
}

/// Whether a variable has a name that the option `env` takes.
fn is_variable(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn is_signal(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "+-".contains(c);
    text.len() <= 20 && text.chars().all(allowed)
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r#"'"'"'"#)),
    }
}

/// The words of a command line, parted as a shell parts them: by blanks, with quotes and backslashes.
/// A quote that does not end goes to the end.
pub fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\\') => word.get_or_insert_default().extend(rest.next()),
            (Some('"'), '\\') if matches!(rest.peek(), Some('"' | '\\' | '$' | '`')) => {
                word.get_or_insert_default().extend(rest.next());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whom the program of an image runs as.
#[derive(Debug, Default, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl User {
    /// `user`, `user:group`, each a name or a number; looked up in the container's files.
    fn find(text: &str, place: &mut dyn Place) -> Result<Self, ImageError> {
        plain(text)?;
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (text, None),
        };
        let mut read = |path: &str| -> Result<String, ImageError> {
            let content = place.read(path);
            let content = content.map_err(|source| cannot_read(path, &source))?;
            Ok(String::from_utf8_lossy(&content.unwrap_or_default()).into_owned())
        };
        let (users, groups) = (read("etc/passwd")?, read("etc/group")?);
        let number = user.parse::<u32>().ok();
        let line = rows(&users).find(|row| match number {
            Some(uid) => row.get(2).and_then(|id| id.parse().ok()) == Some(uid),
            None => row[0] == user,
        });
        let id_of = |row: &[&str], at: usize| row.get(at).and_then(|id| id.parse::<u32>().ok());
        let uid = number.or_else(|| id_of(line.as_ref()?, 2));
        let none = |what: &str, name: &str| {
            ImageError::refused(format!("there is no {what} '{}'", name.escape_debug()))
        };
        let uid = uid.ok_or_else(|| none("user", user))?;
        if let Some(group) = group {
            let named = || rows(&groups).find(|row| row[0] == group);
            let gid = group.parse().ok().or_else(|| id_of(&named()?, 2));
            return Ok(Self {
                uid,
                gid: gid.ok_or_else(|| none("group", group))?,
                groups: Vec::new(),
            });
        }
        let gid = line.as_ref().and_then(|row| id_of(row, 3)).unwrap_or(0);
        let name = line.as_ref().map(|row| row[0]);
        let is_in = |row: &Vec<&str>| {
            let members = row.get(3).copied().unwrap_or_default();
            name.is_some_and(|name| members.split(',').any(|member| member == name))
        };
        let others = rows(&groups).filter(is_in);
        Ok(Self {
            uid,
            gid,
            groups: others.filter_map(|row| id_of(&row, 2)).collect(),
        })
    }
}

fn cannot_read(path: &str, source: &io::Error) -> ImageError {
    ImageError::refused(format!("'/{path}' cannot be read: {source}"))
}

/// The lines of a file like `/etc/passwd`.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}
