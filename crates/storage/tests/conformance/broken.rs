//! Every method, broken at every call to the host that changes something: the call fails although
//! it has done its work, or the agent dies right after it. The method is then repeated by a new
//! driver, as a new agent does, and has to come to the same end.

use std::pin::Pin;
use std::sync::Arc;

use storage::{AttachMode, Storage, StorageError};
use testkit::Fault;

use crate::bed::{Bed, vmid};
use crate::images::{SIZE, assert_empty, assert_holds, make, us, write};

type Doing = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

type Choice = fn(&Names) -> &str;

/// What is done to an image that holds `0x51`, and has a snapshot `one` that holds `0x41`.
struct Method {
    name: &'static str,
    run: fn(Arc<dyn Storage>, Names) -> Doing,
    /// What the image holds afterwards, and under which of the names.
    after: Option<(u8, Choice)>,
    has_snapshot: bool,
    needs: Needs,
}

/// What a storage must be able to do for it.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Images,
    Snapshots,
    LinkedClones,
}

/// The names that a method may use.
#[derive(Clone)]
struct Names {
    image: String,
    other: String,
    base: String,
    clone: String,
}

const METHODS: &[Method] = &[
    Method {
        name: "allocate",
        run: |storage, names| {
            Box::pin(async move {
                let format = format_of(&*storage, &names.other);
                match storage.allocate(&names.other, format, SIZE).await {
                    // The caller that chose the name takes an earlier attempt back.
                    Err(StorageError::Exists { .. }) => {
                        storage.free(&names.other).await?;
                        storage.allocate(&names.other, format, SIZE).await
                    }
                    allocated => allocated,
                }
            })
        },
        after: Some((0, |names| &names.other)),
        has_snapshot: false,
        needs: Needs::Images,
    },
    Method {
        name: "free",
        run: |storage, names| Box::pin(async move { storage.free(&names.image).await.map(drop) }),
        after: None,
        has_snapshot: true,
        needs: Needs::Images,
    },
    Method {
        name: "resize",
        run: |storage, names| Box::pin(async move { storage.resize(&names.image, 2 * SIZE).await }),
        after: Some((0x51, |names| &names.image)),
        has_snapshot: false,
        needs: Needs::Images,
    },
    Method {
        name: "rename",
        run: |storage, names| {
            Box::pin(async move { storage.rename(&names.image, &names.other).await })
        },
        after: Some((0x51, |names| &names.other)),
        has_snapshot: false,
        needs: Needs::Images,
    },
    Method {
        name: "rename to a base",
        run: |storage, names| {
            Box::pin(async move { storage.rename(&names.image, &names.base).await })
        },
        after: Some((0x51, |names| &names.base)),
        has_snapshot: false,
        needs: Needs::LinkedClones,
    },
    Method {
        name: "attach and detach",
        run: |storage, names| {
            Box::pin(async move {
                let mode = AttachMode::Exclusive;
                storage.attach(&names.image, mode, &us()).await?;
                storage.detach(&names.image, &us()).await
            })
        },
        after: Some((0x51, |names| &names.image)),
        has_snapshot: false,
        needs: Needs::Images,
    },
    Method {
        name: "create snapshot",
        run: |storage, names| {
            Box::pin(async move {
                let snapshots = storage.snapshots().expect("it has snapshots");
                match snapshots.create_snapshot(&names.image, "two").await {
                    Err(StorageError::Exists { .. }) => Ok(()),
                    created => created,
                }
            })
        },
        after: Some((0x51, |names| &names.image)),
        has_snapshot: true,
        needs: Needs::Snapshots,
    },
    Method {
        name: "roll back",
        run: |storage, names| {
            Box::pin(async move {
                let snapshots = storage.snapshots().expect("it has snapshots");
                snapshots.roll_back(&names.image, "one").await
            })
        },
        after: Some((0x41, |names| &names.image)),
        has_snapshot: true,
        needs: Needs::Snapshots,
    },
    Method {
        name: "delete snapshot",
        run: |storage, names| {
            Box::pin(async move {
                let snapshots = storage.snapshots().expect("it has snapshots");
                snapshots
                    .delete_snapshot(&names.image, "one")
                    .await
                    .map(drop)
            })
        },
        after: Some((0x51, |names| &names.image)),
        has_snapshot: true,
        needs: Needs::Snapshots,
    },
    Method {
        name: "clone",
        run: |storage, names| {
            Box::pin(async move {
                storage.rename(&names.image, &names.base).await?;
                let clones = storage.linked_clones().expect("it has linked clones");
                match clones.create_clone(&names.base, &names.clone).await {
                    Err(StorageError::Exists { .. }) => {
                        storage.free(&names.clone).await?;
                        clones.create_clone(&names.base, &names.clone).await
                    }
                    created => created,
                }
            })
        },
        after: Some((0x51, |names| &names.clone)),
        has_snapshot: false,
        needs: Needs::LinkedClones,
    },
];

