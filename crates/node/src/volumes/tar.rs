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

    /// Programs take what follows for the next header.
    fn has_no_content(&self) -> bool {
        matches!(
            self.kind,
            kind::HARD_LINK | kind::LINK | kind::CHARACTERS | kind::FOLDER | kind::PIPE
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
            kind::BLOCKS => Some(format!("'{name}' is a device")),
            // What overlays leave where a file is gone is no device.
            kind::CHARACTERS if self.device != (0, 0) => Some(format!("'{name}' is a device")),
            _ if self.bytes > 0 && self.has_no_content() => {
                Some(format!("'{name}' has content and is no file"))
            }
            _ if self.has_no_content() => None,
            kind::SPARSE => None,
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

/// Octal digits; binary where the first byte is 0x80 (GNU). GNU tar takes other fields for other numbers:
/// after a sign it reads digits to the base of 64, and a header whose size is blank it passes over.
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
                true => field.iter().all(|byte| *byte == 0).then_some(0),
                false if digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) => {
                    u64::from_str_radix(digits, 8).ok()
                }
                false => None,
            }
        }
    }
}

/// Decimal digits and nothing else, as attributes have them.
fn decimal(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
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
    /// The kinds of the headers that have said it.
    kinds: Vec<u8>,
    names: Vec<String>,
    link: Option<String>,
    bytes: Option<u64>,
}

/// How many headers may be about one entry: a long name and a long link.
const ABOUT_MAX: usize = 2;

