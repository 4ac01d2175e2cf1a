//! Archives of tar, as far as they are looked at before a program reads them. They come from anybody.
//!
//! Format: ustar and pax of POSIX, and the extensions of GNU tar for long names and sparse files.

use std::mem;

use model::Error;

pub(crate) const BLOCK: usize = 512;

/// The longest name or list of attributes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// What an archive has about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) bytes: u64,
    link: String,
    /// The kernel's numbers of a device.
    device: (u64, u64),
    /// A map of holes goes on in the next block.
    continues: bool,
}

/// The kinds that are looked at.
pub(crate) mod kind {
    pub(crate) const FILE: u8 = b'0';
    pub(crate) const OLD_FILE: u8 = 0;
    pub(crate) const CONTIGUOUS: u8 = b'7';
    pub(crate) const HARD_LINK: u8 = b'1';
    pub(crate) const LINK: u8 = b'2';
    pub(crate) const CHARACTERS: u8 = b'3';
    pub(crate) const BLOCKS: u8 = b'4';
    pub(crate) const FOLDER: u8 = b'5';
    pub(crate) const PIPE: u8 = b'6';
    pub(crate) const SPARSE: u8 = b'S';
    pub(crate) const LONG_NAME: u8 = b'L';
    pub(crate) const LONG_LINK: u8 = b'K';
    pub(crate) const ATTRIBUTES: u8 = b'x';
    pub(crate) const GLOBAL: u8 = b'g';
}

impl Entry {
    /// What a block says; none at the end of an archive. An error says what is wrong.
    pub(crate) fn of(block: &[u8; BLOCK]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |(at, byte): (usize, &u8)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        };
        let sum: u64 = block.iter().enumerate().map(sum).sum();
        if number(&block[148..156]) != Some(sum) {
            return Err("it is no archive of tar");
        }
        let mut name = text(&block[..100]);
        // GNU's own format has other things there.
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            name = format!("{}/{name}", text(&block[345..500]));
        }
        let kind = block[156];
        Ok(Some(Self {
            name,
            kind,
            bytes: number(&block[124..136]).ok_or("a size in it cannot be read")?,
            link: text(&block[157..257]),
            device: (
                number(&block[329..337]).unwrap_or(u64::MAX),
                number(&block[337..345]).unwrap_or(u64::MAX),
            ),
            continues: kind == kind::SPARSE && block[482] != 0,
        }))
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, kind::FILE | kind::OLD_FILE | kind::CONTIGUOUS)
    }

    /// Whether what follows is about the next entry.
    fn is_about_next(&self) -> bool {
        matches!(
            self.kind,
            kind::LONG_NAME | kind::LONG_LINK | kind::ATTRIBUTES | kind::GLOBAL
        )
    }

    /// Why this is not unpacked.
    fn objection(&self) -> Option<String> {
        let name = &self.name;
        match self.kind {
            _ if climbs(name) => Some(format!("'{name}' leads out of it")),
            kind::HARD_LINK if climbs(&self.link) => {
                Some(format!("'{name}' is a link to '{}', out of it", self.link))
            }
            // What overlays leave where a file is gone is no device.
            kind::CHARACTERS if self.device == (0, 0) => None,
            kind::CHARACTERS | kind::BLOCKS => Some(format!("'{name}' is a device")),
            kind::HARD_LINK | kind::LINK | kind::FOLDER | kind::PIPE if self.bytes > 0 => {
                Some(format!("'{name}' has content and is no file"))
            }
            kind::HARD_LINK | kind::LINK | kind::FOLDER | kind::PIPE | kind::SPARSE => None,
            _ if self.is_file() => None,
            other => Some(format!("'{name}' is of the unknown kind {other}")),
        }
    }
}

/// Whether a path leads out of the folder that it begins in.
fn climbs(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// Octal digits; binary where the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first()? {
        (0x80, rest) => {
            let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
            let low = u64::from_be_bytes(low.try_into().ok()?);
            high.iter().all(|byte| *byte == 0).then_some(low)
        }
        _ => {
            let digits = std::str::from_utf8(field).ok()?;
            let digits = digits.trim_matches(|c: char| c == '\0' || c.is_whitespace());
            match digits.is_empty() {
                true => Some(0),
                false => u64::from_str_radix(digits, 8).ok(),
            }
        }
    }
}

