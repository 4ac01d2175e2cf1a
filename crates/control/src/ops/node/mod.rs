//! `/nodes/{node}`

mod storage;
mod storage_upload;
mod storage_volumes;
mod tasks;

use super::{Pair, StreamPair, pair, stream_pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("node_storage_list", storage::list),
    pair!("node_storage_status", storage::status),
    pair!("volume_create", storage_volumes::create),
    pair!("volume_delete", storage_volumes::delete),
    pair!("volume_get", storage_volumes::get),
    pair!("volume_list", storage_volumes::list),
    pair!("volume_update", storage_volumes::update),
    pair!("volume_upload", storage_upload::finish),
    pair!("task_list", tasks::list),
    pair!("task_status", tasks::status),
    pair!("task_log", tasks::log),
    pair!("task_stop", tasks::stop),
];

pub(super) const STREAMS: &[StreamPair] = &[stream_pair!("volume_upload", storage_upload::open)];
