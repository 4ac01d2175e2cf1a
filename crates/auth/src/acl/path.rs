//! The paths that rights can be given on.

use model::text;

/// Normalizes a path: a slash before each word and nowhere else. None if rights cannot be granted
/// on it.
pub fn normalize(path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let sdn = [
        "controllers",
        "dns",
        "fabrics",
        "ipams",
        "prefix-lists",
        "route-maps",
    ];
    let named = |rest: &[&str], most: usize| rest.len() <= most && rest.iter().all(|w| is_name(w));
    let known = match words.as_slice() {
        [] | ["access"] => true,
        ["access", "groups", rest @ ..] | ["access", "realm", rest @ ..] => named(rest, 1),
        ["nodes", rest @ ..] => rest.len() <= 1 && rest.iter().all(|w| text::is_host_label(w)),
        ["pool", rest @ ..] => named(rest, 3),
        ["sdn"] => true,
        ["sdn", "zones", rest @ ..] => named(rest, 3),
        ["sdn", folder, rest @ ..] => sdn.contains(folder) && named(rest, 1),
        ["storage", rest @ ..] => {
            rest.len() <= 1 && rest.iter().all(|word| text::is_storage_id(word))
        }
        ["vms", rest @ ..] => rest.len() <= 1 && rest.iter().all(|word| is_vmid(word)),
        ["mapping", rest @ ..] => named(rest, 2),
        _ => false,
    };
    known.then(|| format!("/{}", words.join("/")))
}

fn is_name(word: &str) -> bool {
    word.len() <= 128
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_vmid(word: &str) -> bool {
    (3..=9).contains(&word.len())
        && !word.starts_with('0')
        && word.chars().all(|c| c.is_ascii_digit())
}

/// The path and everything above it, root first: `/`, `/vms`, `/vms/100`.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let inner = path
        .char_indices()
        .skip(1)
        .filter(|(_, c)| *c == '/')
        .map(|(at, _)| &path[..at]);
    let leaf = (path != "/").then_some(path);
    std::iter::once("/").chain(inner).chain(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for (given, expected) in [
            ("/", Some("/")),
            ("//vms//100/", Some("/vms/100")),
            ("/pool/a/b/c", Some("/pool/a/b/c")),
            ("/sdn/zones/z/v/7", Some("/sdn/zones/z/v/7")),
            ("/mapping/pci/gpu", Some("/mapping/pci/gpu")),
            ("vms", Some("/vms")),
            ("vms/100/", Some("/vms/100")),
            ("", None),
            ("/vms/99", None),
            ("/vms/0100", None),
            ("/vms/abc", None),
            ("/foo", None),
            ("/pool/a/b/c/d", None),
            ("/storage/../x", None),
        ] {
            assert_eq!(normalize(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn ancestors_go_from_root_to_leaf() {
        assert_eq!(ancestors("/").collect::<Vec<_>>(), ["/"]);
        assert_eq!(
            ancestors("/vms/100").collect::<Vec<_>>(),
            ["/", "/vms", "/vms/100"]
        );
    }
}
