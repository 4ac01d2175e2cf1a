//! The glyphs of the screen: Spleen, 8 by 16 pixels, a console font of format PSF1.

use std::collections::HashMap;
use std::sync::LazyLock;

use spleen_font::FONT_8X16;

pub const GLYPH_WIDTH: usize = 8;
pub const GLYPH_HEIGHT: usize = 16;

/// One byte a row of pixels, the leftmost in the highest bit.
pub(crate) type Glyph = [u8; GLYPH_HEIGHT];

/// Magic number, mode and height of a glyph.
const HEADER_BYTES: usize = 4;
const MODE_512_GLYPHS: u8 = 1;
/// Separators in the table of characters behind the glyphs: the end of a glyph's entry, and the
/// start of its character sequences, which our cells never contain.
const END: u16 = 0xffff;
const SEQUENCE: u16 = 0xfffe;

static GLYPHS: LazyLock<HashMap<char, Glyph>> = LazyLock::new(|| read(FONT_8X16));

/// The glyph of a character; that of `?` if the font has none.
pub fn glyph(character: char) -> [u8; GLYPH_HEIGHT] {
    let found = GLYPHS.get(&character).or_else(|| GLYPHS.get(&'?'));
    found.copied().unwrap_or_default()
}

fn read(font: &[u8]) -> HashMap<char, Glyph> {
    let count = match font[2] & MODE_512_GLYPHS {
        0 => 256,
        _ => 512,
    };
    let (pictures, table) = font[HEADER_BYTES..].split_at(count * GLYPH_HEIGHT);
    let words = table
        .chunks_exact(2)
        .map(|word| u16::from_le_bytes([word[0], word[1]]));
    let (mut glyphs, mut at, mut is_sequence) = (HashMap::new(), 0, false);
    for word in words {
        match word {
            END => (at, is_sequence) = (at + 1, false),
            SEQUENCE => is_sequence = true,
            word if !is_sequence => {
                let picture = pictures[at * GLYPH_HEIGHT..].first_chunk();
                let character = char::from_u32(word.into());
                glyphs.extend(character.zip(picture.copied()));
            }
            _ => {}
        }
    }
    glyphs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_format_and_size_that_is_read() {
        assert_eq!(FONT_8X16[..2], [0x36, 0x04]);
        assert_eq!(usize::from(FONT_8X16[3]), GLYPH_HEIGHT);
    }

    #[test]
    fn letters_differ_and_what_is_unknown_is_a_question_mark() {
        assert_ne!(glyph('a'), glyph('b'));
        assert_eq!(glyph(' '), Glyph::default());
        assert_eq!(glyph('\u{1f600}'), glyph('?'));
        assert_ne!(glyph('é'), glyph('?'));
        assert_ne!(glyph('─'), glyph('?'), "boxes can be drawn");
    }
}
