//! Series of the second recording: in the order in which they were recorded, on one node.

use history::Object;
use serde_json::Value;

use super::compare::{differences, other_values, undeclared};
use super::exchange::{Exchange, Exchanges, read, recording, second};
use super::findings::{Allowed, Findings};
use super::replay::{PASSWORD, Replay};
use crate::harness::past::put_history;
use crate::harness::{TestNode, left_out, put_guest};

/// The exchanges that set up the initial state of each series: the user bob, the storages `isoonly`
/// and `local2`, all content types in `local`.
const SETUP: &[u64] = &[1, 2, 3, 4, 5, 6];
const BOB: u64 = 3;

/// An object, and its columns.
type Past = (fn() -> Object, &'static [&'static str]);

pub(super) struct Series {
    /// Names of files, without extension.
    pub(super) files: &'static [&'static str],
    /// Which of their exchanges are replayed.
    pub(super) part: Part,
    /// Exchanges of other files whose state is needed, besides the common ones.
    pub(super) before: &'static [u64],
    /// Guests that replace containers, and their options.
    pub(super) guests: &'static [(u32, &'static [(&'static str, &'static str)])],
    /// Objects with a history, and the columns that are known.
    pub(super) history: &'static [Past],
    /// Puts files where the recorded node had some.
    pub(super) prepare: fn(&TestNode),
    /// Before which exchange which recorded text becomes which file below `/etc`.
    pub(super) etc: &'static [(u64, &'static str, &'static str)],
    /// The blanked values, in order, if they are not bob's password.
    pub(super) blanks: &'static [(u64, &'static [&'static str])],
    pub(super) allowed: Allowed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// Reads below one of these paths: areas in which nothing is configured here.
    Reads(&'static [&'static str]),
    /// All below one of these paths.
    Below(&'static [&'static str]),
}

impl Part {
    fn has(self, exchange: &Exchange) -> bool {
        let (areas, only_reads) = match self {
            Self::All => return true,
            Self::Reads(areas) => (areas, true),
            Self::Below(areas) => (areas, false),
        };
        let path = exchange.path().trim_start_matches("/api2/json");
        let path = path.split('?').next().unwrap_or_default();
        let is_below = |area: &&str| {
            let rest = path.strip_prefix(*area);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        (exchange.method() == "GET" || !only_reads) && areas.iter().any(is_below)
    }
}

/// Whether a series can be replayed here; prints why not.
pub(super) fn is_possible(test: &str) -> bool {
    !left_out(test) && recording(test).is_some_and(|file| !second(&file).is_empty())
}

impl Series {
    /// Compares the names and types of fields, and texts of errors, with the recorded ones.
    pub(super) async fn replay(&self) {
        self.run(false).await;
    }

    /// The same, and all values that do not belong to one node.
    pub(super) async fn replay_values(&self) {
        self.run(true).await;
    }

    async fn run(&self, with_values: bool) {
        let files = second(&recording("").unwrap());
        let all: Exchanges = files.iter().flat_map(|file| read(file)).collect();
        let is_mine = |stem: &str| self.files.contains(&stem);
        let mine = files.iter().filter(|file| {
            let stem = file.file_stem().unwrap().to_str();
            stem.is_some_and(is_mine)
        });
        let mine = mine.flat_map(|file| read(file));
        let mine: Exchanges = mine
            .filter(|(_, exchange)| self.part.has(exchange))
            .collect();
        let mut replay = self.scene(&all, &mine).await;
        let mut findings = Findings::default();
        for exchange in mine.values() {
            let answer = self.ask(&mut replay, exchange).await;
            let mut differences = differences(exchange, &answer);
            if with_values && differences.is_empty() {
                differences = other_values(exchange, &answer);
            }
            let undeclared = undeclared(exchange, &answer);
            findings.note(exchange.seq(), differences, undeclared);
        }
        findings.report(&self.files.join(", "), &self.allowed);
    }

    /// A node in the state after earlier exchanges.
    async fn scene(&self, all: &Exchanges, mine: &Exchanges) -> Replay {
        let mut replay = Replay::start(async |store| {
            for (vmid, options) in self.guests {
                let options = options.iter();
                let options: Vec<(&str, Value)> = options
                    .map(|(name, value)| (*name, (*value).into()))
                    .collect();
                put_guest(store, *vmid, &options).await;
            }
        })
        .await;
        for (object, columns) in self.history {
            let known: Vec<(&str, f32)> = columns.iter().map(|name| (*name, 0.5)).collect();
            put_history(&replay.node.root, (0..=3).rev(), &[(object(), &known)]).await;
        }
        (self.prepare)(&replay.node);
        for seq in SETUP.iter().chain(self.before) {
            if !mine.contains_key(seq) {
                self.ask(&mut replay, &all[seq]).await;
            }
        }
        replay
    }

    async fn ask(
        &self,
        replay: &mut Replay,
        exchange: &Exchange,
    ) -> crate::harness::https::Response {
        let seq = exchange.seq();
        for (_, text, name) in self.etc.iter().filter(|(before, ..)| *before == seq) {
            let text = recording("")
                .unwrap()
                .with_file_name("recorded2/texts")
                .join(text);
            let file = replay.node.root.join("etc").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::copy(text, file).unwrap();
        }
        let blanks = self.blanks.iter().find(|(of, _)| *of == seq);
        let blanks = blanks.map_or(&[][..], |(_, values)| values);
        let headers = replay.headers(exchange);
        let answer = replay.send(exchange, &headers, blanks).await;
        replay.settle(exchange, &answer).await;
        // Here, a change of the password ends sessions.
        let is_password = exchange.path() == "/api2/json/access/password";
        if seq == BOB || (is_password && exchange.is_bobs() && answer.status() == 200) {
            let password = blanks.first().unwrap_or(&PASSWORD);
            replay.bob_comes(password).await;
        }
        answer
    }
}
