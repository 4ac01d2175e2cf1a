//! One recorded exchange.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::left_out::not_here;

/// Exchanges by their `seq`, which is the order in which they were recorded.
pub(super) type Exchanges = BTreeMap<u64, Exchange>;

#[derive(Clone)]
pub(super) struct Exchange(Value);

impl Exchange {
    pub(super) fn seq(&self) -> u64 {
        self.0["seq"].as_u64().unwrap()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub(super) fn method(&self) -> &str {
        self.text("method").unwrap()
    }

    /// With its query, as it was sent.
    pub(super) fn path(&self) -> &str {
        self.text("path").unwrap()
    }

    /// Content type and body of the request.
    pub(super) fn body(&self) -> Option<(&str, &str)> {
        let content_type = self.text("request_type").unwrap_or_default();
        Some((content_type, self.text("request_body")?))
    }

    /// `none`, `ticket` and so on.
    pub(super) fn auth(&self) -> &str {
        self.text("auth").unwrap_or_default()
    }

    /// Whether the caller was not root.
    pub(super) fn is_bobs(&self) -> bool {
        self.text("note")
            .is_some_and(|note| note.contains("bob@pve"))
    }

    pub(super) fn status_line(&self) -> &str {
        self.text("status_line").unwrap()
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.text("content_type")
    }

    /// The answer's body; none if it was not JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        self.0.get("json")
    }

    /// The task that it started.
    pub(super) fn upid(&self) -> Option<&str> {
        upid(&self.json()?["data"])
    }

    pub(super) fn is_json(&self) -> bool {
        self.path().starts_with("/api2/json")
    }

    /// Our row that answers it.
    pub(super) fn row(&self) -> Option<&'static proto::Row> {
        let path = self.path().split('?').next()?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments: Vec<String> = segments.map(str::to_owned).collect();
        let verb = proto::Verb::from_name(self.method())?;
        let router = proto::Router::new(proto::table::rows());
        Some(router.find(verb, segments.get(2..)?)?.row)
    }
}

pub(super) fn upid(data: &Value) -> Option<&str> {
    data.as_str().filter(|text| text.starts_with("UPID:"))
}

/// The path of the first recording; none, with a printed line, if there is none.
pub(super) fn recording(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("OSTLER_RECORDED").map(PathBuf::from);
    let file = named.filter(|path| path.is_file());
    if file.is_none() {
        not_here(test, "no recordings (OSTLER_RECORDED names their file)");
    }
    file
}

/// The files of the second recording; none, with a printed line, if it is not beside the first.
pub(super) fn second(recording: &Path) -> Vec<PathBuf> {
    let folder = recording.with_file_name("recorded2");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        not_here("a series", format!("no recordings in {}", folder.display()));
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect()
}

pub(super) fn read(file: &Path) -> Exchanges {
    let parse = |line: &str| -> (u64, Exchange) {
        let exchange = Exchange(serde_json::from_str(line).unwrap());
        (exchange.seq(), exchange)
    };
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(parse).collect()
}
