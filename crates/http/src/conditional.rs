//! Conditional requests (RFC 9110, `ETag` and `If-None-Match`).

use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use uuid::Uuid;

/// A random number of this process: counters of other processes are not comparable.
pub(crate) static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().0);

/// A strong tag: the compressed form of a list has another tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl EntityTag {
    pub(crate) fn new(number: u64, is_packed: bool) -> Self {
        let coding = if is_packed { "-gzip" } else { "" };
        Self(format!("\"{:x}-{number:x}{coding}\"", *PROCESS))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::try_from(&self.0).expect("digits and quotes are a header's value")
    }
}

/// Whether the client has the entity of a tag.
pub(crate) fn has_tag(headers: &HeaderMap, tag: &EntityTag) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_what_it_names_and_nothing_else() {
        let (tag, packed) = (EntityTag::new(7, false), EntityTag::new(7, true));
        assert_ne!(tag, packed);
        let has = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
            (has_tag(&headers, &tag), has_tag(&headers, &packed))
        };
        assert_eq!(has(&tag.0), (true, false));
        assert_eq!(has(&format!("W/\"x\", W/{}", packed.0)), (false, true));
        assert_eq!(has("*"), (true, true));
        assert_eq!(has(&tag.0.replace('"', "")), (false, false));
        assert!(!has_tag(&HeaderMap::new(), &tag));
    }
}
