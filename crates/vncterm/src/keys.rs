//! Translates X11 keysyms, which VNC sends, to a terminal's input.

/// Modifier keys that are held down.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    control: bool,
    alt: bool,
}

const CONTROL: [u32; 2] = [0xffe3, 0xffe4];
/// Alt and Meta, left and right.
const ALT: [u32; 4] = [0xffe9, 0xffea, 0xffe7, 0xffe8];

impl Keys {
    /// The input for a key; empty for releases and modifiers. `application` is the terminal's
    /// cursor key mode.
    pub(crate) fn typed(&mut self, is_down: bool, keysym: u32, application: bool) -> Vec<u8> {
        if CONTROL.contains(&keysym) {
            self.control = is_down;
        } else if ALT.contains(&keysym) {
            self.alt = is_down;
        } else if is_down {
            let mut bytes = self.bytes(keysym, application);
            if self.alt && !bytes.is_empty() {
                bytes.insert(0, 0x1b);
            }
            return bytes;
        }
        Vec::new()
    }

    fn bytes(&self, keysym: u32, application: bool) -> Vec<u8> {
        if let Some(text) = function_key(keysym, application) {
            return text.into_bytes();
        }
        let Some(character) = character(keysym) else {
            return Vec::new();
        };
        match u8::try_from(character) {
            Ok(byte @ (b'@'..=b'_' | b'a'..=b'z' | b' ')) if self.control => vec![byte & 0x1f],
            _ => character.to_string().into_bytes(),
        }
    }
}

/// Latin-1 keysyms are the character itself; others are Unicode with a marker bit.
fn character(keysym: u32) -> Option<char> {
    match keysym {
        0x20..=0x7e | 0xa0..=0xff => char::from_u32(keysym),
        0x0100_0100..=0x0110_ffff => char::from_u32(keysym - 0x0100_0000),
        // The digits and signs of the keypad.
        0xff80 | 0xffaa..=0xffb9 | 0xffbd => char::from_u32((keysym - 0xff80).max(0x20)),
        _ => None,
    }
}

fn function_key(keysym: u32, application: bool) -> Option<String> {
    let cursor = |letter: char| format!("\x1b{}{letter}", if application { 'O' } else { '[' });
    Some(match keysym {
        0xff08 => "\x7f".to_owned(),
        0xff09 | 0xff89 => "\t".to_owned(),
        0xff0d | 0xff8d => "\r".to_owned(),
        0xff1b => "\x1b".to_owned(),
        // Shift and Tab.
        0xfe20 => "\x1b[Z".to_owned(),
        0xff50 | 0xff95 => cursor('H'),
        0xff51 | 0xff96 => cursor('D'),
        0xff52 | 0xff97 => cursor('A'),
        0xff53 | 0xff98 => cursor('C'),
        0xff54 | 0xff99 => cursor('B'),
        0xff57 | 0xff9c => cursor('F'),
        0xff55 | 0xff9a => "\x1b[5~".to_owned(),
        0xff56 | 0xff9b => "\x1b[6~".to_owned(),
        0xff63 | 0xff9e => "\x1b[2~".to_owned(),
        0xffff | 0xff9f => "\x1b[3~".to_owned(),
        // F1 to F4, then F5 to F12, as xterm numbers them.
        0xffbe..=0xffc1 => format!("\x1bO{}", char::from(b'P' + (keysym - 0xffbe) as u8)),
        0xffc2..=0xffc9 => {
            let number = [15, 17, 18, 19, 20, 21, 23, 24][(keysym - 0xffc2) as usize];
            format!("\x1b[{number}~")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &mut Keys, keysym: u32) -> Vec<u8> {
        keys.typed(true, keysym, false)
    }

    #[test]
    fn letters_controls_and_functions() {
        let mut keys = Keys::default();
        assert_eq!(typed(&mut keys, u32::from('a')), b"a");
        assert_eq!(typed(&mut keys, 0x00e9), "é".as_bytes());
        assert_eq!(typed(&mut keys, 0x0100_20ac), "€".as_bytes());
        assert_eq!(typed(&mut keys, 0xff0d), b"\r");
        assert_eq!(typed(&mut keys, 0xffb7), b"7");
        assert_eq!(typed(&mut keys, 0xff52), b"\x1b[A");
        assert_eq!(keys.typed(true, 0xff52, true), b"\x1bOA");
        assert_eq!(typed(&mut keys, 0xffbe), b"\x1bOP");
        assert_eq!(typed(&mut keys, 0xffc9), b"\x1b[24~");
        assert_eq!(keys.typed(false, u32::from('a'), false), b"");
    }

    #[test]
    fn control_and_alt_are_held() {
        let mut keys = Keys::default();
        assert_eq!(typed(&mut keys, 0xffe3), b"");
        assert_eq!(typed(&mut keys, u32::from('c')), b"\x03");
        assert_eq!(typed(&mut keys, u32::from('[')), b"\x1b");
        keys.typed(false, 0xffe3, false);
        typed(&mut keys, 0xffe9);
        assert_eq!(typed(&mut keys, u32::from('x')), b"\x1bx");
        keys.typed(false, 0xffe9, false);
        assert_eq!(typed(&mut keys, u32::from('x')), b"x");
    }
}
