//! The requests: for each parameter of each row, valid values for all others and a hostile one for
//! this.

use std::fmt;

use model::schema::{Field, Kind};
use proto::{Row, Verb, table};
use serde_json::{Map, Value, json};

use super::client::{Login, encoded};

/// One request.
pub(super) struct Case {
    row: &'static Row,
    params: Vec<(String, String)>,
    /// A parameter that is not text, in a JSON body.
    json: Option<(String, Value)>,
    /// The hostile parameter and its value.
    about: String,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.row.label(), self.about)
    }
}

impl Case {
    pub(super) fn version() -> Self {
        let row = table::row("version").unwrap();
        Self::of(row, &[], "")
    }

    fn of(row: &'static Row, params: &[(String, String)], about: &str) -> Self {
        Self {
            row,
            params: params.to_vec(),
            json: None,
            about: about.to_owned(),
        }
    }

    pub(super) fn request(&self, login: &str) -> Vec<u8> {
        let mut path = String::from("/api2/json");
        let mut rest: Vec<&(String, String)> = self.params.iter().collect();
        for segment in self
            .row
            .path
            .split('/')
            .filter(|segment| !segment.is_empty())
        {
            let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            let value = name.and_then(|name| {
                let at = rest.iter().position(|(known, _)| known == name)?;
                Some(encoded(&rest.remove(at).1))
            });
            path.push('/');
            path.push_str(&value.unwrap_or_else(|| segment.to_owned()));
        }
        let verb = self.row.verb.as_str();
        let head = format!("HTTP/1.1\r\nHost: pve1\r\nConnection: close\r\n{login}");
        if let Some((name, value)) = &self.json {
            let given = rest
                .iter()
                .map(|(name, value)| (name, Value::from(value.as_str())));
            let body: Map<String, Value> = given
                .chain([(name, value.clone())])
                .map(|(name, value)| (name.clone(), value))
                .collect();
            let body = Value::Object(body).to_string();
            let length = body.len();
            let about = format!("Content-Type: application/json\r\nContent-Length: {length}");
            return format!("{verb} {path} {head}{about}\r\n\r\n{body}").into_bytes();
        }
        let pairs: Vec<String> = rest
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let pairs = pairs.join("&");
        match self.row.verb {
            Verb::Get | Verb::Delete => format!("{verb} {path}?{pairs} {head}\r\n").into_bytes(),
            Verb::Post | Verb::Put => {
                let length = pairs.len();
                format!("{verb} {path} {head}Content-Length: {length}\r\n\r\n{pairs}").into_bytes()
            }
        }
    }
}

/// Rows in an order in which objects are created before they are used, and deletions come last.
fn rows() -> Vec<&'static Row> {
    let mut rows: Vec<&'static Row> = table::rows().collect();
    rows.sort_by_key(|row| match (row.verb, row.name) {
        (Verb::Post, name) if name.ends_with("_create") => 0,
        (Verb::Delete, _) | (_, "qemu_template") => 2,
        _ => 1,
    });
    rows
}

fn fields(row: &'static Row) -> impl Iterator<Item = &'static Field> {
    row.params.iter().flat_map(|group| group.iter())
}

fn first_name(field: &Field) -> String {
    field.name.replace("[n]", "0")
}

/// A valid value for most operations.
fn sample(field: &Field) -> String {
    let known = match field.name {
        "node" => "pve1",
        "vmid" | "sid" => "100",
        "newid" | "target-vmid" => "200",
        "storage" => "local",
        "volume" => "local:iso/x.iso",
        "upid" => "UPID:pve1:0000039C:0005556C:6B00D68B:qmstart:100:root@pam:",
        "userid" | "username" | "authid" => "jane@pve",
        "tokenid" => "t1",
        "groupid" => "g1",
        "roleid" | "roles" => "r1",
        "poolid" => "p1",
        "realm" => "pve",
        "snapname" => "s1",
        "disk" | "drive" => "scsi0",
        "size" => "+1G",
        "password" => "correct horse",
        "path" => "/vms/100",
        "service" => "pveproxy",
        "timezone" => "UTC",
        "schedule" => "daily",
        "url" => "http://127.0.0.1:1/x.iso",
        "filename" => "vm-100-disk-9.raw",
        "timeframe" => "hour",
        "key" => "ret",
        "command" => "info status",
        _ => "",
    };
    match field.kind {
        _ if !known.is_empty() => known.to_owned(),
        _ if !field.one_of.is_empty() => field.one_of[0].to_owned(),
        Kind::Boolean => "1".to_owned(),
        Kind::Integer | Kind::Number => field.minimum.unwrap_or(1.0).to_string(),
        _ => "x1".to_owned(),
    }
}

/// The parameters that an operation requires.
fn base(row: &'static Row) -> Vec<(String, String)> {
    let in_path = |field: &Field| row.path.contains(&format!("{{{}}}", field.name));
    fields(row)
        .filter(|field| !field.optional || in_path(field))
        .map(|field| (first_name(field), sample(field)))
        .collect()
}

fn with(row: &'static Row, field: &Field, value: &str, about: &str) -> Case {
    let name = first_name(field);
    let mut params = base(row);
    params.retain(|(known, _)| *known != name);
    params.push((name.clone(), value.to_owned()));
    Case::of(row, &params, &format!("with {name} {about}"))
}

/// Values that no client sends on purpose.
fn strange() -> Vec<(&'static str, String)> {
    vec![
        ("of 1,100 characters", "A".repeat(1_100)),
        ("of 1,100 wide characters", "\u{e4}".repeat(1_100)),
        ("of 70,000 characters", "a".repeat(70_000)),
        ("of nothing", String::new()),
        ("of a huge number", "9".repeat(30)),
        ("of the smallest number", i64::MIN.to_string()),
        (
            "of control characters",
            "a\u{1}\u{1b}[31m\r\nb\u{7f}".to_owned(),
        ),
        (
            "of many scripts",
            "\u{17e}-\u{6f22}-\u{1f40e},\u{301}=\u{202e}:".to_owned(),
        ),
        ("with NUL", "a\0b".to_owned()),
    ]
}

/// Values that JSON can express and a form cannot.
fn strange_json() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let texts: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    vec![
        json!({}),
        json!([]),
        json!([null, {"a": []}, "x"]),
        json!(1e308),
        json!(-0.5),
        json!(u64::MAX),
        json!(true),
        json!(texts),
        deep,
    ]
}

