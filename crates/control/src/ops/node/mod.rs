//! `/nodes/{node}`

mod tasks;

use super::{Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("task_list", tasks::list),
    pair!("task_status", tasks::status),
    pair!("task_log", tasks::log),
    pair!("task_stop", tasks::stop),
];
