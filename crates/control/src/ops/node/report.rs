//! `GET /nodes/{node}/report`: a text for support, without secrets.

use model::{Error, GuestRecord};
use node::NodeContext;
use node::host::facts::Facts;
use node::{cluster_options_key, node_config_key};
use proto::wire::Answer;
use proto::{API_VERSION, REPOSITORY_ID};
use serde_json::{Map, Value};
use sys::Command;

use crate::ops::Op;

/// Options whose names contain one of these have secret values.
const SECRET: [&str; 4] = ["password", "secret", "keyring", "token"];

/// The commands that show the network.
const NETWORK: [&[&str]; 3] = [
    &["ip", "-details", "address", "show"],
    &["ip", "-details", "-4", "route", "show"],
    &["ip", "-details", "-6", "route", "show"],
];

pub(super) async fn report(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let mut report = Report::default();
    report.chapter("general system info");
    general(node, &mut report).await?;
    report.chapter("info about storage");
    storages(node, &mut report).await?;
    report.chapter("info about virtual guests");
    guests(node, &mut report).await?;
    report.chapter("info about network");
    for words in NETWORK {
        report.section(&words.join(" "), &printed(node, words).await);
    }
    Ok(Answer::new(report.text))
}

/// A text with chapters and sections, formatted like Proxmox VE's.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn chapter(&mut self, title: &str) {
        self.text.push_str(&format!("\n==== {title} ====\n"));
    }

    fn section(&mut self, title: &str, body: &str) {
        let body = match body.trim_end() {
            "" => "none",
            body => body,
        };
        self.text.push_str(&format!("\n# {title}\n{body}\n"));
    }
}

async fn general(node: &NodeContext, report: &mut Report) -> Result<(), Error> {
    let facts = Facts::new(node.host.clone());
    let (kernel, memory) = (facts.kernel().await, facts.memory().await);
    let processors = facts.processors().await;
    report.section("node", node.name.as_str());
    report.section("versions", &versions(node).await);
    let kernel = format!("{} {} {}", kernel.name, kernel.release, kernel.version);
    report.section("kernel", &kernel);
    let processors = format!(
        "{} x {} ({} sockets, {} cores)",
        processors.cpus, processors.model, processors.sockets, processors.cores
    );
    report.section("processors", &processors);
    let memory = format!(
        "total {} bytes, available {} bytes, swap {} bytes",
        memory.total, memory.available, memory.swap_total
    );
    report.section("memory", &memory);
    let uptime = format!(
        "{} s, load {}",
        facts.uptime().await as u64,
        facts.load().await.join(" ")
    );
    report.section("uptime", &uptime);
    let path = node.paths.config();
    let text = match node.host.read(&path).await {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => Error::from(error).message,
    };
    report.section(&path.display().to_string(), &text);
    for (title, key) in [
        ("datacenter options", cluster_options_key()),
        ("node options", node_config_key(&node.name)),
    ] {
        let settings = node.records.local().settings(&key).await?;
        report.section(title, &lines(settings.options.iter()));
    }
    Ok(())
}

/// A line per program that is installed.
async fn versions(node: &NodeContext) -> String {
    let mut text =
        format!("pve-manager: {API_VERSION} (API of version {API_VERSION}/{REPOSITORY_ID})\n");
    text.push_str(&format!("ostler: {}\n", env!("CARGO_PKG_VERSION")));
    for (name, version) in node.programs.versions().await {
        let version = version.as_deref().unwrap_or("not found");
        text.push_str(&format!("{name}: {version}\n"));
    }
    text
}

async fn storages(node: &NodeContext, report: &mut Report) -> Result<(), Error> {
    for entry in node.records.local().storages().await? {
        let config = &entry.config;
        let title = format!("{}: {}", config.spec.kind().as_str(), config.id());
        let shown = serde_json::to_value(config).unwrap_or_default();
        let mut text = lines(shown.as_object().unwrap_or(&Map::new()).iter());
        let usage = match node.storage(config.id()).await {
            Ok(storage) => match storage.activate().await {
                Ok(()) => storage.status().await.map_err(Error::from),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        text.push_str(&match usage {
            Ok(space) => format!("status: used {} of {} bytes\n", space.used, space.total),
            Err(error) => format!("status: {error}\n"),
        });
        report.section(&title, &text);
    }
    report.section("df -h -T", &printed(node, &["df", "-h", "-T"]).await);
    Ok(())
}

async fn guests(node: &NodeContext, report: &mut Report) -> Result<(), Error> {
    for guest in node.records.local().guests().await? {
        let guest = guest?;
        let state = match node.running.is_running(guest.vmid).await? {
            true => "running",
            false => "stopped",
        };
        let title = format!("{} {} ({state})", guest.kind.as_str(), guest.vmid);
        report.section(&title, &configuration(&guest));
    }
    Ok(())
}

/// A guest's options, and which of them have pending changes.
fn configuration(guest: &GuestRecord) -> String {
    let mut text = lines(guest.config.0.iter());
    for name in guest.pending.keys() {
        text.push_str(&format!("pending change of {name}\n"));
    }
    text
}

/// `name: value`, one per line, without secrets.
fn lines<'a>(options: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let is_secret = |name: &str| SECRET.iter().any(|word| name.contains(word));
    let line = |(name, value): (&String, &Value)| match value {
        _ if is_secret(name) => format!("{name}: <hidden>\n"),
        Value::String(text) => format!("{name}: {}\n", text.replace('\n', "\\n")),
        other => format!("{name}: {other}\n"),
    };
    options.map(line).collect()
}

/// A program's output, or the reason why there is none.
async fn printed(node: &NodeContext, words: &[&str]) -> String {
    let command = Command::new(words[0]).args(words[1..].iter().copied());
    let output = match node.host.run(command).await {
        Ok(output) => output.checked(words[0]),
        Err(error) => Err(error),
    };
    match output {
        Ok(stdout) => String::from_utf8_lossy(&stdout).into_owned(),
        Err(error) => Error::from(error).message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_so_where_it_is_empty() {
        let mut report = Report::default();
        report.chapter("a");
        report.section("b", "c\n\n");
        report.section("d", "");
        let options = serde_json::json!({"cipassword": "x", "name": "a\nb", "memory": 5});
        let shown = lines(options.as_object().unwrap().iter());
        assert_eq!(shown, "cipassword: <hidden>\nname: a\\nb\nmemory: 5\n");
        assert_eq!(report.text, "\n==== a ====\n\n# b\nc\n\n# d\nnone\n");
    }
}
