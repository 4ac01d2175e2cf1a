//! The output of `pvecm`, in the form that scripts parse.

use std::fmt::Write;

use serde_json::Value;

use super::super::format::{plain_text, time};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// From the first day of the epoch on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY_S: i64 = 86_400;

/// A member, as it takes part in votes.
struct Voter {
    nodeid: u64,
    votes: u64,
    name: String,
    address: String,
    is_local: bool,
    is_present: bool,
}

/// The witness, which stands where Proxmox VE has a quorum device.
struct Witness {
    name: String,
    votes: u64,
    is_present: bool,
}

/// The members by their numbers, and whether they can change anything.
pub(super) struct Membership {
    voters: Vec<Voter>,
    witness: Option<Witness>,
    quorate: bool,
}

impl Membership {
    /// From `/cluster/status`, `/cluster/config/nodes` and `/ostler/cluster/witness`.
    pub(super) fn of(status: &Value, nodes: &Value, witness: &Value) -> Self {
        let rows = || status.as_array().into_iter().flatten();
        let configured = nodes.as_array().into_iter().flatten();
        let voters = configured.map(|node| {
            let name = plain_text(&node["name"]);
            let seen = rows().find(|row| row["type"] == "node" && row["name"] == node["name"]);
            let seen = seen.unwrap_or(&Value::Null);
            Voter {
                nodeid: number(&node["nodeid"]),
                votes: number(&node["quorum_votes"]),
                address: plain_text(&node["ring0_addr"]),
                is_local: seen["local"] == 1,
                is_present: seen["online"] == 1,
                name,
            }
        });
        let mut voters: Vec<Voter> = voters.collect();
        voters.sort_by_key(|voter| voter.nodeid);
        let cluster = rows().find(|row| row["type"] == "cluster");
        let witness = witness["name"].as_str().map(|name| Witness {
            name: name.to_owned(),
            votes: number(&witness["votes"]),
            is_present: witness["online"] == 1,
        });
        Self {
            voters,
            witness,
            quorate: cluster.is_some_and(|row| row["quorate"] == 1),
        }
    }

    pub(super) fn is_quorate(&self) -> bool {
        self.quorate
    }

    fn present(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter().filter(|voter| voter.is_present)
    }

    /// The names of voters that are not present.
    pub(super) fn lost_voters(&self) -> Vec<&str> {
        let lost = self
            .voters
            .iter()
            .filter(|voter| voter.votes > 0 && !voter.is_present);
        let lost = lost.map(|voter| voter.name.as_str());
        let witness = self.witness.iter();
        let witness = witness.filter(|witness| witness.votes > 0 && !witness.is_present);
        lost.chain(witness.map(|witness| witness.name.as_str()))
            .collect()
    }

    pub(super) fn expected(&self) -> u64 {
        let witness = self.witness.as_ref().map_or(0, |witness| witness.votes);
        self.voters.iter().map(|voter| voter.votes).sum::<u64>() + witness
    }

    /// The votes that are there.
    fn total(&self) -> u64 {
        let witness = self.witness.as_ref().filter(|witness| witness.is_present);
        let present: u64 = self.present().map(|voter| voter.votes).sum();
        present + witness.map_or(0, |witness| witness.votes)
    }

    /// The section that both commands print.
    fn section(&self, text: &mut String, id: fn(u64) -> String, name: fn(&Voter) -> &str) {
        text.push_str("\nMembership information\n----------------------\n");
        // How each member stands to the quorum device: alive, its vote counts, no master wins.
        let (title, standing) = match &self.witness {
            None => ("", ""),
            Some(Witness { votes: 0, .. }) => ("    Qdevice", "   A,NV,NMW"),
            Some(_) => ("    Qdevice", "    A,V,NMW"),
        };
        let _ = writeln!(text, "{:>10} {:>10}{title} Name", "Nodeid", "Votes");
        for voter in self.present() {
            let local = if voter.is_local { " (local)" } else { "" };
            let (id, votes, name) = (id(voter.nodeid), voter.votes, name(voter));
            let _ = writeln!(text, "{id:>10} {votes:>10}{standing} {name}{local}");
        }
        if let Some(witness) = &self.witness {
            let votes = if witness.is_present { witness.votes } else { 0 };
            let _ = writeln!(text, "{:>10} {votes:>10}            Qdevice", id(0));
        }
    }
}

/// The API writes some numbers as text.
fn number(value: &Value) -> u64 {
    plain_text(value).parse().unwrap_or_default()
}

pub(super) fn nodes(membership: &Membership) -> String {
    let mut text = String::new();
    membership.section(&mut text, |id| id.to_string(), |voter| &voter.name);
    text
}

