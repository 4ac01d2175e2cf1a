//! A container's network cards: pairs of links, one end at a bridge of the host, the other in the
//! container.
//!
//! LXC makes them at the start. Of a container that runs they are changed here, one after the other,
//! by what is there: each change may be repeated, and taking it back is the opposite change.

use guest::lxc::CtConfig;
use model::lxc::{Ip4, Ip6, Net};
use model::{Error, PortSpec, VmId};
use sys::Command;

use super::launch::INFO;
use crate::NodeContext;
use crate::guests::ports::{self, FIREWALL_WAITS};

/// Addresses and gateways that a card has by itself, as `ip` takes them.
fn addresses(net: &Net) -> (Vec<String>, Vec<String>) {
    let (mut own, mut gateways) = (Vec::new(), Vec::new());
    if let Some(Ip4::Static(address, length)) = net.ip4() {
        own.push(format!("{address}/{length}"));
        gateways.extend(net.gateway4().map(|gateway| gateway.to_string()));
    }
    if let Some(Ip6::Static(address, length)) = net.ip6() {
        own.push(format!("{address}/{length}"));
        gateways.extend(net.gateway6().map(|gateway| gateway.to_string()));
    }
    (own, gateways)
}

/// Whether two cards are the same pair of links.
fn is_same_pair(one: &Net, other: &Net) -> bool {
    let of = |net: &Net| {
        (
            net.name().to_owned(),
            net.mac().map(str::to_owned),
            net.mtu(),
        )
    };
    of(one) == of(other)
}

impl NodeContext {
    /// The MTU of each card: its own, or its bridge's. Refuses bridges that are not there.
    pub(super) async fn mtus(&self, config: &CtConfig) -> Result<Vec<(u8, u32)>, Error> {
        let mut mtus = Vec::new();
        for (index, net) in &config.nets {
            let Some(bridge) = net.bridge() else { continue };
            let missing = || Error::conflict(format!("bridge '{bridge}' does not exist"));
            let link = self.host.link(bridge).await?;
            let most = link.ok_or_else(missing)?.mtu;
            let mtu = net.mtu().unwrap_or(most);
            if mtu > most {
                return Err(Error::conflict(format!(
                    "net{index}: MTU size '{mtu}' is bigger than bridge MTU '{most}'"
                )));
            }
            mtus.push((*index, mtu));
        }
        Ok(mtus)
    }

    /// Refuses bridges that are not there, and VLANs that they do not let through.
    pub(crate) async fn check_cards(&self, vmid: VmId, config: &CtConfig) -> Result<(), Error> {
        self.mtus(config).await?;
        let ports: Vec<(u8, PortSpec)> = config
            .nets
            .iter()
            .filter_map(|(index, net)| Some((*index, ports::of_container(vmid, *index, net)?)))
            .collect();
        let ports = ports.iter().map(|(index, port)| (*index, port));
        self.check_vlans(ports).await
    }

    /// The cards of a container that are to be isolated.
    pub(super) async fn isolated_cards(
        &self,
        vmid: VmId,
        config: &CtConfig,
    ) -> Result<Vec<u8>, Error> {
        let mut isolated = Vec::new();
        for (index, net) in &config.nets {
            if let Some(mut port) = ports::of_container(vmid, *index, net) {
                self.isolate(vmid, [&mut port]).await?;
                isolated.extend(port.isolated.then_some(*index));
            }
        }
        Ok(isolated)
    }

    /// Gives a container that runs the cards of `to` in place of those of `from`. Answers warnings.
    pub(crate) async fn change_cards(
        &self,
        vmid: VmId,
        from: &CtConfig,
        to: &CtConfig,
    ) -> Result<Vec<String>, Error> {
        let named = |index: u8, error: Error| {
            let text = format!("unable to hotplug net{index}: {error}");
            Error::invalid(format!("net{index}"), text)
        };
        for (index, before) in &from.nets {
            let after = to.nets.get(index);
            if after.is_none_or(|after| !is_same_pair(before, after)) {
                let unplugged = self.unplug_card(vmid, *index).await;
                unplugged.map_err(|error| named(*index, error))?;
            }
        }
        let mut changed = to.clone();
        changed
            .nets
            .retain(|index, after| from.nets.get(index) != Some(after));
        for (index, after) in &changed.nets {
            let plugged = self.plug_card(vmid, *index, from.nets.get(index), after);
            plugged.await.map_err(|error| named(*index, error))?;
            let had_rate = from.nets.get(index).is_some_and(|net| net.rate().is_some());
            if had_rate && after.rate().is_none() {
                network::limit(&*self.host, &ports::veth(vmid, *index), None).await?;
            }
        }
        self.settle_cards(vmid, &changed).await
    }

    async fn unplug_card(&self, vmid: VmId, index: u8) -> Result<(), Error> {
        let link = ports::veth(vmid, index);
        if self.has_link(&link).await? {
            self.ip(&["link", "delete", "dev", &link]).await?;
        }
        network::forget(&*self.host, &[&link]).await
    }

