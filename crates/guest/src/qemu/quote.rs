//! Text in QEMU's `key=value,key=value` options.

/// A comma ends a value unless it is doubled.
pub(super) fn quoted(text: &str) -> String {
    text.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_comma_cannot_start_another_option() {
        assert_eq!(super::quoted("a,process=/bin/sh"), "a,,process=/bin/sh");
    }
}
