//! The suite in a pool of Ceph. A cluster takes a while to start, so one test has all cases, each in
//! a namespace of its own.

use std::time::{Duration, Instant};

use storage::{AttachMode, StorageError};
use testkit::ceph::Ceph;

use crate::bed::{Bed, vmid};
use crate::cases;
use crate::images::{MIB, SIZE, assert_empty, make, us};

/// Runs these cases one after the other.
macro_rules! each {
    ($ceph:expr, [$($case:ident),* $(,)?]) => {
        $(
            let began = Instant::now();
            cases::$case(&Bed::rbd(stringify!($case), $ceph)).await;
            println!("{}: {:?}", stringify!($case), began.elapsed());
        )*
    };
}

#[tokio::test]
async fn every_case() {
    let Some(ceph) = Ceph::start("rbd") else {
        return;
    };
    each!(
        &ceph,
        [
            an_image_reads_as_zeros_until_it_is_written,
            allocating_replaces_nothing,
            names_are_chosen_that_nothing_has,
            an_image_grows_and_keeps_its_content,
            renaming_moves_an_image_once,
            attaching_may_be_repeated_and_is_shared_by_readers,
            a_base_is_never_written,
            a_clone_shows_its_base_and_changes_apart,
            snapshots_keep_what_was_and_roll_back,
            a_snapshot_is_read_while_its_image_changes,
            freeing_takes_snapshots_along,
            names_of_others_are_refused,
            the_storage_says_how_full_it_is,
        ]
    );
    a_base_with_clones_stays(&Bed::rbd("base", &ceph)).await;
    who_is_refused_is_told_so(&Bed::rbd("wrong", &ceph)).await;
    a_cluster_that_is_silent_is_said_to_be(&Bed::rbd("silent", &ceph), &ceph).await;
}

#[tokio::test]
#[ignore = "thorough: each of thirty broken calls takes some changes of a cluster"]
async fn every_broken_call() {
    if let Some(ceph) = Ceph::start("rbd") {
        each!(&ceph, [every_call_may_break]);
    }
}

async fn a_base_with_clones_stays(bed: &Bed) {
    let storage = &*bed.active().await;
    let clones = storage.linked_clones().unwrap();
    let name = make(storage, bed.format).await;
    let base = clones.base_name(&name).unwrap();
    storage.rename(&name, &base).await.unwrap();
    let clone = clones
        .choose_clone_name(&base, vmid(101), &[])
        .await
        .unwrap();
    clones.create_clone(&base, &clone).await.unwrap();
    for _ in 0..2 {
        let text = storage.free(&base).await.unwrap_err().to_string();
        assert!(text.ends_with("is still in use by linked clones"), "{text}");
    }
    let listed = storage.list(None).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, [base.as_str(), &clone], "a clone says what it is of");
    for name in [&clone, &base] {
        assert!(storage.free(name).await.unwrap());
    }
    assert_empty(storage).await;
}

/// No pool, no key, a key that is not the user's.
async fn who_is_refused_is_told_so(bed: &Bed) {
    let storage = &*bed.active().await;
    for (secret, namespace, reason) in [
        (
            bed.secret(),
            "none",
            "there is no pool or namespace 'rbd/none'",
        ),
        (
            Some("AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q==".to_owned()),
            "wrong",
            "the cluster refuses user 'admin'",
        ),
        (None, "wrong", "the cluster refuses user 'admin'"),
    ] {
        let other = bed.open_as(namespace, secret);
        let refused = other.activate().await.unwrap_err();
        assert!(
            matches!(refused, StorageError::Inactive { .. }),
            "{refused:?}"
        );
        let text = refused.to_string();
        assert!(text.ends_with(reason), "{text}");
    }
    // What was tried has changed nothing for the one in use.
    assert_empty(storage).await;
}

/// What is asked meanwhile fails within the time-out, and is answered again once the cluster is.
async fn a_cluster_that_is_silent_is_said_to_be(bed: &Bed, ceph: &Ceph) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    ceph.freeze();
    let began = Instant::now();
    let status = storage.status().await;
    let found = storage.stat(&name).await;
    let attached = storage.attach(&name, AttachMode::ReadOnly, &us()).await;
    let took = began.elapsed();
    ceph.thaw();
    for error in [status.err(), found.err(), attached.err()] {
        let error = error.expect("an answer of a frozen cluster");
        assert!(matches!(error, StorageError::Silent(_)), "{error:?}");
    }
    assert!(took < Duration::from_secs(3 * 12), "{took:?}");
    // By itself: the same driver.
    let mut found = storage.stat(&name).await;
    while let Err(StorageError::Silent(_)) = found {
        found = storage.stat(&name).await;
    }
    assert_eq!(found.unwrap().unwrap().size, SIZE);
    storage.resize(&name, SIZE + MIB).await.unwrap();
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}
