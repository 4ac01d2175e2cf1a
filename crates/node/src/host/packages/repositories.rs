//! Where a host gets its packages from: `sources.list` in its two forms (sources.list(5)).

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};
use model::Error;
use model::text::hex;
use sys::SharedHost;

use super::paragraphs::{self, Paragraph};

const FOLDER: &str = "/etc/apt";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for each repository.
    List,
    /// A paragraph for each.
    Sources,
}

impl Form {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Sources => "sources",
        }
    }

    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "list" => Some(Self::List),
            "sources" => Some(Self::Sources),
            _ => None,
        }
    }
}

/// A file that names repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: PathBuf,
    pub form: Form,
    /// SHA-256 of its text.
    pub digest: Vec<u8>,
    pub repositories: Vec<Repository>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    pub enabled: bool,
    /// `deb`, `deb-src`
    pub types: Vec<String>,
    pub uris: Vec<String>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    pub options: Vec<(String, Vec<String>)>,
    pub comment: String,
}

impl Repository {
    /// Whose repository it is, where its address says it.
    pub fn origin(&self) -> Option<&'static str> {
        let uri = self.uris.first()?;
        let host = uri.split("://").nth(1)?.split('/').next()?;
        let path = uri.trim_end_matches('/').rsplit('/').next()?;
        match path {
            _ if host.ends_with("proxmox.com") => Some("Proxmox"),
            "debian" | "debian-security" => Some("Debian"),
            "ubuntu" => Some("Ubuntu"),
            _ => None,
        }
    }
}

/// All files, and what is wrong with which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repositories {
    pub files: Vec<File>,
    pub errors: Vec<(PathBuf, String)>,
}

impl Repositories {
    /// Of all files.
    pub fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        for file in &self.files {
            context.update(file.path.as_os_str().as_encoded_bytes());
            context.update(&file.digest);
        }
        hex(context.finish().as_ref())
    }
}

pub async fn repositories(host: &SharedHost) -> Result<Repositories, Error> {
    let folder = Path::new(FOLDER);
    let mut paths = vec![folder.join("sources.list")];
    let more = folder.join("sources.list.d");
    let entries = host.list(&more).await?;
    paths.extend(entries.iter().map(|entry| more.join(&entry.name)));
    let mut found = Repositories::default();
    for path in paths {
        let Some(form) = Form::of(&path) else {
            continue;
        };
        let content = match host.read(&path).await {
            Ok(content) => content,
            Err(error) if error.is_not_found() => continue,
            Err(error) => {
                found.errors.push((path, Error::from(error).message));
                continue;
            }
        };
        match parse(form, &String::from_utf8_lossy(&content)) {
            Ok(repositories) => found.files.push(File {
                path,
                form,
                digest: digest(&SHA256, &content).as_ref().to_vec(),
                repositories,
            }),
            Err(reason) => found.errors.push((path, reason)),
        }
    }
    Ok(found)
}

fn parse(form: Form, text: &str) -> Result<Vec<Repository>, String> {
    match form {
        Form::List => parse_list(text),
        Form::Sources => paragraphs::parse(text).iter().map(of_paragraph).collect(),
    }
}

/// Lines `deb [options] URI SUITE COMPONENTS`; one behind a `#` is switched off, and other
/// comments belong to what follows.
fn parse_list(text: &str) -> Result<Vec<Repository>, String> {
    let mut repositories = Vec::new();
    let mut comment = String::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        let (entry, is_off) = match line.strip_prefix('#') {
            Some(rest) => (rest.trim_start(), true),
            None => (line, false),
        };
        let is_entry = entry.starts_with("deb ") || entry.starts_with("deb-src ");
        match parse_line(entry).filter(|_| is_entry) {
            Some(repository) => repositories.push(Repository {
                enabled: !is_off,
                comment: std::mem::take(&mut comment),
                ..repository
            }),
            None if is_off => comment.push_str(&format!("{}\n", &line[1..])),
            None if line.is_empty() => comment.clear(),
            None => return Err(format!("line {number} is no repository")),
        }
    }
    Ok(repositories)
}

fn parse_line(line: &str) -> Option<Repository> {
    let line = line.split(" #").next()?;
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => {
            let (options, rest) = rest.split_once(']')?;
            (options, rest)
        }
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let option = |word: &str| {
        let (key, values) = word.split_once('=')?;
        Some((
            key.to_owned(),
            values.split(',').map(str::to_owned).collect(),
        ))
    };
    Some(Repository {
        types: vec![kind.to_owned()],
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        options: options.split_whitespace().filter_map(option).collect(),
        ..Repository::default()
    })
}

fn of_paragraph(paragraph: &Paragraph) -> Result<Repository, String> {
    const OWN: [&str; 5] = ["Types", "URIs", "Suites", "Components", "Enabled"];
    let needed = |name: &str| match paragraph.words(name) {
        words if words.is_empty() => Err(format!("a repository has no field '{name}'")),
        words => Ok(words),
    };
    let options = paragraph
        .0
        .iter()
        .filter(|(name, _)| !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let is_off = ["no", "false", "0", "off", "disable"];
    Ok(Repository {
        enabled: !is_off.contains(&paragraph.field("Enabled").to_ascii_lowercase().as_str()),
        types: needed("Types")?,
        uris: needed("URIs")?,
        suites: needed("Suites")?,
        components: paragraph.words("Components"),
        options: options
            .map(|(name, _)| (name.clone(), paragraph.words(name)))
            .collect(),
        comment: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_lines() {
        let text = "# ours\ndeb [arch=amd64,i386 trusted=yes] http://debian.example/debian trixie \
                    main contrib # no more\n\n#deb-src http://x.example/y sid main\n";
        let found = parse(Form::List, text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].components, ["main", "contrib"]);
        assert_eq!(
            found[0].options[0],
            ("arch".into(), vec!["amd64".into(), "i386".into()])
        );
        assert_eq!(
            (found[0].comment.as_str(), found[0].enabled),
            (" ours\n", true)
        );
        assert_eq!(
            (found[1].types[0].as_str(), found[1].enabled),
            ("deb-src", false)
        );
        assert_eq!(
            (found[0].origin(), found[1].origin()),
            (Some("Debian"), None)
        );
        assert!(parse(Form::List, "nonsense\n").is_err());
    }

    #[test]
    fn sources_have_paragraphs() {
        let text = "Types: deb\nURIs: http://download.proxmox.com/debian/pve\nSuites: trixie\n\
                    Components: pve-no-subscription\nSigned-By: /usr/share/keyrings/x.gpg\n\n\
                    Types: deb deb-src\nURIs: http://deb.debian.org/debian/\nSuites: trixie sid\n\
                    Components: main\nEnabled: no\n";
        let found = parse(Form::Sources, text).unwrap();
        assert_eq!(
            found[0].options,
            [("Signed-By".into(), vec!["/usr/share/keyrings/x.gpg".into()])]
        );
        assert_eq!(
            (found[0].origin(), found[1].origin()),
            (Some("Proxmox"), Some("Debian"))
        );
        assert_eq!((found[1].suites.len(), found[1].enabled), (2, false));
        assert!(parse(Form::Sources, "Types: deb\n").is_err());
    }
}
