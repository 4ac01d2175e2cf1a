//! `POST /access/ticket`

use auth::{AuthError, Login, LoginRequest, TicketCheck};
use model::{Error, UserId};
use node::Priority;
use proto::Identity;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Op;
use super::ticket::privileges;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Create {
    username: String,
    password: String,
    realm: Option<String>,
    otp: Option<String>,
    path: Option<String>,
    privs: Option<String>,
    tfa_challenge: Option<String>,
}

pub(super) async fn ticket_create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    let check = create.path.zip(create.privs);
    // Forms send empty fields as empty texts.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let username = create.username.clone();
    let request = LoginRequest {
        username: create.username,
        realm: create.realm,
        password: create.password,
        otp: given(create.otp),
        tfa_challenge: given(create.tfa_challenge),
        address: op.address.clone(),
        process: op.process,
        check: check.map(|(path, privs)| TicketCheck {
            path,
            privileges: privileges(&privs),
        }),
    };
    let login = op.context.authority.login(request).await;
    log(&op, &username, &login);
    let data = match login? {
        Login::Session(session) => json!({
            "username": session.identity.user.as_str(),
            "ticket": session.ticket,
            "CSRFPreventionToken": session.csrf,
            "cap": capabilities(&op, &session.identity),
        }),
        // Some clients read the CSRF token before they look at `NeedTFA`.
        Login::Challenge { user, ticket, csrf } => json!({
            "username": user.as_str(),
            "ticket": ticket,
            "CSRFPreventionToken": csrf,
            "NeedTFA": 1,
        }),
        Login::Checked { user } => {
            let who = checked(user);
            json!({"username": who.user.as_str(), "cap": capabilities(&op, &who)})
        }
    };
    Ok(Answer::new(data))
}

/// Writes successful and failed logins to the cluster's log.
fn log(op: &Op, username: &str, login: &Result<Login, AuthError>) {
    let events = &op.context.node.events;
    match login {
        Ok(Login::Session(session)) => {
            let user = session.identity.user.as_str();
            let text = format!("successful auth for user '{user}'");
            events.add(Priority::Info, user, "pvedaemon", text);
        }
        Err(AuthError::LoginFailed) => {
            // The name is unauthenticated input.
            let user: String = username
                .chars()
                .filter(|c| !c.is_control())
                .take(64)
                .collect();
            let address = op.address.as_deref().unwrap_or("unknown");
            let text = format!("authentication failure; rhost={address} user={user}");
            events.add(Priority::Warning, &user, "pvedaemon", text);
        }
        _ => {}
    }
}

fn checked(user: UserId) -> Identity {
    Identity {
        user,
        token: None,
        expires: 0,
    }
}

fn capabilities(op: &Op, who: &Identity) -> Value {
    let authority = &op.context.authority;
    let areas = authority.access().view(who, authority.now()).capabilities();
    let flags = |names: std::collections::BTreeSet<&str>| -> Value {
        names
            .into_iter()
            .map(|name| (name.to_owned(), Value::from(1)))
            .collect()
    };
    areas
        .into_iter()
        .map(|(area, names)| (area.to_owned(), flags(names)))
        .collect()
}
