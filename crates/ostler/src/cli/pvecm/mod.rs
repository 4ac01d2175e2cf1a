//! `pvecm`: the cluster, by the command names of Proxmox VE.

mod print;

use std::io::{IsTerminal, stdin};

use anyhow::{Result, bail};
use model::schema::{Field, Shape, Values, format};
use proto::Verb;
use serde_json::{Value, json};

use self::print::Membership;
use super::agent::{Agent, values};
use super::commands::{Command, Program, get, nothing, own, post};
use super::failure::with_code;
use super::follow::{follow, upid};
use super::format::{Output, Style, plain_text, render};
use super::keyboard::Keyboard;
use super::progress::Log;
use super::{joining, output};

pub(super) const PROGRAM: Program = Program {
    name: "pvecm",
    about: "the cluster and its members",
    commands: COMMANDS,
    takes_passwords: false,
};

const COMMANDS: &[Command] = &[
    own(
        "add",
        "Join the cluster of a host.",
        ADD,
        |agent, given, _| Box::pin(add(agent, given)),
    )
    .takes(&["hostname"]),
    post("addnode", "/cluster/config/nodes/{node}").takes(&["node"]),
    get("apiver", "/cluster/config/apiversion"),
    post("create", "/cluster/config").takes(&["clustername"]),
    own(
        "delnode",
        "Remove a node from the cluster.",
        DELNODE,
        |agent, given, _| Box::pin(delnode(agent, given)),
    )
    .takes(&["node"]),
    own(
        "expected",
        "Set the expected votes: go on with this node alone when the other voters are lost.",
        EXPECTED,
        |agent, given, _| Box::pin(expected(agent, given)),
    )
    .takes(&["expected"]),
    nothing("keygen"),
    nothing("mtunnel"),
    own("nodes", "The present members.", &[], |agent, _, style| {
        Box::pin(nodes(agent, style))
    }),
    own(
        "qdevice remove",
        "Remove the witness, which stands for the quorum device.",
        &[],
        |agent, _, _| Box::pin(qdevice_remove(agent)),
    ),
    own(
        "qdevice setup",
        "Say how a machine becomes the witness, which stands for the quorum device.",
        QDEVICE,
        |agent, _, _| Box::pin(qdevice_setup(agent)),
    )
    .takes(&["address"]),
    own(
        "status",
        "Whether the cluster can change, and its present members.",
        &[],
        |agent, _, style| Box::pin(status(agent, style)),
    ),
    own(
        "updatecerts",
        "Renew the certificates of this node that end soon, with --force all of them.",
        UPDATECERTS,
        |agent, given, _| Box::pin(updatecerts(agent, given)),
    ),
];

const LINK: Field = Field::string("link[n]").optional();