/// `now` is the local time, in seconds since 1970.
pub(super) fn status(totem: &Value, membership: &Membership, now: i64) -> String {
    let quorate = membership.is_quorate();
    let own = membership.voters.iter().find(|voter| voter.is_local);
    let own = own.map_or(0, |voter| voter.nodeid);
    let expected = membership.expected();
    let total = membership.total();
    let sections: [(&str, Vec<(&str, String)>); 3] = [
        (
            "Cluster information",
            vec![
                ("Name", plain_text(&totem["cluster_name"])),
                ("Config Version", plain_text(&totem["config_version"])),
                ("Transport", "knet".to_owned()),
                ("Secure auth", plain_text(&totem["secauth"])),
            ],
        ),
        (
            "Quorum information",
            vec![
                ("Date", date(now)),
                ("Quorum provider", "corosync_votequorum".to_owned()),
                ("Nodes", membership.present().count().to_string()),
                ("Node ID", format!("0x{own:08x}")),
                (
                    "Ring ID",
                    format!("{own}.{:x}", number(&totem["config_version"])),
                ),
                ("Quorate", if quorate { "Yes" } else { "No" }.to_owned()),
            ],
        ),
        (
            "Votequorum information",
            vec![
                ("Expected votes", expected.to_string()),
                ("Highest expected", expected.to_string()),
                ("Total votes", total.to_string()),
                ("Quorum", needed(expected, quorate)),
                ("Flags", flags(quorate, membership.witness.is_some())),
            ],
        ),
    ];
    let sections = sections.map(|(title, lines)| {
        let mut text = format!("{title}\n{}\n", "-".repeat(title.len()));
        for (name, value) in lines {
            let _ = writeln!(text, "{:<18}{value}", format!("{name}:"));
        }
        text
    });
    let mut text = sections.join("\n");
    membership.section(
        &mut text,
        |id| format!("0x{id:08x}"),
        |voter| &voter.address,
    );
    text
}

/// Each with a blank after it.
fn flags(quorate: bool, has_witness: bool) -> String {
    let quorate = if quorate { "Quorate " } else { "" };
    let witness = if has_witness { "Qdevice " } else { "" };
    format!("{quorate}{witness}")
}

/// The votes that a change needs.
fn needed(expected: u64, quorate: bool) -> String {
    let needed = expected / 2 + 1;
    match quorate {
        true => format!("{needed}  "),
        false => format!("{needed} Activity blocked"),
    }
}

/// `Sat Nov 28 02:53:21 2026`
fn date(local: i64) -> String {
    let weekday = WEEKDAYS[local.div_euclid(DAY_S).rem_euclid(7) as usize];
    let text = time(local);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month: usize = part(5, 7).parse().unwrap_or(1);
    let month = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&"Jan");
    let (day, clock, year) = (part(8, 10), part(11, 19), part(0, 4));
    let day = day.trim_start_matches('0');
    format!("{weekday} {month} {day:>2} {clock} {year}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lab() -> Membership {
        let member = |name: &str, id: &str, address: &str| json!({"name": name, "nodeid": id, "quorum_votes": "1", "ring0_addr": address});
        let nodes = json!([
            member("b", "2", "192.168.15.92"),
            member("a", "1", "192.168.15.91"),
            member("c", "3", "192.168.15.93"),
        ]);
        let status = json!([
            {"type": "cluster", "name": "lab", "quorate": 1},
            {"type": "node", "name": "a", "local": 1, "online": 1},
            {"type": "node", "name": "b", "local": 0, "online": 1},
            {"type": "node", "name": "c", "local": 0, "online": 0},
        ]);
        Membership::of(&status, &nodes, &Value::Null)
    }

    #[test]
    fn status_is_printed_as_scripts_know_it() {
        let totem = json!({"cluster_name": "lab", "config_version": "3", "secauth": "on"});
        let printed = status(&totem, &lab(), 1_795_834_401);
        assert_eq!(
            printed,
            include_str!("../../../tests/golden/pvecm-status.txt")
        );
    }

    #[test]
    fn nodes_are_the_present_ones() {
        assert_eq!(
            nodes(&lab()),
            include_str!("../../../tests/golden/pvecm-nodes.txt")
        );
    }

    #[test]
    fn a_witness_stands_where_a_quorum_device_does() {
        let witness = |online: u8| Membership {
            witness: Some(Witness {
                name: "w".to_owned(),
                votes: 1,
                is_present: online == 1,
            }),
            ..lab()
        };
        let printed = status(&json!({}), &witness(1), 0);
        for line in [
            "Expected votes:   4",
            "Total votes:      3",
            "Flags:            Quorate Qdevice ",
            "    Nodeid      Votes    Qdevice Name",
            "0x00000001          1    A,V,NMW 192.168.15.91 (local)",
            "0x00000000          1            Qdevice",
        ] {
            assert!(printed.lines().any(|printed| printed == line), "{printed}");
        }
        assert_eq!(witness(1).lost_voters(), ["c"]);
        assert_eq!(witness(0).lost_voters(), ["c", "w"]);
    }

    #[test]
    fn without_quorum_activity_is_blocked() {
        let membership = Membership {
            quorate: false,
            ..lab()
        };
        let printed = status(&json!({}), &membership, 0);
        assert!(printed.contains("\nQuorate:          No\n"), "{printed}");
        assert!(
            printed.contains("\nQuorum:           2 Activity blocked\n"),
            "{printed}"
        );
        assert!(
            printed.contains("\nDate:             Thu Jan  1 00:00:00 1970\n"),
            "{printed}"
        );
    }
}
