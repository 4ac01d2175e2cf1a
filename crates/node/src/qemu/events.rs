//! What running QEMUs tell of themselves, for tasks that wait for it.

use guest::qemu::Event;
use model::VmId;
use tokio::sync::broadcast;

/// How many events somebody who waits may be behind; who loses some looks at QEMU itself.
const KEPT: usize = 256;

/// The events of all guests that the agent listens to (`tend`).
pub struct QmpEvents {
    sender: broadcast::Sender<(VmId, Event)>,
}

impl Default for QmpEvents {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(KEPT),
        }
    }
}

impl QmpEvents {
    pub(crate) fn tell(&self, vmid: VmId, event: Event) {
        // Mostly nobody waits for anything.
        let _ = self.sender.send((vmid, event));
    }

    /// All that is told from now on.
    pub(crate) fn subscribe(&self) -> Listener {
        Listener(self.sender.subscribe())
    }
}

pub(crate) struct Listener(broadcast::Receiver<(VmId, Event)>);

impl Listener {
    /// Waits until a guest has let go of a device. It may have done so unheard: whoever waits
    /// looks now and then.
    pub(crate) async fn gone(&mut self, vmid: VmId, device: &str) {
        loop {
            match self.0.recv().await {
                Ok((of, event)) => {
                    let is_it = of == vmid
                        && event.name == "DEVICE_DELETED"
                        && event.data["device"] == device;
                    if is_it {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn only_the_device_that_is_waited_for_counts() {
        let news = QmpEvents::default();
        let mut listener = news.subscribe();
        let vmid = |number| VmId::new(number).unwrap();
        let deleted = |device: &str| Event {
            name: "DEVICE_DELETED".to_owned(),
            data: json!({"device": device}),
            seconds: 0,
        };
        news.tell(vmid(101), deleted("net1"));
        news.tell(vmid(100), deleted("net0"));
        news.tell(vmid(100), deleted("net1"));
        listener.gone(vmid(100), "net1").await;
        assert!(listener.0.is_empty());
    }
}
