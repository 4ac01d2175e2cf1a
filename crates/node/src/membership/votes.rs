//! Who votes: 1 of 1 or 2 nodes, 3 of 3 or 4, 5 from 5 on.

use std::time::Duration;

use model::NodeName;
use tasks::{Engine, Submission};
use tracing::warn;

use super::roster::Roster;
use crate::NodeContext;
use crate::cluster::{Hearing, Member};
use crate::tasks::{ClusterUnvote, ClusterVote};

/// How often it is checked who should vote.
const LOOK: Duration = Duration::from_secs(2);

/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How many members of a cluster vote; those of two or four all, if a witness votes with them.
pub fn wanted_votes(members: usize, has_witness: bool) -> usize {
    match members {
        2 | 4 if has_witness => members,
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    }
}

/// What a node, or the witness, should do about its vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Vote,
    Unvote,
    Nothing,
}

/// It is one node's turn at a time: the first one that is heard and does not vote, or the last one
/// that votes.
fn turn<'a>(
    own: &NodeName,
    members: impl Iterator<Item = &'a Member>,
    has_witness: bool,
    is_heard: impl Fn(&NodeName) -> bool,
) -> Turn {
    let mut members: Vec<&Member> = members.collect();
    members.sort_by_key(|member| member.nodeid);
    let wanted = wanted_votes(members.len(), has_witness);
    let votes = |member: &&&Member| member.votes > 0;
    let voters = members.iter().filter(votes).count();
    let is_own = |member: Option<&&Member>| member.is_some_and(|member| member.name == *own);
    if voters < wanted {
        let next = members
            .iter()
            .find(|member| member.votes == 0 && (member.name == *own || is_heard(&member.name)));
        return match is_own(next) {
            true => Turn::Vote,
            false => Turn::Nothing,
        };
    }
    let last = members.iter().rfind(votes);
    match voters > wanted && is_own(last) {
        true => Turn::Unvote,
        false => Turn::Nothing,
    }
}

/// The witness votes with two or four nodes, and comes after them: with fewer of their votes it would
/// only be one more that may not be lost.
pub(crate) fn witness_turn(roster: &Roster) -> Turn {
    let votes = roster.members.values().map(|member| member.data.votes);
    let (members, voters) = (votes.len(), votes.filter(|votes| *votes > 0).count());
    let has_vote = roster.witness().is_some_and(|witness| witness.votes > 0);
    let is_wanted = matches!(members, 2 | 4);
    let all_vote = voters >= wanted_votes(members, true);
    match (is_wanted, has_vote) {
        (true, false) if all_vote => Turn::Vote,
        (false, true) if all_vote => Turn::Unvote,
        _ => Turn::Nothing,
    }
}

/// Takes and gives back this node's vote when it is its turn, at two looks in a row: nodes that have
/// just started are not heard at once. Never returns.
pub async fn follow_votes(node: &NodeContext, tasks: &Engine<NodeContext>) {
    let mut last = Turn::Nothing;
    loop {
        node.clock.sleep(LOOK).await;
        let can_vote = node.cluster.identity.is_some() && node.records.store().outage().is_none();
        if !can_vote || !node.is_clustered().await {
            continue;
        }
        let members = node.cluster.members.all();
        let is_heard = |name: &NodeName| {
            let link = node.cluster.link(name);
            link.is_some_and(|link| link.hearing() == Hearing::Heard)
        };
        let Some(own) = members.get(&node.name) else {
            continue;
        };
        let Ok(witness) = node.records.local().witness().await else {
            continue;
        };
        let has_witness = witness.is_some_and(|witness| witness.is_there);
        let now = turn(&node.name, members.values(), has_witness, is_heard);
        if std::mem::replace(&mut last, now) != now {
            continue;
        }
        let submission = Submission {
            request_id: String::new(),
            user: "root@pam".to_owned(),
            id: node.name.to_string(),
            listed: true,
        };
        let submitted = match now {
            Turn::Nothing => continue,
            Turn::Vote => {
                let task = ClusterVote::new(own.link().to_owned());
                tasks.submit(submission, task).await
            }
            Turn::Unvote => tasks.submit(submission, ClusterUnvote::default()).await,
        };
        let ended = match submitted {
            Ok(upid) => tasks.wait(&upid).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(ended) if ended.is_ok() => continue,
            Ok(ended) => warn!(upid = %ended.upid, "this node's vote was not changed"),
            Err(error) => warn!(%error, "this node's vote cannot be changed"),
        }
        node.clock.sleep(AFTER_FAILURE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(nodeid: u32, votes: u32) -> Member {
        let name = format!("n{nodeid}").parse().unwrap();
        Member {
            nodeid,
            votes,
            ..Member::first(name, format!("10.0.0.{nodeid}:8009"), String::new())
        }
    }

    /// Who does something, in a cluster with these votes whose members are heard but for `silent`.
    fn acting(votes: &[u32], silent: &[&str]) -> Vec<(String, Turn)> {
        acting_beside(votes, silent, false)
    }

    fn acting_beside(votes: &[u32], silent: &[&str], witness: bool) -> Vec<(String, Turn)> {
        let members: Vec<Member> = (1..)
            .zip(votes)
            .map(|(id, votes)| member(id, *votes))
            .collect();
        let is_heard = |name: &NodeName| !silent.contains(&name.as_str());
        let present = members.iter().filter(|member| is_heard(&member.name));
        let turns = present.map(|own| {
            let turn = turn(&own.name, members.iter(), witness, is_heard);
            (own.name.to_string(), turn)
        });
        turns.filter(|(_, turn)| *turn != Turn::Nothing).collect()
    }

    #[test]
    fn one_node_at_a_time_becomes_a_voter() {
        let n = |number: u32, turn| vec![(format!("n{number}"), turn)];
        assert_eq!(acting(&[1, 0], &[]), []);
        assert_eq!(acting(&[1, 0, 0], &[]), n(2, Turn::Vote));
        assert_eq!(acting(&[1, 0, 0], &["n2"]), n(3, Turn::Vote));
        assert_eq!(acting(&[1, 1, 1, 0], &[]), []);
        assert_eq!(acting(&[1, 1, 1, 0, 0], &[]), n(4, Turn::Vote));
        // A voter that is away for now keeps its vote.
        assert_eq!(acting(&[1, 1, 1, 0], &["n1"]), []);
    }

    #[test]
    fn the_last_voter_gives_its_vote_back() {
        assert_eq!(acting(&[1, 1], &[]), [("n2".to_owned(), Turn::Unvote)]);
        assert_eq!(
            acting(&[1, 1, 1, 1], &[]),
            [("n4".to_owned(), Turn::Unvote)]
        );
        assert_eq!(acting(&[1, 1, 1], &[]), []);
    }

    #[test]
    fn beside_a_witness_two_or_four_nodes_all_vote() {
        let n = |number: u32, turn| vec![(format!("n{number}"), turn)];
        assert_eq!(acting_beside(&[1, 0], &[], true), n(2, Turn::Vote));
        assert_eq!(acting_beside(&[1, 1], &[], true), []);
        assert_eq!(acting_beside(&[1, 1, 1, 0], &[], true), n(4, Turn::Vote));
        assert_eq!(acting_beside(&[1, 1, 1, 0, 0], &[], true), n(4, Turn::Vote));
        assert_eq!(acting_beside(&[1, 0, 0], &[], true), n(2, Turn::Vote));
        assert_eq!(acting_beside(&[1, 1], &[], false), n(2, Turn::Unvote));
    }
}
