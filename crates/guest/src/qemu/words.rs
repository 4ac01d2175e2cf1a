//! Splits a command line into words like a shell, without expansions.

/// None if a quotation does not end.
pub(super) fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // In single quotes a backslash has no special meaning.
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let cases: [(&str, Option<&[&str]>); 7] = [
            ("", Some(&[])),
            ("-a  -b\tc", Some(&["-a", "-b", "c"])),
            ("'a b' \"c \\\" d\"", Some(&["a b", "c \" d"])),
            ("x'y'\"z\"", Some(&["xyz"])),
            ("''", Some(&[""])),
            ("a\\ b '\\'", Some(&["a b", "\\"])),
            ("'open", None),
        ];
        for (text, words) in cases {
            let found = split_words(text);
            assert_eq!(
                found
                    .as_ref()
                    .map(|w| w.iter().map(String::as_str).collect::<Vec<_>>()),
                words.map(<[&str]>::to_vec),
                "{text}"
            );
        }
    }
}
