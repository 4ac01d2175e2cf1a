//! Every operation without a credential, by a user without rights, by a user with exactly the
//! rights of its row, and from a compromised api.
//!
//! The api answers index rows itself, by the same evaluation of the same row. Here they are sent to
//! the agent, which refuses callers that the row refuses and answers others that the row is the
//! api's.

use model::schema::Values;
use model::{Error, ErrorKind, Privilege};
use proto::{Check, Credential, Form, Permission, Row, Verb};
use serde_json::{Value, json};

use crate::bench::{Bench, Caller, JANE};
use crate::samples::required;

fn rows() -> impl Iterator<Item = &'static Row> {
    proto::table::rows()
}

/// The errors of an operation, for each form of request that its row has.
async fn errors(caller: &Caller<'_>, row: &Row) -> Vec<Error> {
    let mut errors = vec![caller.error(row.name, required(row)).await];
    if row.form == Form::Stream {
        let streamed = caller.ask_stream(row.name, required(row)).await;
        errors.push(streamed.expect_err(&row.label()));
    }
    errors
}

/// The exact grants that the check requires. None if the check is not about privileges.
fn needs(check: &Check, params: &Values) -> Option<Vec<(String, Vec<Privilege>)>> {
    let fill = |path: &str| {
        let word = |word: &str| match word.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
            None => word.to_owned(),
            Some(name) => match &params[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        };
        path.split('/').map(word).collect::<Vec<_>>().join("/")
    };
    match check {
        Check::On(path, privileges) => Some(vec![(fill(path), privileges.to_vec())]),
        Check::AnyOn(path, privileges) => Some(vec![(fill(path), vec![privileges[0]])]),
        Check::All(checks) => {
            let all: Option<Vec<_>> = checks.iter().map(|check| needs(check, params)).collect();
            Some(all?.concat())
        }
        Check::Any(checks) => checks.iter().find_map(|check| needs(check, params)),
        Check::Given(name, check) => params
            .contains_key(*name)
            .then(|| needs(check, params))
            .flatten(),
        Check::SelfUser => None,
        Check::UserRealm(privilege) => {
            Some(vec![("/access/realm/pve".to_owned(), vec![*privilege])])
        }
        Check::UserGroups { privileges, .. } => {
            Some(vec![("/access/groups".to_owned(), vec![privileges[0]])])
        }
        Check::ModifyAcl => Some(vec![(fill("{path}"), vec![Privilege::PermissionsModify])]),
        Check::Computed(compute) => {
            let needs = compute(params).into_iter().map(|need| {
                let few = if need.any { 1 } else { need.privileges.len() };
                (need.path, need.privileges[..few].to_vec())
            });
            Some(needs.collect())
        }
    }
}

/// A bench where Jane has exactly these rights.
async fn bench_with(grants: &[(String, Vec<Privilege>)]) -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    root.ok("user_create", json!({"userid": "bob@pve"})).await;
    for (number, (path, privileges)) in grants.iter().enumerate() {
        let names: Vec<&str> = privileges
            .iter()
            .map(|privilege| privilege.as_str())
            .collect();
        let role = format!("R{number}");
        root.ok(
            "role_create",
            json!({"roleid": role, "privs": names.join(",")}),
        )
        .await;
        let entry = json!({"path": path, "users": JANE, "roles": role, "propagate": 0});
        root.ok("acl_update", entry).await;
    }
    bench
}

/// Whether the caller was refused. A console also requires a ticket, and ours is made up, so an
/// error about that ticket means that the caller passed.
fn is_refusal(error: &Error) -> bool {
    let wants_ticket = error.message.contains("invalid PVEVNC ticket");
    let kinds = [ErrorKind::Forbidden, ErrorKind::Unauthenticated];
    kinds.contains(&error.kind) && !wants_ticket
}

// covers: S3.79 S4.30
#[tokio::test]
async fn nobody_and_an_impostor_get_nothing() {
    let bench = bench_with(&[]).await;
    let (nobody, impostor) = (bench.nobody(), bench.impostor());
    for row in rows().filter(|row| !matches!(row.permission, Permission::World)) {
        for caller in [&nobody, &impostor] {
            for refused in errors(caller, row).await {
                let label = row.label();
                assert_eq!(
                    refused.kind,
                    ErrorKind::Unauthenticated,
                    "{label}: {refused}"
                );
            }
        }
    }
}

#[tokio::test]
async fn without_rights_nothing_that_needs_one_is_done() {
    let bench = bench_with(&[]).await;
    let jane = bench.jane().await;
    nothing_is_done(&jane).await;
}

/// Every row that requires rights refuses this caller.
async fn nothing_is_done(caller: &Caller<'_>) {
    for row in rows() {
        if !matches!(row.permission, Permission::Root | Permission::Check(_)) {
            continue;
        }
        for refused in errors(caller, row).await {
            let label = row.label();
            assert_eq!(refused.kind, ErrorKind::Forbidden, "{label}: {refused}");
        }
    }
}

// covers: S3.79
#[tokio::test]
async fn a_hostile_api_gets_no_more_than_what_passes_through_it() {
    let bench = bench_with(&[]).await;
    let (ticket, csrf) = bench.session_of_jane().await;
    let with = |ticket: &str, csrf: Option<&str>| {
        bench.hostile_api(Credential::Ticket {
            ticket: ticket.to_owned(),
            csrf: csrf.map(str::to_owned),
        })
    };
    // Jane's own session has no more rights than Jane.
    nothing_is_done(&with(&ticket, Some(&csrf))).await;
    // Her ticket changed to another user, and one with a later time.
    let (head, rest) = ticket.split_at("PVE:".len());
    let (user, signed) = rest.split_once(':').unwrap();
    assert_eq!(user, JANE);
    let promoted = format!("{head}root@pam:{signed}");
    let later = format!("{head}{JANE}:FFFFFFF0{}", &signed[8..]);
    for forged in [&promoted, &later] {
        let forger = with(forged, Some(&csrf));
        for row in rows().filter(|row| !matches!(row.permission, Permission::World)) {
            for refused in errors(&forger, row).await {
                let label = row.label();
                assert_eq!(
                    refused.kind,
                    ErrorKind::Unauthenticated,
                    "{label}: {refused}"
                );
            }
        }
    }
    // A ticket alone, as a foreign web page could have it sent, changes nothing.
    let alone = with(&ticket, None);
    for row in rows() {
        let is_open = matches!(row.permission, Permission::World);
        if row.verb == Verb::Get || row.form == Form::Stream || is_open {
            continue;
        }
        let refused = alone.error(row.name, required(row)).await;
        assert_eq!(refused.kind, ErrorKind::Unauthenticated, "{}", row.label());
    }
}

#[tokio::test]
async fn exactly_the_rights_that_a_row_names_are_enough() {
    let mut counted = 0;
    for row in rows() {
        let Permission::Check(check) = row.permission else {
            continue;
        };
        let params = required(row);
        let typed = row.check_params(params.as_object().unwrap()).unwrap();
        let Some(grants) = needs(&check, &typed) else {
            continue;
        };
        let bench = bench_with(&grants).await;
        let jane = bench.jane().await;
        let mut outcomes = vec![jane.ask(row.name, params.clone()).await.map(drop)];
        if row.form == Form::Stream {
            outcomes.push(jane.ask_stream(row.name, params).await);
        }
        for outcome in outcomes {
            let refused = outcome.err().filter(is_refusal);
            assert_eq!(refused, None, "{} with {grants:?}", row.label());
        }
        counted += 1;
    }
    assert!(counted > 50, "{counted}");
}
