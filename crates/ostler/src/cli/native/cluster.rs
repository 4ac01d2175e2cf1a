//! `ostler cluster …`

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use model::schema::Values;
use proto::Verb;
use serde_json::{Value, json};

use super::super::agent::{Agent, values};
use super::super::format::{Table, plain_text, time};
use super::super::{joining, output};
use super::{Format, Looks, Waiting, confirm};

const CLUSTER: &str = "/cluster/config";
const DISSOLVE: &str = "/ostler/cluster/dissolve";
const INVITATIONS: &str = "/ostler/cluster/invitations";
const LEAVE: &str = "/ostler/cluster/leave";
const NODE: &str = "/cluster/config/nodes/{node}";
const NODES: &str = "/cluster/config/nodes";
const RESTORE: &str = "/ostler/cluster/restore";
const SAVED: &str = "/ostler/cluster/saved";
const STATUS: &str = "/cluster/status";
const WITNESS: &str = "/ostler/cluster/witness";

/// The cluster that this node belongs to.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make a cluster of this node, whose guests run on. Other nodes can join it.
    Create {
        name: String,
        /// The address of this node that the others reach.
        #[arg(long)]
        link: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Make a single node of the only member, whose guests run on.
    Dissolve {
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Invite one node: print what its `ostler cluster join` needs.
    Invite {
        /// How long the invitation counts, in seconds.
        #[arg(long, default_value_t = 3600)]
        lifetime: u32,
        /// For a witness, which votes and is no node.
        #[arg(long)]
        witness: bool,
        #[command(flatten)]
        looks: Looks,
    },
    /// Join a cluster. This node must have no guests; its own users and settings are left behind.
    Join {
        /// What `ostler cluster invite` printed, or the address of a member.
        invitation: String,
        /// The fingerprint of the member's certificate; shown and asked for if it is missing.
        #[arg(long)]
        fingerprint: Option<String>,
        /// The address of this node that the others reach.
        #[arg(long)]
        link: Option<String>,
        /// Take the place of a member of this name that does not answer.
        #[arg(long)]
        force: bool,
    },
    /// Leave the cluster. This node becomes a new node on its own.
    Leave {
        /// Only forget the cluster, which has removed this node or cannot be asked.
        #[arg(long)]
        force: bool,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Remove another node, which must be off or be wiped afterwards.
    Remove {
        node: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    #[command(flatten)]
    Saved(SavedCommand),
    /// Remove the witness for good.
    RemoveWitness {
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// The members, and who of them votes.
    Status {
        #[command(flatten)]
        looks: Looks,
    },
}

/// States in files of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum SavedCommand {
    /// Restore the state after all voters have lost it, from a saved state or from this node's copy.
    Restore {
        /// The name of a saved state; without it, this node's copy.
        saved: Option<String>,
        /// Another node that is powered off. Each that does not answer must be named.
        #[arg(long = "powered-off", value_name = "NODE")]
        powered_off: Vec<String>,
        /// The address of this node that the others reach.
        #[arg(long)]
        link: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Save the state in a file of this node. It has all secrets of the cluster.
    Save { name: Option<String> },
    /// The states that were saved on this node.
    Saved {
        #[command(flatten)]
        looks: Looks,
    },
}

pub(crate) async fn run(command: ClusterCommand) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    match command {
        ClusterCommand::Create {
            name,
            link,
            waiting,
        } => {
            let mut params = values([("clustername", name.into())]);
            params.extend(link.map(|link| ("link0".to_owned(), link.into())));
            let task = agent.at(Verb::Post, CLUSTER, params).await?.data;
            waiting.wait(&agent, &task).await
        }
        ClusterCommand::Dissolve { waiting } => {
            let task = agent.at(Verb::Post, DISSOLVE, Values::new()).await?.data;
            waiting.wait(&agent, &task).await
        }
        ClusterCommand::Invite {
            lifetime,
            witness,
            looks,
        } => {
            let params = values([("lifetime", lifetime.into())]);
            let invited = agent.at(Verb::Post, INVITATIONS, params).await?.data;
            let joins = if witness { "witness" } else { "cluster" };
            print_invitation(looks, &invited, joins)
        }
        ClusterCommand::Join {
            invitation,
            fingerprint,
            link,
            force,
        } => {
            let mut params = values([("force", u8::from(force).into())]);
            params.extend(link.map(|link| ("link0".to_owned(), link.into())));
            params.extend(fingerprint.map(|text| ("fingerprint".to_owned(), text.into())));
            join(&agent, &invitation, params).await
        }
        ClusterCommand::Leave {
            force,
            yes,
            waiting,
        } => {
            let question = format!("Let node {} leave its cluster?", agent.node);
            if !yes && !confirm(&question)? {
                bail!("the node was left as it is");
            }
            let params = values([("force", u8::from(force).into())]);
            let task = agent.at(Verb::Post, LEAVE, params).await?.data;
            waiting.wait(&agent, &task).await
        }
        ClusterCommand::Remove { node, yes } => {
            let question = format!("Remove node {node} from the cluster for good?");
            if !yes && !confirm(&question)? {
                bail!("node {node} was left as it is");
            }
            let params = values([("node", node.into())]);
            agent.at(Verb::Delete, NODE, params).await.map(drop)
        }
        ClusterCommand::RemoveWitness { yes } => remove_witness(&agent, yes).await,
        ClusterCommand::Saved(command) => run_saved(&agent, command).await,
        ClusterCommand::Status { looks } => {
            let nodes = agent.at(Verb::Get, NODES, Values::new()).await?.data;
            let status = agent.at(Verb::Get, STATUS, Values::new()).await?.data;
            let witness = agent.at(Verb::Get, WITNESS, Values::new()).await?.data;
            looks.print(&joined(nodes, &status, &witness), members)
        }
    }
}

async fn remove_witness(agent: &Agent, yes: bool) -> Result<()> {
    if !yes && !confirm("Remove the witness from the cluster for good?")? {
        bail!("the witness was left as it is");
    }
    let removed = agent.at(Verb::Delete, WITNESS, Values::new());
    removed.await.map(drop)
}

async fn run_saved(agent: &Agent, command: SavedCommand) -> Result<()> {
    match command {
        SavedCommand::Restore {
            saved,
            powered_off,
            link,
            waiting,
        } => {
            let mut params = values([("powered-off", powered_off.join(",").into())]);
            params.extend(saved.map(|name| ("saved".to_owned(), name.into())));
            params.extend(link.map(|link| ("link0".to_owned(), link.into())));
            let task = agent.at(Verb::Post, RESTORE, params).await?.data;
            waiting.wait(agent, &task).await
        }
        SavedCommand::Save { name } => {
            let params = name.map(|name| ("name".to_owned(), name.into()));
            let params = params.into_iter().collect();
            let saved = agent.at(Verb::Post, SAVED, params).await?.data;
            output::line(&plain_text(&saved["path"]))
        }
        SavedCommand::Saved { looks } => {
            let saved = agent.at(Verb::Get, SAVED, Values::new()).await?.data;
            looks.print(&saved, saved_states)
        }
    }
}

/// With an invitation there is nothing left to ask.
async fn join(agent: &Agent, invitation: &str, mut params: Values) -> Result<()> {
    let invited = Invited::parse(invitation);
    let given = [
        ("fingerprint", invited.fingerprint),
        ("password", invited.token),
    ];
    for (name, value) in given {
        params.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    let host = invited.host;
    let prompt = format!("Password of root@pam of '{host}', or an invitation's token: ");
    joining::join(agent, &host, params, &prompt).await
}

/// What an invitation says; of something else that it is a host.
pub(super) struct Invited {
    pub(super) host: String,
    pub(super) fingerprint: Option<String>,
    pub(super) token: Option<String>,
}

impl Invited {
    pub(super) fn parse(invitation: &str) -> Self {
        let decoded = STANDARD.decode(invitation).unwrap_or_default();
        let invited: Value = serde_json::from_slice(&decoded).unwrap_or_default();
        let text = |name: &str| invited[name].as_str().map(str::to_owned);
        match text("ipAddress") {
            Some(host) => Self {
                host,
                fingerprint: text("fingerprint"),
                token: text("token"),
            },
            None => Self {
                host: invitation.to_owned(),
                fingerprint: None,
                token: None,
            },
        }
    }
}

/// The whole command, alone in its line, to be copied.
fn print_invitation(looks: Looks, invited: &Value, joins: &str) -> Result<()> {
    if looks.format != Format::Text {
        return looks.print(invited, |_| Table::new([""]));
    }
    let until = invited["expires"].as_i64().map(time).unwrap_or_default();
    let information = plain_text(&invited["information"]);
    output::line(&format!("For one machine, until {until}:\n"))?;
    output::line(&format!("ostler {joins} join {information}"))
}

/// The configured members, each with what is seen of it, and the witness.
fn joined(mut nodes: Value, status: &Value, witness: &Value) -> Value {
    let seen = |name: &Value| {
        let rows = status.as_array().into_iter().flatten();
        rows.into_iter()
            .find(|row| row["type"] == "node" && row["name"] == *name)
            .cloned()
            .unwrap_or_default()
    };
    for node in nodes.as_array_mut().into_iter().flatten() {
        let row = seen(&node["name"]);
        node["online"] = row["online"].clone();
        node["local"] = row["local"].clone();
    }
    if let (Some(rows), false) = (nodes.as_array_mut(), witness["name"].is_null()) {
        rows.push(json!({
            "name": witness["name"], "ring0_addr": witness["address"], "witness": 1,
            "quorum_votes": plain_text(&witness["votes"]), "online": witness["online"],
        }));
    }
    nodes
}

fn saved_states(saved: &Value) -> Table {
    let mut table = Table::new(["NAME", "WRITTEN", "BYTES", "PATH"]);
    for state in saved.as_array().into_iter().flatten() {
        table.row([
            plain_text(&state["name"]),
            state["ctime"].as_i64().map(time).unwrap_or_default(),
            plain_text(&state["size"]),
            plain_text(&state["path"]),
        ]);
    }
    table
}

fn members(nodes: &Value) -> Table {
    let mut table = Table::new(["NODE", "ID", "ADDRESS", "VOTES", "STATE"]);
    for node in nodes.as_array().into_iter().flatten() {
        let state = match (&node["online"], &node["local"]) {
            (online, _) if node["witness"] == 1 && *online == 1 => "witness",
            _ if node["witness"] == 1 => "witness, offline",
            (_, local) if *local == 1 => "this node",
            (online, _) if *online == 1 => "online",
            _ => "offline",
        };
        table.row([
            plain_text(&node["name"]),
            plain_text(&node["nodeid"]),
            plain_text(&node["ring0_addr"]),
            plain_text(&node["quorum_votes"]),
            state.to_owned(),
        ]);
    }
    table
}
