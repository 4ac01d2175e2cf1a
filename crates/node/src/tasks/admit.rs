//! The step that makes sure that the node has room for a guest, before anything is made for it.

use std::sync::Arc;

use async_trait::async_trait;
use model::Error;
use planner::Demand;
use tasks::{Probe, Step, TaskContext};

use super::claim::Claims;
use crate::NodeContext;
use crate::guests::reserved::Reservation;

/// A task that starts a guest.
pub(super) trait Admits: Claims {
    /// Takes what is reserved for the guest until it runs.
    fn set_reservation(&mut self, reservation: Arc<Reservation<Demand>>);
}

pub(super) struct Admit;

#[async_trait]
impl<T: Admits> Step<T> for Admit {
    fn name(&self) -> &'static str {
        "admit"
    }

    async fn plan(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let admitted = cx.node.admit(&guest).await?;
        if let Some(warning) = admitted.warning {
            cx.warn(&warning).await;
        }
        task.set_reservation(Arc::new(admitted.reservation));
        Ok(())
    }

    async fn probe(&self, _: &TaskContext<NodeContext>, _: &mut T) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &TaskContext<NodeContext>, _: &mut T) -> Result<(), Error> {
        Ok(())
    }
}
