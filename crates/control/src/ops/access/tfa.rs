//! Second factors.

use auth::tfa::{Factors, RECOVERY_ID, RecoveryEntry, Shown, Totp};
use model::{Error, Privilege, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Op, check_user, confirm, guard_root};

const SEES: &[Privilege] = &[Privilege::UserModify, Privilege::SysAudit];

/// Says nothing of what every entry is unless it was changed.
fn entry(shown: &Shown) -> Value {
    let mut row = json!({"id": shown.id, "type": shown.kind, "created": shown.created});
    if !shown.description.is_empty() {
        row["description"] = shown.description.as_str().into();
    }
    if !shown.enable {
        row["enable"] = 0.into();
    }
    row
}

fn entries(factors: &Factors) -> Vec<Value> {
    factors.shown().iter().map(entry).collect()
}

/// Adds what is locked to a user's row.
pub(super) fn show_locks(factors: &Factors, now: model::UnixTime, row: &mut Value) {
    if factors.totp_locked {
        row["totp-locked"] = 1.into();
    }
    if factors.is_locked(now) {
        row["tfa-locked-until"] = factors.locked_until.into();
    }
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let authority = &op.context.authority;
    let (access, who, now) = (authority.access(), op.identity()?, authority.now());
    let all = authority.all_factors().await?;
    let view = access.view(who, now);
    let seen =
        |user: &UserId| (who.token.is_none() && who.user == *user) || view.manages_user(user, SEES);
    let rows = all
        .iter()
        .filter(|(user, _)| seen(user))
        .map(|(user, factors)| {
            let mut row = json!({"userid": user.as_str(), "entries": entries(factors)});
            show_locks(factors, now, &mut row);
            row
        });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

#[derive(Deserialize)]
struct Named {
    userid: UserId,
}

pub(super) async fn of_user(op: Op) -> Result<Answer, Error> {
    let Named { userid } = op.params()?;
    check_user(&op, &userid)?;
    Ok(Answer::new(entries(
        &op.context.authority.factors(&userid).await?,
    )))
}

#[derive(Deserialize)]
struct Types {
    userid: UserId,
    multiple: Option<bool>,
}

pub(super) async fn types(op: Op) -> Result<Answer, Error> {
    let params: Types = op.params()?;
    check_user(&op, &params.userid)?;
    let shown = op.context.authority.factors(&params.userid).await?.shown();
    let mut kinds: Vec<&str> = shown.iter().filter(|e| e.enable).map(|e| e.kind).collect();
    kinds.dedup();
    if params.multiple.unwrap_or(false) {
        return Ok(Answer::new(json!({"user": kinds})));
    }
    // The older question knows one kind only, by its older name.
    let data = if kinds.contains(&"totp") {
        json!({"user": "oath"})
    } else {
        json!({})
    };
    Ok(Answer::new(data))
}

pub(super) async fn unlock(op: Op) -> Result<Answer, Error> {
    let Named { userid } = op.params()?;
    check_user(&op, &userid)?;
    guard_root(op.identity()?, &userid)?;
    let authority = &op.context.authority;
    if authority.factors(&userid).await?.is_empty() {
        // To the second factors there are no users but those who have some.
        return Err(Error::not_found("no such user"));
    }
    let now = authority.now();
    let unlocked = authority
        .change_factors(&userid, |factors| factors.unlock(now).then_some(()))
        .await?;
    let answer = Answer::new(u8::from(unlocked.is_some()));
    Ok(unlocked.map_or(answer.clone(), |((), revision)| answer.at(revision.0)))
}

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

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    check_user(&op, &create.userid)?;
    guard_root(op.identity()?, &create.userid)?;
    confirm(&op, "password", create.password.as_deref()).await?;
    match create.kind.as_str() {
        "totp" => create_totp(&op, create).await,
        "recovery" => create_recovery(&op, create).await,
        // No realm is configured to ask a server of one-time passwords.
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

#[derive(Deserialize)]
struct One {
    userid: UserId,
    id: String,
    password: Option<String>,
    description: Option<String>,
    enable: Option<bool>,
}

fn no_entry() -> Error {
    Error::not_found("no such entry")
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    let factors = op.context.authority.factors(&one.userid).await?;
    let shown = factors.shown().into_iter().find(|shown| shown.id == one.id);
    let missing = || Error::absent(format!("No such tfa entry '{}'", one.id));
    Ok(Answer::new(entry(&shown.ok_or_else(missing)?)))
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    guard_root(op.identity()?, &one.userid)?;
    confirm(&op, "password", one.password.as_deref()).await?;
    let updated = op
        .context
        .authority
        .change_factors(&one.userid, |factors| {
            factors
                .update(&one.id, one.description.clone(), one.enable)
                .then_some(())
        })
        .await?;
    let ((), revision) = updated.ok_or_else(no_entry)?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    guard_root(op.identity()?, &one.userid)?;
    confirm(&op, "password", one.password.as_deref()).await?;
    let removed = op
        .context
        .authority
        .change_factors(&one.userid, |factors| factors.remove(&one.id).then_some(()))
        .await?;
    let ((), revision) = removed.ok_or_else(no_entry)?;
    Ok(Answer::null().at(revision.0))
}
