//! Reading tar archives, one member after the other, with bounded memory.

use std::io::{self, Read, Seek, SeekFrom};

/// The unit of an archive.
const BLOCK: usize = 512;

/// The longest name, link or list of attributes of a member.
const LONGEST_HEADER: u64 = 1 << 20;

/// The longest path that the kernel takes.
const LONGEST_PATH: usize = 4096;

/// Attributes that a container's files may have; the kernel's others are not for archives.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    HardLink,
    Link,
    CharacterDevice,
    BlockDevice,
    Folder,
    Pipe,
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root of the tree, without `.`, `..` and doubled slashes; empty for the root.
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub changed: i64,
    pub size: u64,
    /// What a link says; a hard link's is a path as `path` is.
    pub target: String,
    /// Major and minor number.
    pub device: (u32, u32),
    /// Extended attributes: `user.*` and `security.capability`.
    pub attributes: Vec<(String, Vec<u8>)>,
}

/// A stream that can be gone on in without reading.
pub(super) trait Skip: Read {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.take(bytes), &mut io::sink())?;
        match skipped == bytes {
            true => Ok(()),
            false => Err(broken("it ends early")),
        }
    }
}

/// A file, which knows its length.
pub(super) struct Seeking<F> {
    pub from: F,
    pub length: u64,
}

impl<F: Read> Read for Seeking<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

impl<F: Read + Seek> Skip for Seeking<F> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let at = self.from.stream_position()?;
        let next = at.checked_add(bytes).filter(|next| *next <= self.length);
        let next = next.ok_or_else(|| broken("it ends early"))?;
        self.from.seek(SeekFrom::Start(next)).map(|_| ())
    }
}

pub(super) fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The members of an archive. Reading from it reads the content of the member that came last.
pub(super) struct Reader<R> {
    pub from: R,
    /// What is left of the member's content, and what fills its last block.
    left: u64,
    padding: u64,
}

/// What headers before a member say about it.
#[derive(Default)]
struct Said {
    path: Option<String>,
    target: Option<String>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    changed: Option<i64>,
    attributes: Vec<(String, Vec<u8>)>,
}

