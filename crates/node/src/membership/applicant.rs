//! The side of a node that wants to join: keys, the application, what an admission leaves on disk.
//!
//! ```text
//!   joining/    keys and certificates of the cluster, while this node still has its own
//!   tls/        takes their place when the agent starts with the state in the cluster
//! ```

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use model::text::fingerprint;
use model::{Clock, Error, NodeName, with_timeout};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sys::SharedHost;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::application::{
    Admission, Application, Contact, PublicKeys, WitnessAdmission, WitnessApplication,
};
use super::invitation::is_token;
use crate::Paths;
use crate::host::fetch::Trust;
use crate::paths::SEALING_KEYS;
use crate::pki::{PairPaths, new_key};

/// How long the cluster's node may take for one answer. An admission may remove a member first.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any answer has.
const ANSWER_BYTES: usize = 1 << 20;

/// Makes new keys for this node, in place of those of an earlier attempt.
pub(crate) async fn make_keys(host: &SharedHost, paths: &Paths) -> Result<PublicKeys, Error> {
    let folder = paths.joining();
    host.remove_tree(&folder).await?;
    host.create_dir(&folder, 0o700).await?;
    let (agent, etcd) = (new_key()?, new_key()?);
    for (at, key) in [
        (PairPaths::agent(&folder), &agent),
        (PairPaths::etcd_client(&folder), &etcd),
    ] {
        host.write(&at.key, key.serialize_pem().as_bytes(), 0o600)
            .await?;
    }
    Ok(PublicKeys {
        agent: agent.public_key_pem(),
        etcd: etcd.public_key_pem(),
    })
}

/// Writes what the cluster gave beside the keys.
pub(crate) async fn keep(
    host: &SharedHost,
    paths: &Paths,
    admission: &Admission,
) -> Result<(), Error> {
    let folder = paths.joining();
    for (at, certificate) in [
        (PairPaths::agent(&folder), &admission.agent_certificate),
        (PairPaths::etcd_client(&folder), &admission.etcd_certificate),
    ] {
        host.write(&at.certificate, certificate.as_bytes(), 0o644)
            .await?;
    }
    let sealing_keys = folder.join(SEALING_KEYS);
    host.write(&sealing_keys, admission.sealing_keys.as_bytes(), 0o600)
        .await?;
    let authority = PairPaths::authority(&folder);
    authority.write(host, &admission.authority).await?;
    let etcd = PairPaths::etcd_authority(&folder);
    etcd.write(host, &admission.etcd_authority).await
}

/// Asks a member to admit this node, with the token of an invitation or the password of `root@pam`.
pub(crate) async fn apply(
    clock: &dyn Clock,
    contact: &Contact,
    password: &str,
    node: &NodeName,
    application: &Application,
) -> Result<Admission, Error> {
    let asked = Asked::new(clock, contact)?;
    let application = Application {
        token: asked.token(password).await?,
        ..application.clone()
    };
    let path = format!("/ostler/cluster/members/{node}");
    asked.admit(&path, &application).await
}

/// Asks a member to admit this machine as the cluster's witness.
pub(crate) async fn apply_as_witness(
    clock: &dyn Clock,
    contact: &Contact,
    password: &str,
    application: &WitnessApplication,
) -> Result<WitnessAdmission, Error> {
    let asked = Asked::new(clock, contact)?;
    let application = WitnessApplication {
        token: asked.token(password).await?,
        ..application.clone()
    };
    asked.admit("/ostler/cluster/witness", &application).await
}

/// The member that is asked.
struct Asked<'a> {
    clock: &'a dyn Clock,
    contact: &'a Contact,
    tls: Arc<ClientConfig>,
}

impl<'a> Asked<'a> {
    fn new(clock: &'a dyn Clock, contact: &'a Contact) -> Result<Self, Error> {
        let tls = Trust::pinned(&contact.fingerprint)?.tls();
        Ok(Self {
            clock,
            contact,
            tls,
        })
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: &Value,
    ) -> Result<Value, Error> {
        let answer = post(self.contact, self.tls.clone(), path, headers, body);
        let answer = with_timeout(self.clock, PATIENCE, answer).await;
        let host = &self.contact.host;
        answer.unwrap_or_else(|| Err(Error::unavailable(format!("{host}: no answer"))))
    }

    /// The token of an invitation: what was given, or one that root's password gets.
    async fn token(&self, password: &str) -> Result<String, Error> {
        if is_token(password) {
            return Ok(password.to_owned());
        }
        let login = json!({"username": "root@pam", "password": password});
        let session = self.post("/access/ticket", &[], &login).await?;
        let (headers, path) = (headers(&session)?, "/ostler/cluster/invitations");
        let invited = self.post(path, &headers, &json!({})).await?;
        Ok(invited["token"].as_str().unwrap_or_default().to_owned())
    }

