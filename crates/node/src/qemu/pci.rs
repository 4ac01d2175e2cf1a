//! PCI devices of this host that a guest gets: which ones, and whether it may have them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use guest::qemu::{PciFunction, Pcis, VmConfig};
use model::qemu::{HostPci, PciSource, pci_address};
use model::{Error, MappingKind, VmId};

use crate::NodeContext;
use crate::host::pci::{self, Device};
use crate::host::{disk_users, vfio};
use crate::mappings::check_entry;

/// How many functions a PCI device may have.
const FUNCTIONS_MAX: usize = 8;

/// What is known of the host's devices while a guest's are chosen.
struct Choice<'a> {
    node: &'a NodeContext,
    vmid: VmId,
    devices: Vec<Device>,
    /// The group of each device, mediated ones too.
    groups: BTreeMap<String, u32>,
    /// Which other guest has what.
    taken: BTreeMap<PciFunction, VmId>,
}

impl NodeContext {
    /// Finds the devices that a guest is configured with. The caller holds `passes.deciding`.
    pub(crate) async fn choose_pcis(&self, vmid: VmId, config: &VmConfig) -> Result<Pcis, Error> {
        let mut chosen = Pcis::new();
        if config.pcis.is_empty() {
            return Ok(chosen);
        }
        let mut choice = Choice {
            node: self,
            vmid,
            devices: pci::devices(&self.host).await,
            groups: pci::iommu_groups(&self.host).await,
            taken: self.taken_functions(vmid).await?,
        };
        if choice.groups.is_empty() {
            let text = "cannot prepare PCI pass-through, IOMMU not present";
            return Err(Error::conflict(text));
        }
        for (index, pci) in &config.pcis {
            let functions = choice.choose(*index, pci).await;
            let functions = functions.map_err(|error| Error {
                message: format!("hostpci{index}: {}", error.message),
                ..error
            })?;
            // A guest's options do not share a device either.
            choice
                .taken
                .extend(functions.iter().map(|function| (function.clone(), vmid)));
            chosen.insert(*index, functions);
        }
        choice.check_neighbours(&chosen).await?;
        Ok(chosen)
    }
}