impl<R: Skip> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            left: 0,
            padding: 0,
        }
    }

    /// The next member; none at the end of the archive.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut said = Said::default();
        loop {
            self.from.skip(self.left + self.padding)?;
            (self.left, self.padding) = (0, 0);
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let mut size = number(&header[124..136])?;
            match header[156] {
                b'x' => said.extended(&self.long(size)?)?,
                // What it says is for all members: no writer of images has it, but for comments.
                b'g' => drop(self.long(size)?),
                b'L' => said.path = Some(text(&self.long(size)?)?),
                b'K' => said.target = Some(text(&self.long(size)?)?),
                _ => {
                    size = said.size.unwrap_or(size);
                    let entry = entry(&header, said, size)?;
                    self.left = entry.size;
                    self.padding = padding(self.left);
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// None at the end: a block of zeros, or nothing.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut header = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.from.read(&mut header[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(broken("it ends early")),
                read => filled += read,
            }
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let expected = number(&header[148..156])?;
        let blanks = u64::from(b' ') * 8;
        let (before, after) = (&header[..148], &header[156..]);
        let sum = |part: &[u8]| part.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        match sum(before) + sum(after) + blanks == expected {
            true => Ok(Some(header)),
            false => Err(broken("it is no tar archive, or damaged")),
        }
    }

    /// The content of a header that has some.
    fn long(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LONGEST_HEADER {
            return Err(broken("a header of it is too long"));
        }
        let mut content = Vec::new();
        (&mut self.from).take(size).read_to_end(&mut content)?;
        if content.len() as u64 != size {
            return Err(broken("it ends early"));
        }
        self.from.skip(padding(size))?;
        Ok(content)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(broken("it ends early"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// Octal digits, or bits after a first byte of 0x80.
fn number(field: &[u8]) -> io::Result<u64> {
    let wrong = || broken("a number in a header is wrong");
    if field[0] & 0x80 != 0 {
        let (first, bytes) = (field[0] & 0x7f, &field[1..]);
        let start = bytes.len().saturating_sub(8);
        if first != 0 || bytes[..start].iter().any(|byte| *byte != 0) {
            return Err(wrong());
        }
        let bytes = &bytes[start..];
        return Ok(bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| wrong())?.trim();
    match digits.is_empty() {
        true => Ok(0),
        false => u64::from_str_radix(digits, 8).map_err(|_| wrong()),
    }
}

/// A text that ends with a NUL, or with its field.
fn text(field: &[u8]) -> io::Result<String> {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text);
    text.map(str::to_owned)
        .map_err(|_| broken("a name in it is no UTF-8"))
}

impl Said {
    /// `LENGTH KEY=VALUE\n`, one after the other.
    fn extended(&mut self, records: &[u8]) -> io::Result<()> {
        let wrong = || broken("an extended header of it is wrong");
        let mut rest = records;
        while !rest.is_empty() {
            let blank = rest.iter().position(|byte| *byte == b' ');
            let blank = blank.ok_or_else(wrong)?;
            let length = std::str::from_utf8(&rest[..blank]).map_err(|_| wrong())?;
            let length: usize = length.parse().map_err(|_| wrong())?;
            if length <= blank + 1 || length > rest.len() || rest[length - 1] != b'\n' {
                return Err(wrong());
            }
            let record = &rest[blank + 1..length - 1];
            let sign = record.iter().position(|byte| *byte == b'=');
            let (key, value) = record.split_at(sign.ok_or_else(wrong)?);
            let key = std::str::from_utf8(key).map_err(|_| wrong())?;
            self.record(key, &value[1..])?;
            rest = &rest[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        let number = || {
            let digits = text(value)?;
            let whole = digits.split('.').next().unwrap_or_default();
            whole
                .parse::<i64>()
                .map_err(|_| broken("a number in an extended header is wrong"))
        };
        let natural = || u64::try_from(number()?).map_err(|_| broken("a number is negative"));
        match key {
            "path" => self.path = Some(text(value)?),
            "linkpath" => self.target = Some(text(value)?),
            "size" => self.size = Some(natural()?),
            "uid" => self.uid = Some(natural()?),
            "gid" => self.gid = Some(natural()?),
            "mtime" => self.changed = Some(number()?),
            key if key.starts_with("GNU.sparse.") => {
                return Err(broken("a file in it has holes, which images do not have"));
            }
            key => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE)
                    && (name.starts_with("user.") || name == "security.capability")
                {
                    self.attributes.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn entry(header: &[u8; BLOCK], said: Said, size: u64) -> io::Result<Entry> {
    let path = match said.path {
        Some(path) => path,
        None => short_path(header)?,
    };
    let kind = match header[156] {
        b'0' | b'7' | 0 if path.ends_with('/') => Kind::Folder,
        b'0' | b'7' | 0 => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Link,
        b'3' => Kind::CharacterDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Folder,
        b'6' => Kind::Pipe,
        _ => return Err(broken("a member of it is of an unknown kind")),
    };
    let mut target = match said.target {
        Some(target) => target,
        None => text(&header[157..257])?,
    };
    if kind == Kind::HardLink {
        target = plain_path(&target)?;
    }
    let small = |value: u64| u32::try_from(value).map_err(|_| broken("a number is too large"));
    let changed = number(&header[136..148]).ok();
    let changed = changed.and_then(|seconds| i64::try_from(seconds).ok());
    Ok(Entry {
        path: plain_path(&path)?,
        kind,
        mode: small(number(&header[100..108])?)? & 0o7777,
        uid: small(said.uid.map_or_else(|| number(&header[108..116]), Ok)?)?,
        gid: small(said.gid.map_or_else(|| number(&header[116..124]), Ok)?)?,
        changed: said.changed.or(changed).unwrap_or(0),
        size: if kind == Kind::File { size } else { 0 },
        target,
        device: match kind {
            Kind::CharacterDevice | Kind::BlockDevice => (
                small(number(&header[329..337])?)?,
                small(number(&header[337..345])?)?,
            ),
            _ => (0, 0),
        },
        attributes: said.attributes,
    })
}

/// The path in a header alone, with its prefix where the format has one.
fn short_path(header: &[u8; BLOCK]) -> io::Result<String> {
    let path = text(&header[..100])?;
    let prefix = match &header[257..263] == b"ustar\0" {
        true => text(&header[345..500])?,
        false => String::new(),
    };
    Ok(match prefix.is_empty() {
        true => path,
        false => format!("{prefix}/{path}"),
    })
}

/// A path below the root. One that climbs is refused, wherever it would end.
fn plain_path(path: &str) -> io::Result<String> {
    let shown = || path.chars().take(200).collect::<String>();
    if path.len() > LONGEST_PATH {
        return Err(broken("a path in it is too long"));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let why = format!("the path '{}' leads out of it", shown());
                return Err(broken(&why));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
