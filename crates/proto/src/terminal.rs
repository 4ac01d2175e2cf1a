//! What a terminal in a browser says: `USER:TICKET\n`, then messages.
//!
//! ```text
//!   0:LENGTH:DATA       typed
//!   1:COLUMNS:ROWS:     the window's size
//!   2                   still there
//! ```
//!
//! What else it says is passed over, byte by byte, and so are sizes that are none: a terminal that
//! is hidden sends `1:-1:-1:`. Only what is typed must be told how long it is.
//!
//! It is a stream of bytes: a message may be spread over frames, and a frame may hold several.

/// The longest line that says who it is: a ticket has 512 bytes at most.
const LOGIN_LIMIT: usize = 1024;

/// The longest number with its colon.
const NUMBER_LIMIT: usize = 8;

/// The longest message about the window's size.
const SIZE_LIMIT: usize = 2 + 2 * NUMBER_LIMIT;

/// The most that is typed at once.
const TYPED_LIMIT: usize = 128 * 1024;

/// Why a terminal is not listened to any more.
pub const NONSENSE: &str = "this is not what a terminal says";

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Typed(Vec<u8>),
    Size { columns: u16, rows: u16 },
}

/// Takes messages apart.
#[derive(Default)]
pub struct Terminal {
    rest: Vec<u8>,
    /// How much of `rest` was taken.
    taken: usize,
}

impl Terminal {
    pub fn add(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The first line, once it is there.
    pub fn login(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(end) = memchr::memchr(b'\n', &self.rest) else {
            let is_long = self.rest.len() > LOGIN_LIMIT;
            return if is_long { Err(NONSENSE) } else { Ok(None) };
        };
        let mut line: Vec<u8> = self.rest.drain(..=end).collect();
        line.pop();
        Ok(Some(line))
    }

    /// The next message that is whole.
    pub fn message(&mut self) -> Result<Option<Said>, &'static str> {
        loop {
            let Some((length, said)) = message(&self.rest[self.taken..])? else {
                self.rest.drain(..self.taken);
                self.taken = 0;
                return Ok(None);
            };
            self.taken += length;
            if said.is_some() {
                return Ok(said);
            }
        }
    }

    /// What was typed in all messages that are whole.
    pub fn typed(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut typed = Vec::new();
        while let Some(said) = self.message()? {
            if let Said::Typed(bytes) = said {
                typed.extend(bytes);
            }
        }
        Ok(typed)
    }

    /// What came after the messages that were taken, as it came.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.rest.drain(..self.taken);
        self.taken = 0;
        std::mem::take(&mut self.rest)
    }
}

/// The length of the first message, if it is whole, and what it says.
fn message(bytes: &[u8]) -> Result<Option<(usize, Option<Said>)>, &'static str> {
    match bytes.first() {
        None => Ok(None),
        Some(b'0') if bytes.get(1).is_none_or(|next| *next == b':') => {
            let Some((length, begin)) = number(bytes, 1)? else {
                return Ok(None);
            };
            if length > TYPED_LIMIT {
                return Err(NONSENSE);
            }
            let data = bytes.get(begin..begin + length);
            Ok(data.map(|data| (begin + length, Some(Said::Typed(data.to_vec())))))
        }
        Some(b'1') => Ok(size(bytes)),
        Some(_) => Ok(Some((1, None))),
    }
}

/// The length of a message about the window's size and that size; of its first byte where it is no
/// such message.
fn size(bytes: &[u8]) -> Option<(usize, Option<Said>)> {
    let longest = SIZE_LIMIT.min(bytes.len());
    let mut colons = memchr::memchr_iter(b':', &bytes[..longest]);
    match colons.next() {
        Some(1) => {}
        None if bytes.len() == 1 => return None,
        _ => return Some((1, None)),
    }
    let (middle, end) = (colons.next(), colons.next());
    let (Some(middle), Some(end)) = (middle, end) else {
        return (bytes.len() >= SIZE_LIMIT).then_some((1, None));
    };
    let side = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    let columns = side(&bytes[2..middle]);
    let sides = columns.zip(side(&bytes[middle + 1..end]));
    let said = sides.map(|(columns, rows)| Said::Size { columns, rows });
    Some((end + 1, said))
}

/// Reads `:NUMBER:` at a place; answers the number and where it ends. The second colon is also
/// the first of what follows.
fn number(bytes: &[u8], at: usize) -> Result<Option<(usize, usize)>, &'static str> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b':') => {}
        Some(_) => return Err(NONSENSE),
    }
    let rest = &bytes[at + 1..];
    let Some(end) = memchr::memchr(b':', rest) else {
        let is_long = rest.len() > NUMBER_LIMIT;
        return if is_long { Err(NONSENSE) } else { Ok(None) };
    };
    let digits = std::str::from_utf8(&rest[..end]).ok();
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    let number = number.filter(|_| end <= NUMBER_LIMIT).ok_or(NONSENSE)?;
    Ok(Some((number, at + 1 + end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let text = b"root@pam:PVEVNC:1\n1:80:24:0:3:a:b2220:0:0:1:\n";
        for size in 1..text.len() {
            let mut terminal = Terminal::default();
            let (mut login, mut typed) = (None, Vec::new());
            for part in text.chunks(size) {
                terminal.add(part);
                if login.is_none() {
                    login = terminal.login().unwrap();
                }
                if login.is_some() {
                    typed.extend(terminal.typed().unwrap());
                }
            }
            assert_eq!(login.unwrap(), b"root@pam:PVEVNC:1");
            assert_eq!(typed, b"a:b\n", "cut to {size}");
        }
    }

    #[test]
    fn what_means_nothing_is_passed_over() {
        for text in [
            "1:-1:-1:",
            "1:80:x:",
            "1:::",
            "x",
            "\u{ff}",
            "3::",
            "1x",
            "1:100000000000000000000000",
            "0x",
        ] {
            let whole = format!("{text}0:1:a2");
            for size in 1..=whole.len() {
                let mut terminal = Terminal::default();
                let mut typed = Vec::new();
                for part in whole.as_bytes().chunks(size) {
                    terminal.add(part);
                    typed.extend(terminal.typed().unwrap());
                }
                assert_eq!(typed, b"a", "{whole} cut to {size}");
            }
        }
    }

    #[test]
    fn sizes_are_read() {
        let mut terminal = Terminal::default();
        terminal.add(b"1:80:24:1:-1:-1:0:1:a1:132:");
        let size = Said::Size {
            columns: 80,
            rows: 24,
        };
        assert_eq!(terminal.message(), Ok(Some(size)));
        assert_eq!(terminal.message(), Ok(Some(Said::Typed(b"a".to_vec()))));
        assert_eq!(terminal.message(), Ok(None));
        assert_eq!(terminal.take_rest(), b"1:132:");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["0:a:", "0:-1:", "0:999999999:", "0::", "0:123456789"] {
            let mut terminal = Terminal::default();
            terminal.add(text.as_bytes());
            assert!(terminal.typed().is_err(), "{text}");
        }
        let mut terminal = Terminal::default();
        terminal.add(&[b'x'; LOGIN_LIMIT + 1]);
        assert!(terminal.login().is_err());
    }
}
