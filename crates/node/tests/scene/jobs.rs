//! Snapshot jobs in the store of a scene.

use model::{GuestRecord, Record};
use node::snapshot_jobs::snapshot_job_key;
use node::{Records, Settings};
use serde_json::Value;
use store::{Commit, SharedStore};

use super::vmid;

pub async fn put_job(store: &SharedStore, id: &str, options: Value) {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    let options = options.into_iter().collect();
    let record = Record::new(Settings { options }).encode().unwrap();
    let key = snapshot_job_key(id).unwrap();
    store.commit(Commit::new().put(key, record)).await.unwrap();
}

/// Makes a snapshot of the guest one that a job has made.
pub async fn adopt(store: &SharedStore, snapshot: &str, job: &str) {
    let adopt = |guest: &mut GuestRecord| {
        guest.snapshots.get_mut(snapshot).unwrap().job = Some(job.to_owned());
        Ok(())
    };
    let records = Records::new(store.clone(), "pve1".parse().unwrap());
    records.change_guest(vmid(), adopt).await.unwrap();
}
