//! As much of XML as descriptions of appliances need. Names are without their prefixes; what declares
//! entities of its own is refused.

/// How deep elements may be in each other.
const DEPTH_MAX: usize = 64;

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// The text that is in it directly.
    text: String,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(other, _)| other == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child, without the blanks around it.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Reads a document; the error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Element> = Vec::new();
    loop {
        let (before, markup) = rest.split_once('<').ok_or("it ends within an element")?;
        if let Some(element) = open.last_mut() {
            element.text.push_str(&unescape(before)?);
        }
        if let Some(comment) = markup.strip_prefix("!--") {
            rest = after(comment, "-->")?.1;
        } else if let Some(plain) = markup.strip_prefix("![CDATA[") {
            let (plain, following) = after(plain, "]]>")?;
            if let Some(element) = open.last_mut() {
                element.text.push_str(plain);
            }
            rest = following;
        } else if let Some(instruction) = markup.strip_prefix('?') {
            rest = after(instruction, "?>")?.1;
        } else if markup.starts_with('!') {
            return Err("it has a document type".to_owned());
        } else {
            let (tag, following) = split_tag(markup)?;
            rest = following;
            let closed = match tag.strip_prefix('/') {
                Some(name) => Some(close(&mut open, name)?),
                None => begin(&mut open, tag)?,
            };
            match (closed, open.last_mut()) {
                (Some(element), Some(parent)) => parent.children.push(element),
                (Some(root), None) => return Ok(root),
                (None, _) => {}
            }
        }
    }
}

fn after<'a>(text: &'a str, end: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(end).ok_or(format!("'{end}' is missing"))
}

/// A tag up to its end, which is not in quotes.
fn split_tag(markup: &str) -> Result<(&str, &str), String> {
    let mut quote = None;
    for (at, c) in markup.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Ok((&markup[..at], &markup[at + 1..])),
            _ => {}
        }
    }
    Err("it ends within a tag".to_owned())
}

fn close(open: &mut Vec<Element>, name: &str) -> Result<Element, String> {
    let element = open.pop().ok_or("it ends an element that was not begun")?;
    match element.name == local(name.trim()) {
        true => Ok(element),
        false => Err(format!("'{}' is not ended", element.name)),
    }
}

/// Begins an element; answers one that is ended at once.
fn begin(open: &mut Vec<Element>, tag: &str) -> Result<Option<Element>, String> {
    let whole = tag.strip_suffix('/');
    let tag = whole.unwrap_or(tag);
    let end = tag.find(char::is_whitespace).unwrap_or(tag.len());
    let (name, mut rest) = tag.split_at(end);
    let mut element = Element {
        name: local(name).to_owned(),
        ..Element::default()
    };
    if element.name.is_empty() {
        return Err("an element has no name".to_owned());
    }
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (name, value) = rest.split_once('=').ok_or("an attribute has no value")?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or("the value of an attribute is not in quotes")?;
        let (value, following) = after(&value[1..], &quote.to_string())?;
        let value = unescape(value)?;
        element
            .attributes
            .push((local(name.trim()).to_owned(), value));
        rest = following;
    }
    if whole.is_some() {
        return Ok(Some(element));
    }
    if open.len() >= DEPTH_MAX {
        return Err("its elements are too deep in each other".to_owned());
    }
    open.push(element);
    Ok(None)
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, entity)) = rest.split_once('&') {
        let (entity, following) = after(entity, ";")?;
        plain.push_str(before);
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number =
                    entity
                        .strip_prefix('#')
                        .map(|number| match number.strip_prefix('x') {
                            Some(hex) => u32::from_str_radix(hex, 16),
                            None => number.parse(),
                        });
                let known = number.and_then(|number| char::from_u32(number.ok()?));
                known.ok_or(format!("it has an unknown entity '{entity}'"))?
            }
        });
        rest = following;
    }
    Ok(plain + rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_is_a_tree() {
        let root = parse(
            "<?xml version=\"1.0\"?><!-- x --><ovf:a xmlns:ovf='u'><b x:c=\"1 &lt; 2>\"/> <d>t&#65;&amp;<![CDATA[<]]></d></ovf:a>",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.child("b").unwrap().attribute("c"), Some("1 < 2>"));
        assert_eq!(root.text_of("d"), Some("tA&<"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        for bad in [
            "",
            "<a>",
            "<a></b>",
            "</a>",
            "<a b></a>",
            "<a b=c/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            "<a>&e;</a>",
            "< />",
            &deep,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[<>/a&;='\"! ?\\-\\[\\]]{0,60}") {
            let _ = parse(&text);
        }
    }
}