impl Next {
    /// Another header is about the entry. Programs differ in what they make of two of a kind.
    fn expect(&mut self, kind: u8) -> Result<(), &'static str> {
        if kind == kind::GLOBAL {
            return Ok(());
        }
        if self.kinds.contains(&kind) || self.kinds.len() == ABOUT_MAX {
            return Err("there are too many headers about one entry");
        }
        self.kinds.push(kind);
        Ok(())
    }

    /// Learns from attributes.
    fn learn(&mut self, kind: u8, attributes: Vec<(String, String)>) -> Result<(), &'static str> {
        for (name, value) in attributes {
            let is_read = matches!(name.as_str(), "path" | "linkpath" | "size");
            if !is_read && !name.starts_with("GNU.sparse.") {
                continue;
            }
            if kind == kind::GLOBAL {
                return Err("it says names or sizes for all entries");
            }
            if value.contains('\0') {
                return Err("attributes in it cannot be read");
            }
            match name.as_str() {
                "path" | "GNU.sparse.name" => self.names.push(value),
                "linkpath" => self.link = Some(value),
                "size" => {
                    let bytes = decimal(&value);
                    self.bytes = Some(bytes.ok_or("a size in it cannot be read")?);
                }
                _ => {}
            }
        }
        Ok(())
    }
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
            self.next.expect(entry.kind)?;
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
            _ => self.next.learn(kind, attributes(&content)?)?,
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
        let length = decimal(length).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(WRONG)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with this in its field of the size.
    fn header(name: &str, kind: u8, size: &[u8]) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..124 + size.len()].copy_from_slice(size);
        block[148..156].fill(b' ');
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    /// An entry with its content.
    fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let size = format!("{:011o}", content.len());
        let mut all = header(name, kind, size.as_bytes());
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
        all
    }

    fn attribute(name: &str, value: &str) -> Vec<u8> {
        let rest = name.len() + value.len() + 3;
        let length = (1..9).map(|digits| digits + rest);
        let mut length = length.filter(|length| length.to_string().len() + rest == *length);
        format!("{} {name}={value}\n", length.next().unwrap()).into_bytes()
    }

    fn watched(parts: &[Vec<u8>]) -> Result<(), String> {
        let mut archive = parts.concat();
        archive.resize(archive.len() + 2 * BLOCK, 0);
        let mut watch = Watch::default();
        let seen = watch.see(&archive).and_then(|()| watch.end());
        seen.map_err(|error| error.message)
    }

    fn assert_refused(parts: &[Vec<u8>], why: &str) {
        let error = watched(parts).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_size_is_of_octal_digits() {
        for (size, expected) in [
            (b"00000001000\0".as_slice(), Some(512)),
            (b"       1000 ".as_slice(), Some(512)),
            ([0; 12].as_slice(), Some(0)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x02\0".as_slice(), Some(512)),
            (b"+0000001000\0".as_slice(), None),
            (b"-0000001000\0".as_slice(), None),
            (b"00000001008\0".as_slice(), None),
            ([b' '; 12].as_slice(), None),
            ([0xff; 12].as_slice(), None),
        ] {
            assert_eq!(number(size), expected, "{size:?}");
        }
        let plus = header("a", kind::FILE, b"+0000001000");
        assert_refused(&[plus], "a size in it cannot be read");
        let good = entry("a", kind::FILE, b"content");
        watched(&[good]).unwrap();
    }

    #[test]
    fn nothing_is_said_for_all_entries() {
        for (name, value) in [
            ("size", "0"),
            ("path", "a"),
            ("linkpath", "a"),
            ("GNU.sparse.name", "a"),
        ] {
            let all = entry("g", kind::GLOBAL, &attribute(name, value));
            let file = entry("a", kind::FILE, b"content");
            assert_refused(&[all, file], "for all entries");
        }
        let comment = entry("g", kind::GLOBAL, &attribute("comment", "of git"));
        watched(&[comment.clone(), comment, entry("a", kind::FILE, b"x")]).unwrap();
    }

    #[test]
    fn two_headers_are_about_an_entry_and_no_more() {
        let name = || entry("n", kind::LONG_NAME, b"long/name\0");
        let link = || entry("n", kind::LONG_LINK, b"long/link\0");
        let more = || entry("n", kind::ATTRIBUTES, &attribute("mtime", "1.5"));
        let file = || entry("a", kind::FILE, b"content");
        watched(&[name(), link(), file(), name(), more(), file()]).unwrap();
        for parts in [
            vec![name(), link(), more(), file()],
            vec![name(), name(), file()],
            vec![more(), more(), file()],
        ] {
            assert_refused(&parts, "too many headers");
        }
    }

    #[test]
    fn attributes_are_held_to_what_they_say() {
        let file = || entry("a", kind::FILE, b"content");
        let with = |name, value| entry("x", kind::ATTRIBUTES, &attribute(name, value));
        watched(&[with("size", "7"), file()]).unwrap();
        assert_refused(&[with("size", "+7"), file()], "a size in it cannot be read");
        assert_refused(&[with("path", "../a"), file()], "'../a' leads out of it");
        assert_refused(&[with("path", "..\0a"), file()], "cannot be read");
        let hard = entry("a", kind::HARD_LINK, b"");
        assert_refused(&[with("linkpath", "/etc"), hard], "out of it");
        let signed = entry("x", kind::ATTRIBUTES, b"+9 path=a\n");
        assert_refused(&[signed, file()], "attributes in it cannot be read");
    }

    #[test]
    fn devices_are_refused_and_marks_of_overlays_are_not() {
        let device = |kind, major: &[u8]| {
            let mut block = header("a", kind, b"0");
            block[329..329 + major.len()].copy_from_slice(major);
            block[337..344].copy_from_slice(b"0000000");
            block[148..156].fill(b' ');
            let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            block
        };
        watched(&[device(kind::CHARACTERS, b"0000000")]).unwrap();
        for kind in [kind::CHARACTERS, kind::LINK, kind::FOLDER, kind::PIPE] {
            let with_content = entry("a", kind, b"content");
            assert_refused(&[with_content], "'a' has content and is no file");
        }
        for (kind, major) in [
            (kind::CHARACTERS, b"0000001"),
            (kind::CHARACTERS, b"+000000"),
            (kind::BLOCKS, b"0000000"),
        ] {
            assert_refused(&[device(kind, major)], "'a' is a device");
        }
    }
}
