//! The screen of a terminal, as rows of pixels, and the rows that the viewer does not have yet.

use std::num::NonZeroU16;

use vt100::{Color, Parser};

use crate::font::{GLYPH_HEIGHT, GLYPH_WIDTH, Glyph, glyph};

/// The size that serial consoles assume by default.
pub const COLUMNS: u16 = 80;
pub const ROWS: u16 = 24;

/// Red, green and blue.
pub(crate) type Rgb = [u8; 3];

/// The colours of xterm.
const PALETTE: [Rgb; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];
const FOREGROUND: Rgb = PALETTE[7];
const BACKGROUND: Rgb = PALETTE[0];

/// The look of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    character: char,
    foreground: Rgb,
    background: Rgb,
    is_underlined: bool,
}

pub(crate) struct Screen {
    parser: Parser<Answers>,
    /// The viewer's version of each row; none if it has none.
    shown: Vec<Option<Vec<Look>>>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let size = |number| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
        let answers = Answers::default();
        Self {
            parser: Parser::new_with_callbacks(size(ROWS), size(COLUMNS), 0, answers),
            shown: vec![None; ROWS.into()],
        }
    }

    /// Processes output of the line; returns the terminal's own replies.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(bytes);
        std::mem::take(&mut self.parser.callbacks_mut().0)
    }

    pub(crate) fn application_cursor(&self) -> bool {
        self.parser.screen().application_cursor()
    }

    /// The viewer needs all rows again.
    pub(crate) fn forget(&mut self) {
        self.shown.fill(None);
    }

    /// The rows that changed since the last call, with their pixels from the upper left.
    pub(crate) fn changed(&mut self) -> Vec<(u16, Vec<Rgb>)> {
        let mut rows = Vec::new();
        for row in 0..ROWS {
            let looks = self.looks(row);
            let shown = &mut self.shown[usize::from(row)];
            if shown.as_ref() != Some(&looks) {
                rows.push((row, pixels(&looks)));
                *shown = Some(looks);
            }
        }
        rows
    }

    fn looks(&self, row: u16) -> Vec<Look> {
        let screen = self.parser.screen();
        let cursor = (!screen.hide_cursor()).then(|| screen.cursor_position());
        (0..COLUMNS)
            .map(|column| look(screen, row, column, cursor == Some((row, column))))
            .collect()
    }
}

fn look(screen: &vt100::Screen, row: u16, column: u16, has_cursor: bool) -> Look {
    let mut look = Look {
        character: ' ',
        foreground: FOREGROUND,
        background: BACKGROUND,
        is_underlined: false,
    };
    let mut is_inverse = has_cursor;
    if let Some(cell) = screen.cell(row, column) {
        look.character = cell.contents().chars().next().unwrap_or(' ');
        look.foreground = colour(cell.fgcolor(), FOREGROUND, cell.bold());
        look.background = colour(cell.bgcolor(), BACKGROUND, false);
        look.is_underlined = cell.underline();
        is_inverse ^= cell.inverse();
    }
    if is_inverse {
        std::mem::swap(&mut look.foreground, &mut look.background);
    }
    look
}

fn colour(colour: Color, default: Rgb, is_bold: bool) -> Rgb {
    match colour {
        Color::Default if is_bold => PALETTE[15],
        Color::Default => default,
        Color::Rgb(red, green, blue) => [red, green, blue],
        Color::Idx(index @ 0..=7) if is_bold => PALETTE[usize::from(index) + 8],
        Color::Idx(index @ 0..=15) => PALETTE[usize::from(index)],
        // A cube of six levels a colour, then 24 greys.
        Color::Idx(index @ 16..=231) => {
            let level = |number: u8| if number == 0 { 0 } else { 55 + 40 * number };
            let index = index - 16;
            [level(index / 36), level(index / 6 % 6), level(index % 6)]
        }
        Color::Idx(index) => [8 + 10 * (index - 232); 3],
    }
}

fn pixels(looks: &[Look]) -> Vec<Rgb> {
    let glyphs: Vec<Glyph> = looks.iter().map(|look| glyph(look.character)).collect();
    let mut pixels = Vec::with_capacity(looks.len() * GLYPH_WIDTH * GLYPH_HEIGHT);
    for line in 0..GLYPH_HEIGHT {
        for (look, glyph) in looks.iter().zip(&glyphs) {
            let is_line = look.is_underlined && line == GLYPH_HEIGHT - 2;
            let bits = if is_line { 0xff } else { glyph[line] };
            for column in 0..GLYPH_WIDTH {
                let is_set = bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1;
                pixels.push(if is_set {
                    look.foreground
                } else {
                    look.background
                });
            }
        }
    }
    pixels
}

/// The terminal's replies to queries, which login shells send.
#[derive(Default)]
struct Answers(Vec<u8>);

impl vt100::Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _second: Option<u8>,
        params: &[&[u16]],
        letter: char,
    ) {
        let number = params.first().and_then(|param| param.first());
        match (first, number, letter) {
            (None, Some(6), 'n') => {
                let (row, column) = screen.cursor_position();
                let position = format!("\x1b[{};{}R", row + 1, column + 1);
                self.0.extend(position.as_bytes());
            }
            (None, Some(5), 'n') => self.0.extend(b"\x1b[0n"),
            (None, None | Some(0), 'c') => self.0.extend(b"\x1b[?6c"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_changed_are_shown_again() {
        let mut screen = Screen::new();
        assert_eq!(screen.changed().len(), usize::from(ROWS));
        assert!(screen.changed().is_empty());
        screen.take(b"one\r\n\r\nthree");
        let rows: Vec<u16> = screen.changed().iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, [0, 2]);
        screen.forget();
        assert_eq!(screen.changed().len(), usize::from(ROWS));
    }

    #[test]
    fn a_letter_has_its_glyph_in_its_colour() {
        let mut screen = Screen::new();
        screen.take(b"\x1b[?25l\x1b[31mA");
        let (_, pixels) = screen.changed().swap_remove(0);
        let width = usize::from(COLUMNS) * GLYPH_WIDTH;
        for (line, bits) in glyph('A').into_iter().enumerate() {
            for column in 0..GLYPH_WIDTH {
                let is_set = bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1;
                let wanted = if is_set { PALETTE[1] } else { BACKGROUND };
                assert_eq!(pixels[line * width + column], wanted);
            }
        }
    }

    #[test]
    fn it_answers_where_its_cursor_is() {
        let mut screen = Screen::new();
        assert_eq!(screen.take(b"ab\r\nc\x1b[6n"), b"\x1b[2;2R");
        assert_eq!(screen.take(b"\x1b[c"), b"\x1b[?6c");
        assert_eq!(screen.take(b"plain"), b"");
    }
}
