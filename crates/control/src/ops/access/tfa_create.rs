//! `POST /access/tfa/{userid}`

use auth::tfa::{RECOVERY_ID, RecoveryEntry, Totp};
use model::{Error, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::{Op, check_user, confirm, guard_root};

#[derive(Deserialize)]
struct Create {
    userid: UserId,
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
    password: Option<String>,
    totp: Option<String>,
    value: Option<String>,
}

pub(super) async fn tfa_create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    check_user(&op, &create.userid)?;
    guard_root(op.identity()?, &create.userid)?;
    confirm(&op, "password", create.password.as_deref()).await?;
    match create.kind.as_str() {
        "totp" => create_totp(&op, create).await,
        "recovery" => create_recovery(&op, create).await,
        // No realm is configured with a server for one-time passwords.
        "yubico" => {
            let realm = create.userid.realm();
            let text = format!("no yubico otp configuration available for realm {realm}");
            Err(Error::conflict(text))
        }
        other => Err(Error::bug(format!("type '{other}' passed the schema"))),
    }
}

async fn create_totp(op: &Op, create: Create) -> Result<Answer, Error> {
    let needed = |field| move || Error::conflict(format!("'{field}' is required for new entries"));
    let description = create.description.ok_or_else(needed("description"))?;
    let uri = create.totp.as_deref().ok_or_else(needed("totp"))?;
    let code = create.value.as_deref().ok_or_else(needed("value"))?;
    let totp = Totp::from_uri(uri).map_err(|error| Error::conflict(error.to_string()))?;
    let authority = &op.context.authority;
    let now = authority.now();
    let added = authority
        .change_factors(&create.userid, |factors| {
            factors.add_totp(totp.clone(), code, description.clone(), now)
        })
        .await?;
    let wrong = || Error::conflict("failed to verify TOTP challenge");
    let (id, revision) = added.ok_or_else(wrong)?;
    Ok(Answer::new(json!({"id": id})).at(revision.0))
}

async fn create_recovery(op: &Op, create: Create) -> Result<Answer, Error> {
    let authority = &op.context.authority;
    let (mut entry, codes) = RecoveryEntry::generate(authority.now());
    entry.description = create.description.unwrap_or_default();
    let added = authority
        .change_factors(&create.userid, |factors| {
            factors
                .recovery
                .is_none()
                .then(|| factors.recovery = Some(entry.clone()))
        })
        .await?;
    let exists = || Error::conflict("user already has recovery keys");
    let ((), revision) = added.ok_or_else(exists)?;
    Ok(Answer::new(json!({"id": RECOVERY_ID, "recovery": codes})).at(revision.0))
}
