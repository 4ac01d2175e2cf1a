//! A picture of values over time, as PNG.

use history::Timeframe;
use model::{Error, UnixTime};
use time::OffsetDateTime;
use tiny_skia::{
    Color, LineCap, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform,
};
use vncterm::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};

const WIDTH: u32 = 800;
const HEIGHT: u32 = 200;

/// The space around the lines: left for values, below for times, above for names.
const LEFT: f32 = 72.0;
const RIGHT: f32 = 16.0;
const TOP: f32 = 26.0;
const BOTTOM: f32 = 24.0;

const TEXT: [u8; 3] = [0x40, 0x40, 0x40];
const GRID: [u8; 3] = [0xe2, 0xe2, 0xe2];

/// A line, with a value for each time; NaN is a gap.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) colour: [u8; 3],
    pub(crate) values: Vec<f32>,
}

/// Lines over the same times. Values begin at 0.
pub(crate) struct Graph {
    pub(crate) lines: Vec<Line>,
    pub(crate) times: Vec<UnixTime>,
    pub(crate) timeframe: Timeframe,
}

impl Graph {
    pub(crate) fn png(&self) -> Result<Vec<u8>, Error> {
        let mut picture = Pixmap::new(WIDTH, HEIGHT).expect("a size that is not 0");
        picture.fill(Color::WHITE);
        let (step, highest) = scale(self.highest());
        let mut value = 0.0;
        while value <= highest {
            self.mark_value(&mut picture, value, highest);
            value += step;
        }
        for time in self.ticks() {
            self.mark_time(&mut picture, time);
        }
        let mut x = LEFT as usize;
        for line in &self.lines {
            write(&mut picture, x, 5, &line.name, line.colour);
            x += (line.name.chars().count() + 2) * GLYPH_WIDTH;
            self.draw(&mut picture, line, highest);
        }
        let failed = |error| Error::unavailable(format!("a picture cannot be written: {error}"));
        picture.encode_png().map_err(failed)
    }

    fn highest(&self) -> f32 {
        let values = self.lines.iter().flat_map(|line| &line.values);
        values
            .copied()
            .filter(|value| value.is_finite())
            .fold(0.0, f32::max)
    }

    fn mark_value(&self, picture: &mut Pixmap, value: f32, highest: f32) {
        let y = y_of(value, highest);
        fill(
            picture,
            Rect::from_xywh(LEFT, y, WIDTH as f32 - LEFT - RIGHT, 1.0),
        );
        let text = short(value);
        let width = text.chars().count() * GLYPH_WIDTH;
        let x = (LEFT as usize).saturating_sub(width + 6);
        write(
            picture,
            x,
            (y as usize).saturating_sub(GLYPH_HEIGHT / 2),
            &text,
            TEXT,
        );
    }

    fn mark_time(&self, picture: &mut Pixmap, time: UnixTime) {
        let x = self.x_of(time);
        fill(
            picture,
            Rect::from_xywh(x, TOP, 1.0, HEIGHT as f32 - TOP - BOTTOM),
        );
        let text = self.time_text(time);
        let width = text.chars().count() * GLYPH_WIDTH;
        let x = (x as usize).saturating_sub(width / 2);
        write(
            picture,
            x.min(WIDTH as usize - width),
            HEIGHT as usize - 20,
            &text,
            TEXT,
        );
    }

    fn ends(&self) -> (UnixTime, UnixTime) {
        let first = self.times.first().copied().unwrap_or(0);
        (first, self.times.last().copied().unwrap_or(first))
    }

    fn x_of(&self, time: UnixTime) -> f32 {
        let (first, last) = self.ends();
        let part = (time - first) as f32 / (last - first).max(1) as f32;
        LEFT + part * (WIDTH as f32 - LEFT - RIGHT)
    }

    /// The times that are marked, in UTC.
    fn ticks(&self) -> impl Iterator<Item = UnixTime> {
        const DAY_S: i64 = 86_400;
        let step_s = match self.timeframe {
            Timeframe::Hour => 600,
            Timeframe::Day => 4 * 3600,
            Timeframe::Week => DAY_S,
            Timeframe::Month => 7 * DAY_S,
            Timeframe::Year => 60 * DAY_S,
            Timeframe::Decade => 730 * DAY_S,
        };
        let (first, last) = self.ends();
        let begin = (first + step_s - 1).div_euclid(step_s);
        (begin..=last.div_euclid(step_s)).map(move |tick| tick * step_s)
    }

