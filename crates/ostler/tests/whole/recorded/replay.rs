//! Sends recorded exchanges to our node.

use std::collections::BTreeMap;

use percent_encoding::NON_ALPHANUMERIC;
use serde_json::Value;

use super::exchange::{Exchange, upid};
use crate::harness::TestNode;
use crate::harness::https::{Response, request};
use crate::harness::session::root_session;

/// Replaces a blanked password, unless the series sets another.
pub(super) const PASSWORD: &str = "secret-of-bob";

/// Ticket and CSRF token.
#[derive(Default)]
pub(super) struct Session {
    pub(super) ticket: String,
    pub(super) csrf: String,
}

impl Session {
    pub(super) fn headers(&self) -> Headers {
        let csrf = ("CSRFPreventionToken", self.csrf.clone());
        vec![cookie(&self.ticket), csrf]
    }
}

pub(super) type Headers = Vec<(&'static str, String)>;

pub(super) fn cookie(ticket: &str) -> (&'static str, String) {
    let ticket = ticket.replace('+', "%2B");
    ("Cookie", format!("PVEAuthCookie={ticket}"))
}

pub(super) struct Replay {
    pub(super) node: TestNode,
    pub(super) root: Session,
    pub(super) bob: Session,
    /// The recorded tasks, and ours in their places.
    upids: BTreeMap<String, String>,
    last_upid: String,
}

impl Replay {
    /// A fresh node.
    pub(super) async fn start(seed: impl AsyncFnOnce(&store::SharedStore)) -> Self {
        let mut root = (String::new(), String::new());
        let node = TestNode::start(async |store| {
            root = root_session(store).await;
            seed(store).await;
        })
        .await;
        let (ticket, csrf) = root;
        Self {
            node,
            root: Session { ticket, csrf },
            bob: Session::default(),
            upids: BTreeMap::new(),
            last_upid: String::new(),
        }
    }

    /// The headers of the recorded request.
    pub(super) fn headers(&self, exchange: &Exchange) -> Headers {
        match exchange.auth() {
            "none" => vec![],
            _ if exchange.is_bobs() => self.bob.headers(),
            _ => self.root.headers(),
        }
    }

    /// Sends an exchange. `blanks` are the values for blanked ones, in order.
    pub(super) async fn send(
        &self,
        exchange: &Exchange,
        headers: &Headers,
        blanks: &[&str],
    ) -> Response {
        let path = self.path(exchange.path());
        let body = exchange.body();
        let body = body.map(|(content_type, body)| (content_type, self.filled(body, blanks)));
        let body = body
            .as_ref()
            .map(|(content_type, body)| (*content_type, body.as_str()));
        let method = exchange.method();
        let mut answer = request(self.node.port, method, &path, headers, body).await;
        // The node is in a root folder, which was `/` in the recording.
        let root = self.node.root.display().to_string();
        answer.status_line = answer.status_line.replace(&root, "");
        if let Ok(text) = std::str::from_utf8(&answer.body) {
            answer.body = text.replace(&root, "").into_bytes();
        }
        answer
    }

    /// Waits for the end of the task that an exchange started, and records its UPID.
    pub(super) async fn settle(&mut self, exchange: &Exchange, answer: &Response) {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(ours) = upid(&answer["data"]) else {
            return;
        };
        self.last_upid = ours.to_owned();
        if let Some(theirs) = exchange.upid() {
            self.upids.insert(theirs.to_owned(), ours.to_owned());
        }
        self.node.ended(ours).await;
    }

    /// Logs in as bob.
    pub(super) async fn bob_comes(&mut self, password: &str) {
        let form = "application/x-www-form-urlencoded";
        let body = format!("username=bob%40pve&password={password}");
        let body = Some((form, body.as_str()));
        let path = "/api2/json/access/ticket";
        let answer = request(self.node.port, "POST", path, &[], body).await;
        let answer = answer.json();
        let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
        self.bob = Session {
            ticket: text("ticket"),
            csrf: text("CSRFPreventionToken"),
        };
    }

    /// Replaces the recorded task by ours.
    fn path(&self, path: &str) -> String {
        let Some(start) = path.find("UPID%3A") else {
            return self.at_home(path);
        };
        let length = path[start..].find('/').unwrap_or(path.len() - start);
        let (theirs, rest) = path[start..].split_at(length);
        let theirs = percent_encoding::percent_decode_str(theirs).decode_utf8_lossy();
        let ours = self.upids.get(theirs.as_ref()).unwrap_or(&self.last_upid);
        let ours = percent_encoding::utf8_percent_encode(ours, NON_ALPHANUMERIC);
        format!("{}{ours}{rest}", &path[..start])
    }

    /// Folders below `/srv` are moved below the node's root.
    fn at_home(&self, text: &str) -> String {
        let root = self.node.root.display().to_string().replace('/', "%2F");
        text.replace("=%2Fsrv%2F", &format!("={root}%2Fsrv%2F"))
    }

    fn filled(&self, body: &str, blanks: &[&str]) -> String {
        let mut body = self.at_home(body).replace("%3Cpassword%3E", "<password>");
        let mut blanks = blanks.iter();
        while let Some((before, rest)) = body.split_once('<') {
            let (_, after) = rest.split_once('>').unwrap();
            let value = blanks.next().unwrap_or(&PASSWORD);
            body = format!("{before}{value}{after}");
        }
        body
    }
}
