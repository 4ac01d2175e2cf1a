//! Second factors.

use auth::tfa::{Factors, RECOVERY_ID, RecoveryEntry, Shown, Totp};
use model::{Error, Privilege, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Op, confirm, guard_root};

const SEES: &[Privilege] = &[Privilege::UserModify, Privilege::SysAudit];

fn entry(shown: &Shown) -> Value {
    json!({
        "id": shown.id,
        "type": shown.kind,
        "description": shown.description,
        "created": shown.created,
        "enable": u8::from(shown.enable),
    })
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

/// The user must exist: what belongs to nobody is nobody's to change.
fn check_user(op: &Op, user: &UserId) -> Result<(), Error> {
    let missing = || Error::not_found(format!("no such user ('{user}')"));
    op.context
        .authority
        .access()
        .user(user)
        .map(drop)
        .ok_or_else(missing)
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
        return Ok(Answer::new(json!({"types": kinds})));
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
        other => Err(Error::bug(format!("type '{other}' passed the schema"))),
    }
}

async fn create_totp(op: &Op, create: Create) -> Result<Answer, Error> {
    let missing = |field: &str| Error::invalid(field, "missing property for type 'totp'");
    let uri = create.totp.as_deref().ok_or_else(|| missing("totp"))?;
    let code = create.value.as_deref().ok_or_else(|| missing("value"))?;
    let totp = Totp::from_uri(uri).map_err(|error| Error::invalid("totp", error.to_string()))?;
    let authority = &op.context.authority;
    let (now, description) = (authority.now(), create.description.unwrap_or_default());
    let added = authority
        .change_factors(&create.userid, |factors| {
            factors.add_totp(totp.clone(), code, description.clone(), now)
        })
        .await?;
    let wrong = || Error::invalid("value", "this is not the code that the app shows now");
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

impl One {
    fn missing(&self) -> Error {
        Error::not_found(format!(
            "no such TFA entry '{}' for user '{}'",
            self.id, self.userid
        ))
    }
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    let factors = op.context.authority.factors(&one.userid).await?;
    let shown = factors.shown().into_iter().find(|shown| shown.id == one.id);
    Ok(Answer::new(entry(&shown.ok_or_else(|| one.missing())?)))
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
    let ((), revision) = updated.ok_or_else(|| one.missing())?;
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
    let ((), revision) = removed.ok_or_else(|| one.missing())?;
    Ok(Answer::null().at(revision.0))
}