const ADD: &[Field] = &[
    Field::string("fingerprint")
        .pattern(r#"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"#)
        .optional(),
    Field::boolean("force").optional(),
    Field::string("hostname"),
    LINK.indexed(8),
    Field::integer("nodeid").optional().min(1.0),
    // There is no SSH between nodes: what it would do is done without it.
    Field::boolean("use_ssh").optional(),
    Field::integer("votes").optional().min(0.0),
];

const EXPECTED: &[Field] = &[Field::integer("expected").min(1.0)];

/// With quorum, the votes follow from the members and nothing else can be set. Without, the names of
/// the lost voters must be typed: if one of them runs, there may be two majorities.
async fn expected(agent: Agent, given: Values) -> Result<()> {
    let cluster = Cluster::of(&agent).await?;
    let membership = cluster.membership();
    let wanted = given["expected"].as_u64().unwrap_or_default();
    if membership.is_quorate() {
        return match wanted == membership.expected() {
            true => Ok(()),
            false => bail!("Unable to set expected votes: CS_ERR_INVALID_PARAM"),
        };
    }
    if wanted != 1 {
        bail!("without quorum the expected votes can only be set to 1, this node's own");
    }
    let lost = membership.lost_voters().join(" ");
    output::note(
        "This node goes on alone, and the others must take over its state when they are back. If one \
         of them still runs, what it changes is lost.",
    );
    output::note(&format!("Voters that do not answer: {lost}"));
    if stdin().is_terminal() {
        output::prompt("Type the names of those that are powered off: ");
    }
    let typed = Keyboard::open().line().await?.unwrap_or_default();
    let typed = typed.split_whitespace().collect::<Vec<_>>().join(",");
    let params = values([("powered-off", typed.into())]);
    let task = agent.at(Verb::Post, "/ostler/cluster/quorum", params);
    let task = task.await?.data;
    follow(&agent, upid(&task)?, Log::Stdout).await
}

const UPDATECERTS: &[Field] = &[
    Field::boolean("force").optional(),
    Field::boolean("silent").optional(),
    // There are no SSH keys between nodes.
    Field::boolean("unmerge-known-hosts").optional(),
];

async fn updatecerts(agent: Agent, given: Values) -> Result<()> {
    let is_set = |name: &str| given.get(name).and_then(Value::as_bool) == Some(true);
    let params = values([("force", u8::from(is_set("force")).into())]);
    let renewed = agent.at(Verb::Post, "/ostler/cluster/certificates", params);
    let renewed = renewed.await?.data;
    if is_set("silent") {
        return Ok(());
    }
    output::line("(re)generate node files")?;
    for name in renewed.as_array().into_iter().flatten() {
        match name.as_str() {
            Some("api") => output::line("generate new node certificate")?,
            _ => output::line(&format!("generate new {} certificate", plain_text(name)))?,
        }
    }
    Ok(())
}

const QDEVICE: &[Field] = &[
    Field::string("address"),
    Field::boolean("force").optional(),
    Field::string("network").optional(),
];

const WITNESS: &str = "/ostler/cluster/witness";

/// There is no SSH between machines: the witness comes by itself.
async fn qdevice_setup(agent: Agent) -> Result<()> {
    let known = agent.at(Verb::Get, WITNESS, Values::new()).await?.data;
    if !known["name"].is_null() {
        bail!("QDevice already configured!");
    }
    let invited = agent.at(Verb::Post, "/ostler/cluster/invitations", Values::new());
    let invited = invited.await?.data;
    output::line("Run this on the machine, with Ostler installed, within an hour:\n")?;
    let information = plain_text(&invited["information"]);
    output::line(&format!("ostler witness join {information}"))
}

async fn qdevice_remove(agent: Agent) -> Result<()> {
    let known = agent.at(Verb::Get, WITNESS, Values::new()).await?.data;
    if known["name"].is_null() {
        bail!("No QDevice configured!");
    }
    agent.at(Verb::Delete, WITNESS, Values::new()).await?;
    output::line("Done.")
}

const DELNODE: &[Field] = &[Field::string("node").format(format::NODE)];

/// Asks for the password, as Proxmox VE does; an invitation's token is accepted in its place.
async fn add(agent: Agent, mut given: Values) -> Result<()> {
    given.shift_remove("use_ssh");
    let host = plain_text(&given["hostname"]);
    let prompt = format!("Please enter superuser (root) password for '{host}': ");
    joining::join(&agent, &host, given, &prompt).await
}

async fn delnode(agent: Agent, given: Values) -> Result<()> {
    let nodes = agent.at(Verb::Get, "/cluster/config/nodes", Values::new());
    let nodes = nodes.await?.data;
    let mut rows = nodes.as_array().into_iter().flatten();
    let row = rows.find(|row| row["name"] == given["node"]);
    let id = row.map(|row| plain_text(&row["nodeid"]));
    let path = "/cluster/config/nodes/{node}";
    agent.at(Verb::Delete, path, given).await?;
    match id {
        Some(id) => output::line(&format!("Killing node {id}")),
        None => Ok(()),
    }
}

/// The exit code of `status` without quorum.
const NOT_QUORATE: u8 = 2;

/// What is known of the cluster, as the API answers it.
struct Cluster {
    status: Value,
    nodes: Value,
    totem: Value,
    witness: Value,
}

impl Cluster {
    async fn of(agent: &Agent) -> Result<Self> {
        let ask = async |path: &str| {
            let answer = agent.at(Verb::Get, path, Values::new()).await?;
            anyhow::Ok(answer.data)
        };
        let totem = ask("/cluster/config/totem").await?;
        if totem.is_null() {
            // Scripts look for this text of Proxmox VE.
            bail!(
                "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of \
                 a cluster?"
            );
        }
        Ok(Self {
            status: ask("/cluster/status").await?,
            nodes: ask("/cluster/config/nodes").await?,
            witness: ask("/ostler/cluster/witness").await?,
            totem,
        })
    }

    fn membership(&self) -> Membership {
        Membership::of(&self.status, &self.nodes, &self.witness)
    }
}

async fn nodes(agent: Agent, style: Style) -> Result<()> {
    let cluster = Cluster::of(&agent).await?;
    if style.output != Output::Text {
        return output::print(&render(&style, &cluster.nodes, &Shape::Any)?);
    }
    output::print(&print::nodes(&cluster.membership()))
}

async fn status(agent: Agent, style: Style) -> Result<()> {
    let cluster = Cluster::of(&agent).await?;
    let membership = cluster.membership();
    if style.output == Output::Text {
        let time = agent.at(Verb::Get, "/nodes/{node}/time", Values::new());
        let now = time.await?.data["localtime"].as_i64().unwrap_or_default();
        output::print(&print::status(&cluster.totem, &membership, now))?;
    } else {
        let all = json!({"totem": cluster.totem, "status": cluster.status});
        output::print(&render(&style, &all, &Shape::Any)?)?;
    }
    match membership.is_quorate() {
        true => Ok(()),
        false => Err(with_code(NOT_QUORATE)),
    }
}
