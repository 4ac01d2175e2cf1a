//! A request taken apart: method, format, path, parameters.

use form_urlencoded::parse;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use model::Clock;
use model::schema::Values;
use percent_encoding::percent_decode_str;
use proto::Verb;
use serde_json::Value;

use crate::body::collect;
use crate::envelope::{Format, Refusal};

/// The longest body of anything but an upload.
pub(crate) const BODY: usize = 512 * 1024;

/// The longest body of what needs no credential: a login, with a ticket for a password.
pub(crate) const ANONYMOUS_BODY: usize = 16 * 1024;

/// The longest path: three of the longest names, percent-encoded.
const PATH_LIMIT: usize = 4096;

/// Parameters of different names at most; no operation has half as many.
const PARAMETERS: usize = 1024;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) verb: Verb,
    pub(crate) format: Format,
    /// The segments below `/api2/<format>`, decoded, none empty.
    pub(crate) segments: Vec<String>,
}

impl Target {
    /// The path as error texts show it.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }
}

/// Reads where a request below `/api2` goes.
pub(crate) fn target(parts: &Parts) -> Result<Target, Refusal> {
    let method = parts.method.as_str();
    let verb = Verb::from_name(method)
        .ok_or_else(|| Refusal::bare(501, format!("method '{method}' not available")))?;
    let path = parts.uri.path();
    if path.len() > PATH_LIMIT {
        let text = format!("the path is longer than {PATH_LIMIT} bytes");
        return Err(Refusal::text(414, text));
    }
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let decoded = percent_decode_str(segment).decode_utf8();
        let decoded = decoded.map_err(|_| Refusal::text(400, "the path is not UTF-8"))?;
        segments.push(decoded.into_owned());
    }
    // A percent-encoded slash separates like any other: volume ids are sent both ways.
    let mut segments: Vec<String> = segments
        .iter()
        .flat_map(|segment| segment.split('/'))
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect();
    if segments.len() < 2 {
        return Err(Refusal::text(501, "no such uri"));
    }
    let rest = segments.split_off(2);
    let format = Format::from_name(&segments[1]).ok_or_else(|| {
        Refusal::text(
            501,
            format!("no formatter for uri /{}, {}", rest.join("/"), segments[1]),
        )
    })?;
    Ok(Target {
        verb,
        format,
        segments: rest,
    })
}

/// The parameters of query and body together; the query wins. A body is read up to a limit.
pub(crate) async fn parameters(
    verb: Verb,
    parts: &Parts,
    body: Incoming,
    limit: usize,
    clock: &dyn Clock,
) -> Result<Values, Refusal> {
    let mut values = match verb {
        Verb::Post | Verb::Put => body_parameters(parts, body, limit, clock).await?,
        Verb::Get | Verb::Delete => {
            refuse_body(verb, parts)?;
            Values::new()
        }
    };
    values.extend(query(parts));
    values.remove("_dc");
    if values.len() > PARAMETERS {
        let text = format!("more than {PARAMETERS} parameters");
        return Err(Refusal::text(400, text));
    }
    Ok(values)
}

/// The parameters of the query alone.
pub(crate) fn query(parts: &Parts) -> Values {
    let mut values = pairs(parts.uri.query().unwrap_or_default().as_bytes());
    // A cache-buster of the ExtJS library.
    values.remove("_dc");
    values
}

fn refuse_body(verb: Verb, parts: &Parts) -> Result<(), Refusal> {
    let length = parts.headers.get(hyper::header::CONTENT_LENGTH);
    let has_body = length.is_some_and(|length| length != "0")
        || parts.headers.contains_key(hyper::header::TRANSFER_ENCODING);
    if has_body {
        let text = format!("Unexpected content for method '{}'", verb.as_str());
        return Err(Refusal::text(501, text));
    }
    Ok(())
}

async fn body_parameters(
    parts: &Parts,
    body: Incoming,
    limit: usize,
    clock: &dyn Clock,
) -> Result<Values, Refusal> {
    let content_type = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let is_json = match media.to_ascii_lowercase().as_str() {
        "" | "application/x-www-form-urlencoded" => false,
        "application/json" => true,
        _ => {
            let text = format!("upload 'Content-Type '{media}' not implemented");
            return Err(Refusal::text(506, text));
        }
    };
    let body = collect(body, limit, clock).await?;
    if is_json {
        json_parameters(&body)
    } else {
        Ok(pairs(&body))
    }
}

fn json_parameters(body: &[u8]) -> Result<Values, Refusal> {
    if body.is_empty() {
        return Ok(Values::new());
    }
    let parsed: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::text(500, format!("malformed JSON in the body: {error}")))?;
    match parsed {
        Value::Object(mut values) => {
            // A parameter that is null is one that was not given.
            values.retain(|_, value| !value.is_null());
            Ok(values)
        }
        Value::Null => Ok(Values::new()),
        _ => Err(Refusal::text(
            500,
            "malformed JSON in the body: an object was expected",
        )),
    }
}

/// `a=1&b=2;a=3`: a name given twice is a list.
fn pairs(text: &[u8]) -> Values {
    let mut values = Values::new();
    for part in text.split(|byte| *byte == b'&' || *byte == b';') {
        for (name, value) in parse(part) {
            let value = Value::String(value.into_owned());
            match values.get_mut(name.as_ref()) {
                None => {
                    values.insert(name.into_owned(), value);
                }
                Some(Value::Array(items)) => items.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_given_twice_is_a_list_and_plus_is_a_space() {
        let values = pairs(b"command=ls&command=-l;x=a+b%2Bc&empty=");
        let wanted = json!({"command": ["ls", "-l"], "x": "a b+c", "empty": ""});
        assert_eq!(Value::Object(values), wanted);
    }

    #[test]
    fn a_body_of_nothing_is_no_parameters() {
        for body in ["", "null", "{}", r#"{"a": null}"#] {
            assert_eq!(
                json_parameters(body.as_bytes()),
                Ok(Values::new()),
                "{body}"
            );
        }
        assert!(json_parameters(b"[]").is_err());
    }

    fn target_of(method: &str, uri: &str) -> Result<Target, Refusal> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .unwrap();
        target(&request.into_parts().0)
    }

    #[test]
    fn slashes_too_many_and_encoded_ones_are_all_the_same() {
        let plain = target_of(
            "GET",
            "/api2/json/nodes/a/storage/local/content/local:iso/x.iso",
        );
        let other = target_of(
            "GET",
            "/api2/json//nodes/a/storage/local/content//local:iso%2Fx.iso/",
        );
        assert_eq!(plain.unwrap().segments, other.unwrap().segments);
    }

    #[test]
    fn what_a_recorded_node_says_of_strange_requests() {
        for (method, uri, status, text) in [
            (
                "OPTIONS",
                "/api2/json/version",
                501,
                "method 'OPTIONS' not available",
            ),
            ("GET", "/api2", 501, "no such uri"),
            (
                "GET",
                "/api2/xml/version",
                501,
                "no formatter for uri /version, xml",
            ),
        ] {
            let refusal = target_of(method, uri).unwrap_err();
            assert_eq!((refusal.status, refusal.reason.as_str()), (status, text));
        }
    }
}
