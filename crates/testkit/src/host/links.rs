//! Links in memory.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use sys::{Link, LinkKind, Links, SysError, TapOptions};

use super::FakeHost;

fn link(name: &str, kind: LinkKind, mtu: Option<u32>) -> Link {
    Link {
        name: name.to_owned(),
        kind,
        up: true,
        mtu: mtu.unwrap_or(1500),
        master: None,
        received: 0,
        sent: 0,
    }
}

impl FakeHost {
    fn remove_link(&self, name: &str) -> bool {
        self.world().links.remove(name).is_some()
    }
}

#[async_trait]
impl Links for FakeHost {
    async fn links(&self) -> Result<Vec<Link>, SysError> {
        let call = self.faults.begin(|| "list links".to_owned()).await?;
        let links = self.world().links.values().cloned().collect();
        call.end(links).await
    }

    async fn link(&self, name: &str) -> Result<Option<Link>, SysError> {
        let call = self.faults.begin(|| format!("look at link {name}")).await?;
        let link = self.world().links.get(name).cloned();
        call.end(link).await
    }

    async fn create_tap(&self, name: &str, options: &TapOptions) -> Result<(), SysError> {
        let call = self.faults.begin(|| format!("create tap {name}")).await?;
        self.world()
            .links
            .insert(name.to_owned(), link(name, LinkKind::Tap, options.mtu));
        call.end(()).await
    }

    async fn open_tap(&self, name: &str) -> Result<Arc<OwnedFd>, SysError> {
        let call = self.faults.begin(|| format!("open tap {name}")).await?;
        let open = |source| SysError::Io {
            action: "open tap",
            object: name.to_owned(),
            source,
        };
        if !self.world().links.contains_key(name) {
            return Err(open(std::io::Error::from(std::io::ErrorKind::NotFound)));
        }
        let null = std::fs::File::open("/dev/null").map_err(open)?;
        call.end(Arc::new(OwnedFd::from(null))).await
    }

    async fn remove_tap(&self, name: &str) -> Result<bool, SysError> {
        let call = self.faults.begin(|| format!("remove tap {name}")).await?;
        let removed = self.remove_link(name);
        call.end(removed).await
    }

    async fn join_bridge(&self, name: &str, bridge: &str) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("add {name} to bridge {bridge}"))
            .await?;
        {
            let mut world = self.world();
            if !world
                .links
                .get(bridge)
                .is_some_and(|link| link.kind == LinkKind::Bridge)
            {
                return Err(SysError::Unsupported(format!(
                    "bridge '{bridge}' does not exist"
                )));
            }
            if let Some(link) = world.links.get_mut(name) {
                link.master = Some(bridge.to_owned());
            }
        }
        call.end(()).await
    }

    async fn create_bridge(&self, name: &str) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("create bridge {name}"))
            .await?;
        self.world()
            .links
            .insert(name.to_owned(), link(name, LinkKind::Bridge, None));
        call.end(()).await
    }

    async fn remove_bridge(&self, name: &str) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("remove bridge {name}"))
            .await?;
        let removed = self.remove_link(name);
        call.end(removed).await
    }
}
