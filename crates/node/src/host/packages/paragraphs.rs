//! Paragraphs of fields, as Debian's control files have them (deb822(5)).

/// The fields of a paragraph, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Paragraph(pub(super) Vec<(String, String)>);

impl Paragraph {
    /// A field's value, without white space around it; empty where there is no such field. Lines
    /// that continue it keep the blank that they begin with.
    pub(super) fn field(&self, name: &str) -> &str {
        let found = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim_end())
    }

    /// The words of a field.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        self.field(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }
}

pub(super) fn parse(text: &str) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut current = Paragraph::default();
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(std::mem::take(&mut current));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = current.0.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#'))
        {
            current.0.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    paragraphs.push(current);
    paragraphs.retain(|paragraph| !paragraph.0.is_empty());
    paragraphs
}
