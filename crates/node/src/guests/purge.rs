//! What of the cluster's configuration names a guest, apart from pools and rights, which forget each guest
//! that is destroyed. An area whose configuration names guests joins in `purge_guest`.

use model::{Error, VmId};

use crate::Records;

impl Records {
    /// Takes a guest out of all that names it. Returns what was changed, a line each. May be repeated.
    pub(crate) async fn purge_guest(&self, vmid: VmId) -> Result<Vec<String>, Error> {
        self.purge_from_snapshot_jobs(vmid).await
    }
}