fn format_of(storage: &dyn Storage, name: &str) -> model::BlockFormat {
    let said = storage.config().spec.kind().parse(name);
    said.and_then(|said| said.image_format)
        .expect("a name of an image")
}

pub(crate) async fn every_call_may_break(bed: &Bed) {
    let storage = bed.active().await;
    let can = |needs: Needs| match needs {
        Needs::Images => true,
        Needs::Snapshots => storage.snapshots().is_some(),
        Needs::LinkedClones => storage.linked_clones().is_some(),
    };
    for method in METHODS.iter().filter(|method| can(method.needs)) {
        let calls = run(bed, method, None).await;
        let changes = (0..calls.len()).filter(|at| Fault::of(&calls[*at]) == Fault::ALL);
        let changes: Vec<usize> = changes.collect();
        println!(
            "{}: {} of {} calls",
            method.name,
            changes.len(),
            calls.len()
        );
        for (number, at) in changes.into_iter().enumerate() {
            for fault in faults(bed, number) {
                run(bed, method, Some((at, *fault))).await;
            }
        }
    }
}

/// The ways in which a call is broken: both, or by turns one of them where calls take long.
fn faults(bed: &Bed, number: usize) -> &'static [Fault] {
    const FAULTS: [Fault; 2] = [Fault::FailAfter, Fault::DieAfter];
    match bed.is_slow {
        true => &FAULTS[number % 2..=number % 2],
        false => &FAULTS,
    }
}

/// Runs a method with one of its calls broken, repeats it where that broke it, and holds what has
/// become of the image against what was promised. Answers the calls that it made.
async fn run(bed: &Bed, method: &Method, broken: Option<(usize, Fault)>) -> Vec<String> {
    let storage = bed.active().await;
    let names = lay_out(bed, &storage, method).await;
    bed.faults.reset();
    if let Some((at, fault)) = broken {
        bed.faults.break_call(at, fault);
    }
    let work = (method.run)(storage.clone(), names.clone());
    let ended = tokio::select! {
        ended = work => Some(ended),
        () = bed.faults.death() => None,
    };
    let calls = bed.faults.calls();
    bed.faults.reset();
    let place = format!("{}, broken at {broken:?}, after {calls:?}", method.name);
    let next = bed.open();
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) if broken.is_none() => panic!("{place}: {error}"),
        _ => {
            let again = (method.run)(next.clone(), names.clone()).await;
            again.unwrap_or_else(|error| panic!("{place}, repeated: {error}"));
        }
    }
    assert_after(&*next, method, &names).await;
    clear(&*next).await;
    calls
}

async fn lay_out(bed: &Bed, storage: &Arc<dyn Storage>, method: &Method) -> Names {
    let storage = &**storage;
    let image = make(storage, bed.format).await;
    let other = storage.choose_image_name(vmid(101), bed.format, &[]).await;
    let (base, clone) = match storage.linked_clones() {
        Some(clones) => {
            let base = clones.base_name(&image).unwrap();
            let clone = clones.choose_clone_name(&base, vmid(102), &[]).await;
            (base, clone.unwrap())
        }
        None => Default::default(),
    };
    if method.has_snapshot && storage.snapshots().is_some() {
        write(storage, &image, 0x41).await;
        let snapshots = storage.snapshots().expect("it has snapshots");
        snapshots.create_snapshot(&image, "one").await.unwrap();
    }
    write(storage, &image, 0x51).await;
    Names {
        image,
        base,
        other: other.unwrap(),
        clone,
    }
}

async fn assert_after(storage: &dyn Storage, method: &Method, names: &Names) {
    match method.after {
        Some((byte, name)) => {
            if byte == 0 && storage.config().spec.is_encrypted() {
                storage.zero(name(names)).await.unwrap();
            }
            assert_holds(storage, name(names), byte).await;
        }
        None => assert_eq!(storage.stat(&names.image).await.unwrap(), None),
    }
}

async fn clear(storage: &dyn Storage) {
    let mut all = storage.list(None).await.unwrap();
    // Some bases cannot go before their clones.
    all.sort_by_key(|left| storage.config().parse(&left.name).unwrap().is_base);
    for left in all {
        storage.detach(&left.name, &us()).await.unwrap();
        storage.free(&left.name).await.unwrap();
    }
    assert_empty(storage).await;
}
