//! Passes a request to the index or to the agent.

use hyper::Response;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::http::request::Parts;
use model::schema::Values;
use model::{Error, ErrorKind, FieldErrors};
use proto::wire::Request;
use proto::{Credential, Form, Identity, Permission, Row};
use uuid::Uuid;

use crate::changes;
use crate::console::{self, is_console};
use crate::credential::credential;
use crate::envelope::{Body, Format, Refusal, failure, success, success_list, success_text};
use crate::index::Content;
use crate::request::{ANONYMOUS_BODY, BODY, Target, parameters, target};
use crate::server::Client;
use crate::service::Api;
use crate::upload::{Upload, is_upload};

/// Without quorum: how old the state is that the answer was made from, in seconds.
const STATE_AGE: HeaderName = HeaderName::from_static("ostler-state-age");

/// Answers a request below `/api2`.
pub(crate) async fn dispatch(
    api: &Api,
    parts: &Parts,
    body: Incoming,
    client: &Client,
) -> Response<Body> {
    let target = match target(parts) {
        Ok(target) => target,
        Err(refusal) => return refusal.into_response(),
    };
    let outcome = run(api, &target, parts, body, client).await;
    let age_s = match &outcome {
        Ok(Reply::Content(Content::Answer(answer))) => answer.age_s,
        _ => None,
    };
    let mut response = match outcome {
        Ok(Reply::Content(Content::Answer(answer))) => success(target.format, answer),
        Ok(Reply::Content(Content::Json(data))) => success_text(target.format, &data),
        Ok(Reply::Content(Content::List(list))) => {
            success_list(target.format, &list, &parts.headers)
        }
        Ok(Reply::Switched(response)) => response,
        Err(Outcome::Refused(refusal)) => refusal.into_response(),
        Err(Outcome::Failed(error)) => answer_error(&target, &error),
    };
    if let Some(age_s) = age_s.or_else(|| api.index.age_s()) {
        response.headers_mut().insert(STATE_AGE, age_s.into());
    }
    response
}

/// What a request comes to.
enum Reply {
    Content(Content),
    /// The connection is a websocket from now on.
    Switched(Response<Body>),
}

impl From<Content> for Reply {
    fn from(content: Content) -> Self {
        Self::Content(content)
    }
}

/// Why there is no answer.
pub(crate) enum Outcome {
    Refused(Refusal),
    Failed(Error),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A caller who is not let in gets a status line and no body, except from the login itself,
/// whose clients read JSON.
fn answer_error(target: &Target, error: &Error) -> Response<Body> {
    let is_login = target.segments == ["access", "ticket"];
    if error.kind == ErrorKind::Unauthenticated && !is_login && target.format == Format::Json {
        return Refusal::bare(401, error.message.clone()).into_response();
    }
    failure(target.format, error)
}

async fn run(
    api: &Api,
    target: &Target,
    parts: &Parts,
    body: Incoming,
    client: &Client,
) -> Result<Reply, Outcome> {
    let found = api.router.find(target.verb, &target.segments);
    let credential = credential(&parts.headers);
    let is_open = found
        .as_ref()
        .is_some_and(|f| matches!(f.row.permission, Permission::World));
    if !is_open && credential == Credential::None {
        return Err(Refusal::bare(401, "No ticket").into());
    }
    // The credential is verified before anything else is done, and before the body is read.
    let identity = match is_open {
        true => None,
        false => Some(identify(api, &credential, client).await?),
    };
    let found = found.ok_or_else(|| not_implemented(target))?;
    refuse_token(found.row, target, &credential)?;
    if let Some(boundary) = is_upload(found.row, parts) {
        let (row, path_params) = (found.row, found.path_params);
        let upload = Upload {
            api,
            row,
            path_params,
            credential,
            client,
        };
        return upload
            .run(parts, body, &boundary)
            .await
            .map(|answer| Content::Answer(answer).into());
    }
    let limit = if is_open { ANONYMOUS_BODY } else { BODY };
    let mut given = parameters(target.verb, parts, body, limit, &*api.clock).await?;
    add_path_params(&mut given, found.path_params)?;
    let _work = client.place.work();
    if changes::is_stream(found.row, parts) {
        let params = found.row.check_params(&given)?;
        return changes::open(api, credential, &params, parts, client)
            .await
            .map(Reply::Switched);
    }
    if let (Form::Index, Some(identity)) = (found.row.form, &identity) {
        return from_index(api, found.row, identity, &given).await;
    }
    let request = Request {
        op: found.row.name.to_owned(),
        params: given,
        credential,
        id: Uuid::new_v4().to_string(),
        address: Some(client.address()),
    };
    if is_console(found.row, parts) {
        return console::open(api, request, parts, client)
            .await
            .map(Reply::Switched);
    }
    let answer = api.client.request(request).await?;
    if let Some(revision) = answer.revision {
        api.index.reached(revision).await;
    }
    Ok(Content::Answer(answer).into())
}

fn not_implemented(target: &Target) -> Error {
    let (verb, path) = (target.verb.as_str(), target.path());
    let text = format!("Method '{verb} {path}' not implemented");
    Error::new(ErrorKind::NotImplemented, text)
}

async fn from_index(
    api: &Api,
    row: &'static Row,
    identity: &Identity,
    given: &Values,
) -> Result<Reply, Outcome> {
    let mut params = row.check_params(given)?;
    row.name_node(&mut params, &api.node);
    api.index.begun().await;
    api.index.check(row, identity, &params)?;
    Ok(api.index.answer(row, identity, &params)?.into())
}

/// Verifies the credential. From then on the connection is no longer a stranger's.
async fn identify(api: &Api, credential: &Credential, client: &Client) -> Result<Identity, Error> {
    let address = Some(client.address());
    let identity = api
        .sessions
        .identity(credential, address, api.index.generation())
        .await?;
    client.place.prove();
    Ok(identity)
}

fn refuse_token(row: &Row, target: &Target, credential: &Credential) -> Result<(), Error> {
    if row.allow_token || !matches!(credential, Credential::Token(_)) {
        return Ok(());
    }
    let path = target.path();
    let text = format!("URI '{path}' not available with API token, need proper ticket.");
    Err(Error::forbidden(text))
}

/// Path parameters are parameters; the same name given again must have the same value.
pub(crate) fn add_path_params(
    given: &mut Values,
    path: Vec<(&'static str, String)>,
) -> Result<(), Error> {
    let mut conflicts = FieldErrors::new();
    for (name, value) in path {
        let before = given.insert(name.to_owned(), value.clone().into());
        if before.is_some_and(|before| !is_same(&before, &value)) {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            conflicts.insert(name.to_owned(), text.to_owned());
        }
    }
    if conflicts.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid_fields(conflicts))
    }
}

fn is_same(before: &serde_json::Value, value: &str) -> bool {
    match before {
        serde_json::Value::String(text) => text == value,
        other => {
            let text = other.to_string();
            text == value
        }
    }
}