impl Choice<'_> {
    /// The first of the devices that an option names which can be had.
    async fn choose(&self, index: u8, pci: &HostPci) -> Result<Vec<PciFunction>, Error> {
        let id = match &pci.source {
            PciSource::Devices(addresses) => return self.take(index, pci, addresses).await,
            PciSource::Mapping(id) => id,
        };
        let (kind, node) = (MappingKind::Pci, self.node);
        let (mapping, entries) = node.records.mapped_on(kind, id, &node.name).await?;
        let mut why = None;
        for entry in &entries {
            let checked = check_entry(&node.host, kind, (id, &mapping), entry).await;
            let taken = match checked {
                Ok(()) => {
                    let path = entry.text("path").unwrap_or_default();
                    let addresses: Vec<String> = path.split(';').map(pci_address).collect();
                    self.take(index, pci, &addresses).await
                }
                Err(text) => Err(Error::conflict(text)),
            };
            match taken {
                Ok(functions) => return Ok(functions),
                Err(error) => why = Some(error),
            }
        }
        let why = why.unwrap_or_else(|| Error::conflict("the mapping is empty"));
        Err(match entries.len() {
            1 => why,
            count => {
                let text = format!("none of the {count} devices of mapping '{id}' can be had");
                Error::conflict(format!("{text}; of the last one: {}", why.message))
            }
        })
    }

    /// The functions of devices, if the guest can have them all.
    async fn take(
        &self,
        index: u8,
        pci: &HostPci,
        addresses: &[String],
    ) -> Result<Vec<PciFunction>, Error> {
        let mut functions = Vec::new();
        for address in addresses {
            functions.extend(self.functions(address)?);
        }
        if let Some(kind) = &pci.mediated {
            return self.mediated(index, kind, functions).await;
        }
        if functions.len() > FUNCTIONS_MAX {
            let text = format!("{FUNCTIONS_MAX} functions have room at one place");
            return Err(Error::conflict(text));
        }
        let mut taken = Vec::new();
        for device in functions {
            let function = PciFunction::At(device.address.clone());
            if taken.contains(&function) {
                let text = format!("PCI device '{}' is named twice", device.address);
                return Err(Error::conflict(text));
            }
            self.check_free(&function, &device.address)?;
            if device.iommu_group.is_none() {
                let text = format!("PCI device '{}' is in no IOMMU group", device.address);
                return Err(Error::conflict(text));
            }
            self.check_unused(device).await?;
            taken.push(function);
        }
        Ok(taken)
    }

    /// The functions of an address: the one that it names, or all.
    fn functions(&self, address: &str) -> Result<Vec<&Device>, Error> {
        let all = format!("{address}.");
        let devices = self.devices.iter();
        let found: Vec<&Device> = devices
            .filter(|device| match address.contains('.') {
                true => device.address == address,
                false => device.address.starts_with(&all),
            })
            .collect();
        match found.is_empty() {
            true => Err(Error::conflict(format!(
                "no PCI device found for '{address}'"
            ))),
            false => Ok(found),
        }
    }

    /// What a device makes for the guest.
    async fn mediated(
        &self,
        index: u8,
        kind: &str,
        functions: Vec<&Device>,
    ) -> Result<Vec<PciFunction>, Error> {
        let Some(device) = functions.first() else {
            return Err(Error::conflict("no PCI device"));
        };
        let parent = device.address.clone();
        let types = pci::mediated_types(&self.node.host, &parent).await;
        let found = types.iter().find(|known| known.id == kind);
        let uuid = format!("{index:08}-0000-0000-0000-{:012}", self.vmid.get());
        // One that an earlier run of the guest has left is its own.
        let is_left = self.groups.contains_key(&uuid);
        match found {
            None => {
                let text = format!("PCI device '{parent}' makes no '{kind}'");
                Err(Error::conflict(text))
            }
            Some(known) if known.available == 0 && !is_left => {
                let text = format!("PCI device '{parent}' can make no more '{kind}'");
                Err(Error::conflict(text))
            }
            Some(_) => Ok(vec![PciFunction::Mediated {
                parent,
                kind: kind.to_owned(),
                uuid,
            }]),
        }
    }

    fn check_free(&self, function: &PciFunction, address: &str) -> Result<(), Error> {
        let makes = |function: &PciFunction| match function {
            PciFunction::Mediated { parent, .. } => parent == address,
            PciFunction::At(_) => false,
        };
        let user = self.taken.get(function).or_else(|| {
            let mut taken = self.taken.iter();
            taken.find_map(|(function, vmid)| makes(function).then_some(vmid))
        });
        match user {
            None => Ok(()),
            Some(vmid) => {
                let text = format!("PCI device '{address}' already in use by VMID '{vmid}'");
                Err(Error::conflict(text))
            }
        }
    }

    /// Refuses a device that the host itself works with: its disks, and cards of its bridges.
    async fn check_unused(&self, device: &Device) -> Result<(), Error> {
        let (node, address) = (self.node, &device.address);
        let driver = vfio::driver(&node.host, address).await;
        if !vfio::is_of_host(driver.as_deref()) {
            return Ok(());
        }
        let refused = |user: String| {
            let text = format!("PCI device '{address}' is in use by the host: {user}");
            Error::conflict(text)
        };
        for name in self.below(address, "/sys/class/net").await? {
            let port = format!("/sys/class/net/{name}/brport");
            if node.host.stat(Path::new(&port)).await?.is_some() {
                return Err(refused(format!("{name} is a port of a bridge")));
            }
        }
        for name in self.below(address, "/sys/block").await? {
            let found = disk_users::find(node, &format!("/dev/{name}")).await?;
            if let Some(user) = disk_users::users(node, &found).await?.first() {
                return Err(refused(user.to_string()));
            }
        }
        Ok(())
    }

    /// What of a class hangs on a device.
    async fn below(&self, address: &str, class: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in self.node.host.list(Path::new(class)).await? {
            let path = PathBuf::from(class).join(&entry.name);
            let path = self.node.host.resolve(&path).await?;
            if path.iter().any(|part| part == address) {
                names.push(entry.name);
            }
        }
        Ok(names)
    }

    /// Devices that the hardware cannot keep apart go to one guest, or have no driver.
    async fn check_neighbours(&self, chosen: &Pcis) -> Result<(), Error> {
        let functions: BTreeSet<&str> = chosen
            .values()
            .flatten()
            .filter_map(|function| match function {
                PciFunction::At(address) => Some(address.as_str()),
                PciFunction::Mediated { .. } => None,
            })
            .collect();
        for address in &functions {
            let Some(group) = self.groups.get(*address) else {
                continue;
            };
            for (neighbour, of) in &self.groups {
                if of != group || functions.contains(neighbour.as_str()) {
                    continue;
                }
                self.check_neighbour(address, neighbour, *group).await?;
            }
        }
        Ok(())
    }

    async fn check_neighbour(
        &self,
        address: &str,
        neighbour: &str,
        group: u32,
    ) -> Result<(), Error> {
        let device = self.devices.iter().find(|found| found.address == neighbour);
        // A bridge only passes on.
        if device.is_some_and(|device| device.class.starts_with("0x06")) {
            return Ok(());
        }
        let function = PciFunction::At(neighbour.to_owned());
        let driver = vfio::driver(&self.node.host, neighbour).await;
        let why = match self.taken.get(&function) {
            Some(vmid) => format!("VM {vmid} has it"),
            None => match driver {
                Some(driver) if vfio::is_of_host(Some(&driver)) => {
                    format!("the host's driver '{driver}' has it")
                }
                _ => return Ok(()),
            },
        };
        let text = format!("PCI device '{address}' cannot be kept apart from '{neighbour}'");
        Err(Error::conflict(format!(
            "{text} (IOMMU group {group}): {why}"
        )))
    }
}