    async fn admit<T: DeserializeOwned>(
        &self,
        path: &str,
        application: &impl Serialize,
    ) -> Result<T, Error> {
        let application = serde_json::to_string(application);
        let application =
            application.map_err(|error| Error::bug(format!("an application: {error}")))?;
        let body = json!({"application": application});
        let answer = self.post(path, &[], &body).await?;
        let host = &self.contact.host;
        serde_json::from_value(answer)
            .map_err(|error| Error::unavailable(format!("{host}: its answer: {error}")))
    }
}

/// What a session shows with a request.
fn headers(session: &Value) -> Result<[(&'static str, String); 2], Error> {
    if session["NeedTFA"] == 1 {
        let text = "root@pam of the cluster has a second factor: join with an invitation";
        return Err(Error::conflict(text));
    }
    let text = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
    Ok([
        ("Cookie", format!("PVEAuthCookie={}", text("ticket"))),
        ("CSRFPreventionToken", text("CSRFPreventionToken")),
    ])
}

/// The fingerprint of the certificate that a host's API shows, for an administrator to compare.
pub async fn fingerprint_of(host: &str) -> Result<String, Error> {
    let contact = Contact {
        host: host.to_owned(),
        fingerprint: String::new(),
    };
    let (host, port) = contact.address();
    let failed = |error: &dyn std::error::Error| {
        Error::unavailable(format!("{host}:{port}: {}", Error::chain(error)))
    };
    let connect = async {
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
        let trust = Trust::new(false, "".as_ref()).map_err(std::io::Error::other)?;
        TlsConnector::from(trust.tls()).connect(name, tcp).await
    };
    let connected = tokio::time::timeout(PATIENCE, connect).await;
    let no_answer = || Error::unavailable(format!("{host}:{port}: no answer"));
    let tls = connected
        .map_err(|_| no_answer())?
        .map_err(|error| failed(&error))?;
    let shown = tls.get_ref().1.peer_certificates();
    let shown = shown.and_then(<[_]>::first).ok_or_else(no_answer)?;
    Ok(fingerprint(digest(&SHA256, shown).as_ref()))
}

async fn post(
    contact: &Contact,
    tls: Arc<ClientConfig>,
    path: &str,
    headers: &[(&str, String)],
    body: &Value,
) -> Result<Value, Error> {
    let (host, port) = contact.address();
    let failed = |error: &dyn std::error::Error| {
        Error::unavailable(format!("{host}:{port}: {}", Error::chain(error)))
    };
    let tcp = TcpStream::connect((host.as_str(), port)).await;
    let tcp = tcp.map_err(|error| failed(&error))?;
    let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await;
    let io = TokioIo::new(tls.map_err(|error| failed(&error))?);
    let (mut sender, connection) = http1::handshake(io).await.map_err(|e| failed(&e))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // An error shows in the answer.
        let _ = connection.await;
    });
    let mut request = Request::post(format!("/api2/json{path}"))
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string())));
    let request = request.map_err(|error| failed(&error))?;
    let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
    let status = response.status();
    let reason = response.extensions().get::<ReasonPhrase>();
    let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let body = Limited::new(response.into_body(), ANSWER_BYTES)
        .collect()
        .await;
    let body = body
        .map_err(|error| Error::unavailable(format!("{host}:{port}: {error}")))?
        .to_bytes();
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        StatusCode::OK => Ok(answer["data"].take()),
        status => Err(refusal(status, reason, &answer)),
    }
}

/// What the cluster's node said: in the body, or where that has nothing, in the line before it.
fn refusal(status: StatusCode, reason: Option<String>, answer: &Value) -> Error {
    let message = answer["message"]
        .as_str()
        .map(str::trim)
        .unwrap_or_default();
    let fields = answer["errors"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, why)| format!("{name}: {}", why.as_str().unwrap_or_default()));
    let mut parts: Vec<String> = [message.to_owned()].into_iter().chain(fields).collect();
    parts.retain(|part| !part.is_empty());
    let text = match parts.is_empty() {
        true => reason.unwrap_or_else(|| status.to_string()),
        false => parts.join(" "),
    };
    Error::conflict(format!("An error occurred on the cluster node: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_words_of_the_member() {
        let answer = json!({"message": "Parameter verification failed.\n", "errors": {"nodeid": "2 is already in use"}});
        let error = refusal(StatusCode::BAD_REQUEST, None, &answer);
        assert_eq!(
            error.message,
            "An error occurred on the cluster node: Parameter verification failed. nodeid: 2 is already in use"
        );
        let error = refusal(StatusCode::BAD_GATEWAY, None, &Value::Null);
        assert!(error.message.ends_with("502 Bad Gateway"), "{error:?}");
        let reason = Some("no such thing".to_owned());
        let error = refusal(StatusCode::UNAUTHORIZED, reason, &Value::Null);
        assert!(error.message.ends_with(": no such thing"), "{error:?}");
    }
}