fn with_json(row: &'static Row, field: &Field, value: Value) -> Option<Case> {
    let name = first_name(field);
    let in_path = row.path.contains(&format!("{{{}}}", field.name));
    if in_path || matches!(row.verb, Verb::Get | Verb::Delete) {
        return None;
    }
    let mut params = base(row);
    params.retain(|(known, _)| *known != name);
    let about = format!("with {name} that is no text");
    Some(Case {
        json: Some((name, value)),
        ..Case::of(row, &params, &about)
    })
}

/// One request for each parameter and hostile value, and a valid one for each row.
pub(super) fn hostile() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows() {
        for (about, value) in strange() {
            cases.extend(fields(row).map(|field| with(row, field, &value, about)));
        }
        for value in strange_json() {
            cases.extend(fields(row).filter_map(|field| with_json(row, field, value.clone())));
        }
        cases.push(Case::of(row, &base(row), "as it should be"));
    }
    cases
}

/// Operations that would affect the host of the test.
const SPARED: [&str; 2] = ["node_power", "node_time_update"];

/// At least this many requests: texts of growing length, made of meaningful pieces.
pub(super) fn many(count: usize) -> Vec<Case> {
    let rows: Vec<_> = rows()
        .into_iter()
        .filter(|row| !SPARED.contains(&row.name))
        .collect();
    let mut cases = Vec::with_capacity(count);
    let mut random = Random(1);
    while cases.len() < count {
        for row in &rows {
            let made = fields(row).map(|field| with(row, field, &random.text(), "at random"));
            cases.extend(made);
        }
    }
    cases
}

/// A reproducible sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        // Knuth's multiplier; the upper bits are good.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 32] = [
            "A",
            "0",
            "-",
            "+",
            ".",
            ",",
            ";",
            "=",
            ":",
            "/",
            "..",
            "@",
            "!",
            "%",
            " ",
            "\t",
            "\n",
            "\0",
            "\u{e4}",
            "\u{1f40e}",
            "local:",
            "pve",
            "100",
            "1e9",
            "0x",
            "order=",
            "size=",
            "file=",
            "18446744073709551616",
            "vm-100-disk-0",
            "\u{1}",
            "[n]",
        ];
        let length = 1 << (self.next() % 8);
        let mut text = String::new();
        for _ in 0..length {
            text.push_str(PIECES[self.next() % PIECES.len()]);
        }
        text
    }
}

/// Credentials that are not valid.
pub(super) fn credentials() -> Vec<Login> {
    let long = "A".repeat(1_100);
    let longer = "A".repeat(60_000);
    let token = |text: &str| Login::token(text);
    let cookie = |text: &str| Login::headers(format!("Cookie: PVEAuthCookie={text}\r\n"));
    vec![
        token(&format!("root@pam!{long}=x")),
        token(&format!("{long}@pam!t=x")),
        token(&format!("root@{long}!t=x")),
        token(&format!("root@pam!t={longer}")),
        token(&"A".repeat(70_000)),
        token(""),
        token("!="),
        token("root%40pam%21%00=x"),
        token("\u{e4}@pam!t=x"),
        cookie(&long),
        cookie(&longer),
        cookie(&format!("PVE:{long}@pam:6B49D200::AAAA")),
        cookie("PVE:root@pam:FFFFFFFFFFFFFFFFF::AAAA"),
        cookie("PVE:root@pam:6B49D200::%00"),
        cookie("::"),
    ]
}