/// Watches an archive pass by, and objects to what is not unpacked.
#[derive(Default)]
pub(crate) struct Watch {
    block: Vec<u8>,
    /// What is left of the content of an entry, with the rest of its last block.
    left: u64,
    /// The content that is about the next entry.
    about: Option<(u8, u64, Vec<u8>)>,
    next: Next,
    /// A map of holes goes on.
    continues: bool,
    ended: bool,
}

/// What is said of an entry before it.
#[derive(Default)]
struct Next {
    names: Vec<String>,
    link: Option<String>,
    bytes: Option<u64>,
}

impl Watch {
    /// Looks at the next bytes. An error says what is wrong with the archive.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() && !self.ended {
            if self.left > 0 {
                let count = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                if let Some((_, _, kept)) = &mut self.about {
                    kept.extend_from_slice(&bytes[..count]);
                }
                self.left -= count as u64;
                bytes = &bytes[count..];
                if self.left == 0 {
                    self.learn().map_err(|why| refused(&why))?;
                }
                continue;
            }
            let count = bytes.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.block.len() == BLOCK {
                self.look().map_err(|why| refused(&why))?;
            }
        }
        Ok(())
    }

    /// Whether all of the archive has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.ended
    }

    /// Refuses an archive that was cut.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match self.ended {
            true => Ok(()),
            false => Err(refused("it ends in the middle")),
        }
    }

    fn look(&mut self) -> Result<(), String> {
        let block = mem::take(&mut self.block);
        let block: &[u8; BLOCK] = block[..]
            .try_into()
            .map_err(|_| "a block is short".to_owned())?;
        if mem::take(&mut self.continues) {
            self.continues = block[504] != 0;
            return Ok(());
        }
        let Some(mut entry) = Entry::of(block)? else {
            self.ended = true;
            return Ok(());
        };
        if entry.is_about_next() {
            if entry.bytes > TEXT_BYTES_MAX {
                return Err("a name in it is too long".to_owned());
            }
            self.about = Some((entry.kind, entry.bytes, Vec::new()));
        } else {
            let next = mem::take(&mut self.next);
            entry.bytes = next.bytes.unwrap_or(entry.bytes);
            entry.link = next.link.unwrap_or(entry.link);
            let names = match next.names.is_empty() {
                true => vec![mem::take(&mut entry.name)],
                false => next.names,
            };
            for name in names {
                entry.name = name;
                if let Some(objection) = entry.objection() {
                    return Err(objection);
                }
            }
            self.continues = entry.continues;
        }
        let whole = entry.bytes.checked_next_multiple_of(BLOCK as u64);
        self.left = whole.ok_or("a size in it is too large")?;
        if self.left == 0 {
            self.learn()?;
        }
        Ok(())
    }

    /// Reads what is about the next entry.
    fn learn(&mut self) -> Result<(), String> {
        let Some((kind, bytes, mut content)) = self.about.take() else {
            return Ok(());
        };
        content.truncate(usize::try_from(bytes).unwrap_or(0));
        match kind {
            kind::LONG_NAME => self.next.names.push(text(&content)),
            kind::LONG_LINK => self.next.link = Some(text(&content)),
            _ => {
                for (name, value) in attributes(&content)? {
                    match name.as_str() {
                        "path" | "GNU.sparse.name" => self.next.names.push(value),
                        "linkpath" => self.next.link = Some(value),
                        "size" => {
                            let bytes = value.parse();
                            self.next.bytes =
                                Some(bytes.map_err(|_| "a size in it cannot be read")?);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// The attributes of pax: `LENGTH NAME=VALUE\n`.
fn attributes(mut content: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    const WRONG: &str = "attributes in it cannot be read";
    let mut found = Vec::new();
    while !content.is_empty() {
        let space = content.iter().position(|byte| *byte == b' ').ok_or(WRONG)?;
        let length = std::str::from_utf8(&content[..space]).map_err(|_| WRONG)?;
        let length: usize = length.parse().map_err(|_| WRONG)?;
        let record = content.get(space + 1..length).ok_or(WRONG)?;
        let record = record.strip_suffix(b"\n").ok_or(WRONG)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
        let (name, value) = record.split_at(equals);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found.push((text(name), text(&value[1..])));
        content = &content[length..];
    }
    Ok(found)
}

fn refused(why: &str) -> Error {
    Error::conflict(format!("the archive is refused: {why}"))
}
