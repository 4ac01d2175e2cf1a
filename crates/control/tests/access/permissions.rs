//! Every operation of the agent with nobody, with a user without rights, with exactly the rights
//! that its row names, and from an api that has been taken over.

use model::schema::Values;
use model::{ErrorKind, Privilege};
use proto::{Check, Form, Permission, Row};
use serde_json::{Value, json};

use crate::bench::{Bench, JANE};

/// The rows that are asked with `request`. A stream is admitted by the same code.
fn rows() -> impl Iterator<Item = &'static Row> {
    proto::table::rows().filter(|row| matches!(row.form, Form::Call | Form::Submit))
}

/// Parameters that pass the row's schema: all that it requires.
fn required(row: &Row) -> Value {
    let all = json!({
        "authid": "x@pve", "command": "reboot", "content": "iso", "disk": "scsi0",
        "filename": "x.iso", "groupid": "g", "id": "x", "idlist": "scsi1", "key": "ret",
        "node": "pve1", "password": "12345678", "path": "/vms/100", "poolid": "p",
        "privs": "VM.Audit", "realm": "pve", "roleid": "r", "roles": "PVEAuditor", "size": "+1G",
        "storage": "store", "timezone": "UTC", "tokenid": "t1", "username": "x@pve",
        "upid": "UPID:pve1:00000001:00000001:6B00D68B:qmstart:100:root@pam:",
        "url": "http://127.0.0.1:9/x.iso", "userid": "bob@pve", "vmid": 100,
        "vncticket": "x", "volume": "store:iso/x.iso",
        "type": match row.name {
            "domain_create" => "pam",
            "storage_create" => "dir",
            "qemu_cloudinit_dump" => "user",
            _ => "recovery",
        },
    });
    let mut params = json!({});
    for field in row
        .params
        .iter()
        .flat_map(|group| group.iter())
        .filter(|f| !f.optional)
    {
        assert!(
            !all[field.name].is_null(),
            "no sample for {} of {}",
            field.name,
            row.label()
        );
        params[field.name] = all[field.name].clone();
    }
    match row.name {
        "qemu_monitor" => params["command"] = "info version".into(),
        "volume_create" => params["size"] = "1G".into(),
        "storage_create" => params["path"] = "/srv/store".into(),
        "acl_update" => params["users"] = "bob@pve".into(),
        "qemu_configure" | "qemu_configure_task" => params["cores"] = 2.into(),
        _ => {}
    }
    params
}

/// What exactly must be granted, and where. None where the check is about something else than
/// privileges.
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

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Forbidden | ErrorKind::Unauthenticated)
}

// covers: S3.79 S4.30
#[tokio::test]
async fn nobody_and_an_impostor_get_nothing() {
    let bench = bench_with(&[]).await;
    let (nobody, impostor) = (bench.nobody(), bench.impostor());
    for row in rows().filter(|row| !matches!(row.permission, Permission::World)) {
        for caller in [&nobody, &impostor] {
            let refused = caller.error(row.name, required(row)).await;
            assert_eq!(
                refused.kind,
                ErrorKind::Unauthenticated,
                "{}: {refused}",
                row.label()
            );
        }
    }
}

#[tokio::test]
async fn without_rights_nothing_that_needs_one_is_done() {
    let bench = bench_with(&[]).await;
    let jane = bench.jane().await;
    for row in rows() {
        if !matches!(row.permission, Permission::Root | Permission::Check(_)) {
            continue;
        }
        let refused = jane.error(row.name, required(row)).await;
        assert_eq!(
            refused.kind,
            ErrorKind::Forbidden,
            "{}: {refused}",
            row.label()
        );
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
        let outcome = bench.jane().await.ask(row.name, params).await;
        let refused = outcome.err().filter(|error| is_refusal(error.kind));
        assert_eq!(refused, None, "{} with {grants:?}", row.label());
        counted += 1;
    }
    assert!(counted > 50, "{counted}");
}
