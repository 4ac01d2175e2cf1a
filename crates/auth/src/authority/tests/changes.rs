//! What edits write to the store, and who sees it.

use super::*;

#[tokio::test]
async fn a_deleted_user_leaves_nothing_behind() {
    let bench = with_jane().await;
    with_token(&bench, TokenChange::default()).await;
    bench.add_totp().await;
    let grant = AclChange {
        path: "/vms".into(),
        roles: vec!["PVEAuditor".into()],
        subjects: vec![
            (SubjectKind::User, "jane@pve".into()),
            (SubjectKind::Token, "jane@pve!ci".into()),
        ],
        propagate: true,
        delete: false,
    };
    let give = |a: &crate::Access| edit::acl::change(a, &grant, &a.view(&Identity::root(), 0));
    bench.authority.change(give).await.unwrap();
    bench
        .authority
        .change(|a| edit::users::delete(a, &jane()))
        .await
        .unwrap();
    let everything = store::Prefix::all();
    let (entries, _) = store::list_all(&*bench.store, &everything, store::Read::Linear)
        .await
        .unwrap();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        keys,
        ["access/order", "secret/keys/csrf", "secret/keys/ticket"]
    );
    assert!(bench.authority.access().user(&jane()).is_none());
}

#[tokio::test]
async fn a_group_of_many_is_removed_from_every_member() {
    let bench = bench().await;
    let group = "crowd".parse().unwrap();
    bench
        .authority
        .change(|a| edit::groups::create(a, &group, ""))
        .await
        .unwrap();
    for number in 0..230 {
        let id: UserId = format!("u{number}@pve").parse().unwrap();
        let groups = Some([group.clone()].into_iter().collect());
        let change = UserChange {
            groups,
            ..UserChange::default()
        };
        bench
            .authority
            .change(|a| edit::users::create(a, &id, &change, None))
            .await
            .unwrap();
    }
    bench
        .authority
        .change(|a| edit::groups::delete(a, &group))
        .await
        .unwrap();
    let fresh = crate::Access::load(&*bench.store, store::Read::Linear)
        .await
        .unwrap();
    assert!(fresh.group(&group).is_none());
    assert!(fresh.users().values().all(|user| user.groups.is_empty()));
    assert_eq!(fresh.users().len(), 231);
}

#[tokio::test]
async fn two_nodes_see_each_others_changes_and_tickets() {
    let here = with_jane().await;
    let (store, clock, pam) = (here.store.clone(), here.clock.clone(), here.pam.clone());
    let there = Arc::new(Authority::new(store, clock, pam).await.unwrap());
    let following = {
        let there = there.clone();
        tokio::spawn(async move { there.follow().await })
    };
    let login = session(here.login("jane@pve", "correct horse").await.unwrap());
    let credential = ticket(&login, true);
    assert!(
        there
            .verify(&credential, true, Caller::default())
            .await
            .is_ok()
    );
    here.update(UserChange {
        enable: Some(false),
        ..UserChange::default()
    })
    .await;
    let mut refused = false;
    for _ in 0..200 {
        refused = there
            .verify(&credential, true, Caller::default())
            .await
            .is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refused, "the change did not arrive");
    // A change based on what the other node changed meanwhile.
    let change = UserChange {
        comment: Some("x".into()),
        ..UserChange::default()
    };
    there
        .change(|a| edit::users::update(a, &jane(), &change, 0))
        .await
        .unwrap();
    let fresh = here.authority.refresh(store::Read::Linear).await.unwrap();
    let user = fresh.user(&jane()).unwrap();
    assert_eq!((user.enable, user.comment.as_str()), (false, "x"));
    following.abort();
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_not_overwritten() {
    let bench = bench().await;
    let key = crate::keys::user(&jane());
    let newer = br#"{"v":99,"data":{}}"#.to_vec();
    store::Store::commit(&*bench.store, store::Commit::new().put(key, newer))
        .await
        .unwrap();
    let fresh = crate::Access::load(&*bench.store, store::Read::Linear)
        .await
        .unwrap();
    let created = edit::users::create(&fresh, &jane(), &UserChange::default(), None);
    assert!(matches!(created, Err(AccessError::Newer(_))));
}