    async fn plug_card(
        &self,
        vmid: VmId,
        index: u8,
        before: Option<&Net>,
        net: &Net,
    ) -> Result<(), Error> {
        let link = ports::veth(vmid, index);
        let is_new = !self.has_link(&link).await?;
        if is_new {
            self.make_pair(vmid, &link, net).await?;
        }
        let name = net.name();
        self.ip_inside(vmid, &["link", "set", "dev", name, "up"])
            .await?;
        let (own, gateways) = addresses(net);
        let (old, _) = match before.filter(|_| !is_new) {
            Some(before) => addresses(before),
            None => (Vec::new(), Vec::new()),
        };
        for address in old.iter().filter(|old| !own.contains(old)) {
            // It may have been taken away inside.
            let delete = ["address", "delete", address, "dev", name];
            let _ = self.ip_inside(vmid, &delete).await;
        }
        for address in &own {
            self.ip_inside(vmid, &["address", "replace", address, "dev", name])
                .await?;
        }
        for gateway in &gateways {
            let to = ["route", "replace", "default", "via", gateway, "dev", name];
            self.ip_inside(vmid, &to).await?;
        }
        Ok(())
    }

    /// One end here, the other in the container, with its name and address.
    async fn make_pair(&self, vmid: VmId, link: &str, net: &Net) -> Result<(), Error> {
        let pid = self.init_of(vmid).await?.to_string();
        let mtu = self.mtu_of(net).await?.map(|mtu| mtu.to_string());
        let mut args = vec!["link", "add", "name", link];
        let of_mtu: Vec<&str> = mtu.iter().flat_map(|mtu| ["mtu", mtu.as_str()]).collect();
        args.extend(&of_mtu);
        args.extend(["type", "veth", "peer", "name", net.name()]);
        args.extend(net.mac().into_iter().flat_map(|mac| ["address", mac]));
        args.extend(&of_mtu);
        args.extend(["netns", &pid]);
        self.ip(&args).await
    }

    /// A card's own MTU, or its bridge's.
    async fn mtu_of(&self, net: &Net) -> Result<Option<u32>, Error> {
        let bridge = match net.bridge() {
            Some(bridge) => self.host.link(bridge).await?,
            None => None,
        };
        Ok(net.mtu().or(bridge.map(|bridge| bridge.mtu)))
    }

    async fn has_link(&self, name: &str) -> Result<bool, Error> {
        Ok(self.host.link(name).await?.is_some())
    }

    /// The host's id of a running container's init.
    async fn init_of(&self, vmid: VmId) -> Result<u32, Error> {
        let asked = self.lxc(INFO, vmid).args(["-p", "-H"]);
        let printed = self.host.run(asked).await?.checked(INFO)?;
        let text = String::from_utf8_lossy(&printed);
        let none = || Error::conflict(format!("CT {vmid} not running"));
        text.trim().parse().map_err(|_| none())
    }

    async fn ip(&self, args: &[&str]) -> Result<(), Error> {
        let command = Command::new("ip").args(args.iter().copied());
        self.host.run(command).await?.checked("ip")?;
        Ok(())
    }

    /// The host's `ip` in the network of a running container.
    async fn ip_inside(&self, vmid: VmId, args: &[&str]) -> Result<Vec<u8>, Error> {
        let inside = ["-s", "NETWORK", "--", "ip"];
        let command = self.lxc("lxc-attach", vmid).args(inside);
        let command = command.args(args.iter().copied());
        Ok(self.host.run(command).await?.checked("ip")?)
    }

    /// What the host's `ip --json address` prints of a running container's links.
    pub async fn container_links(&self, vmid: VmId) -> Result<Vec<u8>, Error> {
        self.ip_inside(vmid, &["--json", "address"]).await
    }

    /// What is set at the host's ends of a container's cards, which LXC has made. Answers warnings.
    pub(crate) async fn settle_cards(
        &self,
        vmid: VmId,
        config: &CtConfig,
    ) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        for (index, net) in &config.nets {
            let link = ports::veth(vmid, *index);
            if net.rate().is_some() {
                warnings.extend(network::limit(&*self.host, &link, net.rate()).await?);
            }
            if let Some(mut port) = ports::of_container(vmid, *index, net) {
                self.isolate(vmid, [&mut port]).await?;
                network::connect(&*self.host, &port).await?;
            }
            // Without a bridge its other uses are the administrator's.
            let state = if net.is_down() { "down" } else { "up" };
            self.ip(&["link", "set", "dev", &link, state]).await?;
            if net.has_firewall() {
                warnings.push(format!("net{index}: {FIREWALL_WAITS}"));
            }
        }
        Ok(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn only_addresses_that_are_given_are_set() {
        let (own, gateways) = addresses(&net("name=eth0,ip=10.0.0.2/24,gw=10.0.0.1,ip6=auto"));
        assert_eq!(
            (own, gateways),
            (vec!["10.0.0.2/24".into()], vec!["10.0.0.1".into()])
        );
        assert_eq!(
            addresses(&net("name=eth0,ip=dhcp")),
            (Vec::new(), Vec::new())
        );
    }

    #[test]
    fn a_pair_is_another_one_by_its_name_and_address() {
        let first = net("name=eth0,hwaddr=BC:24:11:00:00:01,bridge=vmbr0");
        assert!(is_same_pair(
            &first,
            &net("name=eth0,hwaddr=BC:24:11:00:00:01,bridge=vmbr1,link_down=1")
        ));
        for other in [
            "name=eth1,hwaddr=BC:24:11:00:00:01",
            "name=eth0,hwaddr=BC:24:11:00:00:02",
        ] {
            assert!(!is_same_pair(&first, &net(other)));
        }
    }
}