    fn time_text(&self, time: UnixTime) -> String {
        let Ok(time) = OffsetDateTime::from_unix_timestamp(time) else {
            return String::new();
        };
        let (year, month) = (time.year(), u8::from(time.month()));
        match self.timeframe {
            Timeframe::Hour | Timeframe::Day => {
                format!("{:02}:{:02}", time.hour(), time.minute())
            }
            Timeframe::Week | Timeframe::Month => format!("{month:02}-{:02}", time.day()),
            Timeframe::Year | Timeframe::Decade => format!("{year}-{month:02}"),
        }
    }

    fn draw(&self, picture: &mut Pixmap, line: &Line, highest: f32) {
        let mut path = PathBuilder::new();
        let mut is_drawing = false;
        for (time, value) in self.times.iter().zip(&line.values) {
            if !value.is_finite() {
                is_drawing = false;
                continue;
            }
            let (x, y) = (self.x_of(*time), y_of(*value, highest));
            if !is_drawing {
                // A value alone is a dot.
                path.move_to(x - 1.0, y);
            }
            path.line_to(x, y);
            is_drawing = true;
        }
        let Some(path) = path.finish() else { return };
        let stroke = Stroke {
            width: 1.5,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        picture.stroke_path(
            &path,
            &paint(line.colour),
            &stroke,
            Transform::identity(),
            None,
        );
    }
}

fn y_of(value: f32, highest: f32) -> f32 {
    let height = HEIGHT as f32 - TOP - BOTTOM;
    TOP + height - value.max(0.0) / highest * height
}

fn paint(colour: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 0xff);
    paint
}

fn fill(picture: &mut Pixmap, area: Option<Rect>) {
    // Whole pixels: between two of them a line would be grey.
    let paint = Paint {
        anti_alias: false,
        ..paint(GRID)
    };
    if let Some(area) = area {
        picture.fill_rect(area, &paint, Transform::identity(), None);
    }
}

/// Writes from this pixel on; what is outside of the picture is cut off.
fn write(picture: &mut Pixmap, x: usize, y: usize, text: &str, colour: [u8; 3]) {
    let Some(ink) = PremultipliedColorU8::from_rgba(colour[0], colour[1], colour[2], 0xff) else {
        return;
    };
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    for (index, character) in text.chars().enumerate() {
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..GLYPH_WIDTH).filter(|column| bits & (0x80 >> column) != 0) {
                let (x, y) = (x + index * GLYPH_WIDTH + column, y + row);
                if x < width && y < height {
                    picture.pixels_mut()[y * width + x] = ink;
                }
            }
        }
    }
}

/// The distance of marked values and the highest one, so that about four fit.
fn scale(highest: f32) -> (f32, f32) {
    if highest <= 0.0 {
        return (1.0, 1.0);
    }
    let rough = highest / 4.0;
    let unit = 10_f32.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|step| *step >= rough)
        .unwrap_or(unit);
    (step, (highest / step).ceil() * step)
}

/// `1.5G`, `20k`, `0.25`.
fn short(value: f32) -> String {
    const UNITS: [(f32, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = UNITS.iter().find(|(size, _)| value >= *size * 0.9999);
    let (size, name) = unit.copied().unwrap_or((1.0, ""));
    let digits = format!("{:.3}", value / size);
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(values: &[f32]) -> Graph {
        Graph {
            times: (0..values.len() as i64).map(|minute| minute * 60).collect(),
            lines: vec![Line {
                name: "cpu".to_owned(),
                colour: [0x00, 0xdd, 0xff],
                values: values.to_vec(),
            }],
            timeframe: Timeframe::Hour,
        }
    }

    /// How many pixels have the colour of the line, below its name.
    fn drawn(values: &[f32]) -> usize {
        let picture = Pixmap::decode_png(&graph(values).png().unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        let below = picture.pixels().iter().skip((WIDTH * TOP as u32) as usize);
        below
            .filter(|pixel| pixel.red() < 0xa0 && pixel.blue() > 0xc0)
            .count()
    }

    #[test]
    fn a_gap_is_not_bridged() {
        let whole = drawn(&[5.0; 60]);
        let mut values = [5.0; 60];
        values[20..40].fill(f32::NAN);
        let gap = drawn(&values);
        assert!(gap < whole * 3 / 4 && gap > whole / 2, "{gap} of {whole}");
        assert_eq!(drawn(&[f32::NAN; 60]), 0);
        assert_eq!(drawn(&[]), 0);
        let mut alone = [f32::NAN; 60];
        alone[30] = 1.0;
        assert!(drawn(&alone) > 0);
    }

    #[test]
    fn values_are_marked_in_round_steps() {
        assert_eq!(scale(0.0), (1.0, 1.0));
        assert_eq!(scale(7.3), (2.0, 8.0));
        assert_eq!(scale(100.0), (50.0, 100.0));
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (20_000.0, "20k"),
            (1.5e9, "1.5G"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
