//! The target's side: guests on their way to this node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use guest::lxc::CtConfig;
use model::schema::Values;
use model::{BlockFormat, Error, GuestRecord, NodeName, Upid, VmId, VolumeId};
use proto::wire::{Answer, Streamed};
use serde_json::{Value, json};
use storage::{Attacher, ContentType, Storage};
use sys::ScopeName;
use tasks::{Engine, Submission};
use tokio::net::UnixStream;
use tokio::sync::{OwnedRwLockReadGuard, watch};
use tokio::task::JoinSet;
use tracing::warn;

use super::arrival::{Arrival, ArrivalEntry};
use super::ask::{Ask, Asked, Live, VERSION, VERSION_OF_VMS, Wanted};
use super::image::broken;
use super::luggage::check_takes;
use super::receiving::{Receiving, Shape, receive};
use crate::tasks::LxcStart;
use crate::{GuestEntry, NodeContext, volumes};

/// Work for a guest that is expected. It keeps what was made from being removed.
struct Working {
    volumes: Vec<VolumeId>,
    /// Set when the guest is not expected any more.
    over: watch::Receiver<bool>,
    _guard: OwnedRwLockReadGuard<()>,
}

impl Working {
    /// Waits until the guest is not expected any more.
    async fn is_over(&mut self) {
        // The sender lives as long as the guest is known.
        let _ = self.over.wait_for(|over| *over).await;
    }

    fn check(&self, volume: &VolumeId) -> Result<(), Error> {
        match self.volumes.contains(volume) {
            true => Ok(()),
            false => {
                let text = format!("volume '{volume}' is not expected");
                Err(Error::forbidden(text))
            }
        }
    }
}

/// What a guest needs here.
struct Needs<'a> {
    wanted: &'a [Wanted],
    /// Of one that runs.
    live: Option<&'a Live>,
    /// Whether it is to be started.
    starts: bool,
}

fn is_over(vmid: VmId) -> Error {
    Error::conflict(format!("guest {vmid} is not expected"))
}

fn check_version(version: u32) -> Result<(), Error> {
    match (VERSION_OF_VMS..=VERSION).contains(&version) {
        true => Ok(()),
        false => {
            let text = format!("it moves guests by version {VERSION}, not {version}");
            Err(Error::conflict(text))
        }
    }
}

/// How often guests on their way are looked at, and the store asked again.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after guests on their way to this node for as long as the agent lives. Never returns.
pub async fn follow_arrivals(node: &NodeContext, tasks: &Engine<NodeContext>) {
    while let Err(error) = find_arrivals(node).await {
        warn!(%error, "guests on their way here cannot be listed");
        node.clock.sleep(LOOK).await;
    }
    loop {
        for vmid in node.arrivals.all() {
            if let Err(error) = node.settle(vmid, tasks).await {
                warn!(%vmid, %error, "a guest on its way here");
            }
        }
        tokio::select! {
            () = node.clock.sleep(LOOK) => {}
            () = node.arrivals.one_starts() => {}
        }
    }
}

/// Finds the arrivals of an earlier agent.
async fn find_arrivals(node: &NodeContext) -> Result<(), Error> {
    for vmid in node.records.arrivals(&node.name).await? {
        node.arrivals.of(vmid);
    }
    Ok(())
}

impl NodeContext {
    /// Answers the agent of another member, which `from` is by its connection.
    pub async fn answer_source(&self, from: &NodeName, params: &Values) -> Result<Answer, Error> {
        if let Some(answer) = self.answer_look(params).await {
            return answer.map(Answer::new);
        }
        let asked = Asked::read(params)?;
        let answer = match &asked.what {
            Ask::Prepare {
                version,
                volumes,
                live,
                starts,
            } => {
                check_version(*version)?;
                let needs = Needs {
                    wanted: volumes,
                    live: live.as_ref(),
                    starts: *starts,
                };
                json!(self.prepare(from, &asked, needs).await?)
            }
            Ask::Allocate {
                volume,
                format,
                bytes,
            } => {
                let _at_work = self.at_work(from, &asked, Some(volume)).await?;
                let storage = self.storage(volume.storage()).await?;
                storage.allocate(volume.name(), *format, *bytes).await?;
                Value::Null
            }
            Ask::Launch {
                machine,
                renamed,
                exported,
            } => {
                let _at_work = self.at_work(from, &asked, None).await?;
                let guest = self.claimed(from, &asked).await?.record.data;
                self.launch(guest, machine, renamed, exported).await?;
                Value::Null
            }
            Ask::Land => {
                let mut working = self.at_work(from, &asked, None).await?;
                tokio::select! {
                    landed = self.land(asked.vmid) => landed?,
                    () = working.is_over() => return Err(is_over(asked.vmid)),
                }
                Value::Null
            }
            Ask::Finish => self.finish(from, &asked).await.map(|()| Value::Null)?,
            Ask::Abort => self.abort(from, &asked).await.map(|()| Value::Null)?,
            Ask::Receive { .. } | Ask::ReceiveTree { .. } | Ask::Disk | Ask::Memory => {
                return Err(Error::bug("this needs a stream"));
            }
        };
        Ok(Answer::new(answer))
    }

    /// The same for what needs a connection of its own.
    pub async fn connect_source(
        self: &Arc<Self>,
        from: &NodeName,
        params: &Values,
    ) -> Result<Streamed, Error> {
        let asked = Asked::read(params)?;
        let at_work = self.at_work(from, &asked, None).await?;
        let descriptor = match asked.what.clone() {
            Ask::Receive {
                volume,
                format,
                bytes,
            } => {
                let receiving = Receiving {
                    volume,
                    bytes,
                    shape: Shape::Image(format),
                };
                return self.receive(receiving, &asked.upid, at_work);
            }
            Ask::ReceiveTree { volume, bytes } => {
                let guest = self.claimed(from, &asked).await?.record.data;
                let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
                let receiving = Receiving {
                    volume,
                    bytes,
                    shape: Shape::Tree(Box::new(config)),
                };
                return self.receive(receiving, &asked.upid, at_work);
            }
            Ask::Disk => self.connect_to_export(asked.vmid).await?,
            Ask::Memory => self.connect_to_memory(asked.vmid).await?,
            _ => return Err(Error::bug("this is no stream")),
        };
        Ok(Streamed {
            answer: Answer::null(),
            descriptor,
            held: None,
        })
    }

    /// Refuses a node that is not the guest's owner, or whose task has not claimed it.
    async fn claimed(&self, from: &NodeName, asked: &Asked) -> Result<GuestEntry, Error> {
        let guest = self.records.find(asked.vmid).await?;
        let is_claimed = |entry: &GuestEntry| {
            let guest = &entry.record.data;
            let busy = guest.busy.as_ref();
            guest.node == *from && busy.is_some_and(|busy| busy.upid == asked.upid)
        };
        guest.filter(is_claimed).ok_or_else(|| {
            let vmid = asked.vmid;
            Error::forbidden(format!("node '{from}' does not move guest {vmid}"))
        })
    }

    /// The arrival that a request is about; none if it is over.
    async fn expected(
        &self,
        from: &NodeName,
        asked: &Asked,
    ) -> Result<Option<ArrivalEntry>, Error> {
        let entry = self.records.arrival(asked.vmid).await?;
        Ok(entry.filter(|ArrivalEntry { arrival, .. }| {
            arrival.upid == asked.upid && arrival.source == *from && arrival.target == self.name
        }))
    }

    async fn prepare(
        &self,
        from: &NodeName,
        asked: &Asked,
        needs: Needs<'_>,
    ) -> Result<Vec<VolumeId>, Error> {
        let vmid = asked.vmid;
        let Needs {
            wanted,
            live,
            starts,
        } = needs;
        let _deciding = self.arrivals.deciding().await;
        if let Some(entry) = self.expected(from, asked).await? {
            return Ok(entry.arrival.volumes);
        }
        self.settle_alone(vmid).await?;
        let guest = self.claimed(from, asked).await?;
        if !self.host.members(&ScopeName::guest(vmid)).await?.is_empty() {
            let text = format!("processes of a guest {vmid} still run there");
            return Err(Error::conflict(text));
        }
        self.check_room(wanted).await?;
        if live.is_some() || starts {
            let demand = self.demand(&guest.record.data).await;
            if let Some(why) = self.why_no_room(vmid, demand).await? {
                return Err(Error::unavailable(why));
            }
        }
        let expected = match live {
            Some(live) => Some(self.expect(&guest.record.data, live).await?),
            None => None,
        };
        let mut volumes: Vec<VolumeId> = Vec::new();
        for volume in wanted {
            volumes.push(
                self.choose_name(&guest.record.data, volume, &volumes)
                    .await?,
            );
        }
        let arrival = Arrival {
            vmid,
            upid: asked.upid.clone(),
            source: from.clone(),
            target: self.name.clone(),
            volumes: volumes.clone(),
            live: expected,
            starts,
        };
        self.records.announce(&arrival, &guest).await?;
        self.arrivals.of(vmid);
        Ok(volumes)
    }

    /// Refuses volumes that a storage has no room for.
    async fn check_room(&self, wanted: &[Wanted]) -> Result<(), Error> {
        let mut needed = BTreeMap::new();
        for volume in wanted {
            let bytes = volume.used.unwrap_or(volume.bytes).min(volume.bytes);
            *needed.entry(&volume.storage).or_insert(0) += bytes;
        }
        for (id, bytes) in needed {
            let storage = self.storage(id).await?;
            storage.activate().await?;
            let available = storage.status().await?.available;
            if bytes > available {
                let text =
                    format!("storage '{id}' has {available} bytes left, and {bytes} are needed");
                return Err(Error::unavailable(text));
            }
        }
        Ok(())
    }

    /// The name that a volume gets: its own, if that is free.
    async fn choose_name(
        &self,
        guest: &GuestRecord,
        wanted: &Wanted,
        taken: &[VolumeId],
    ) -> Result<VolumeId, Error> {
        let vmid = guest.vmid;
        let storage = self.storage(&wanted.storage).await?;
        let id = &wanted.storage;
        check_takes(storage.config(), guest.kind, &wanted.from)?;
        let own = match wanted.is_tree {
            true => wanted.from.name().to_owned(),
            false => own_name(&*storage, vmid, wanted),
        };
        let own = volumes::named(id, own)?;
        let said = storage.config().parse(own.name());
        let is_meant = said.is_ok_and(|said| {
            let is_tree = said.content == ContentType::Rootdir;
            said.base.is_none() && is_tree == wanted.is_tree
        });
        if is_meant && !taken.contains(&own) && storage.stat(own.name()).await?.is_none() {
            return Ok(own);
        }
        let of_storage = taken.iter().filter(|volume| volume.storage() == id);
        let taken: Vec<String> = of_storage.map(|volume| volume.name().to_owned()).collect();
        if wanted.is_tree {
            let none = || Error::conflict(format!("storage '{id}' has no directories"));
            let trees = storage.trees().ok_or_else(none)?;
            let name = trees.choose_tree_name(vmid, &taken).await?;
            return volumes::named(id, name);
        }
        if !own.name().contains("-disk-") {
            let text = format!("volume '{own}' already exists");
            return Err(Error::conflict(text));
        }
        let format = wanted.format;
        let name = storage.choose_image_name(vmid, format, &taken).await?;
        volumes::named(id, name)
    }

    /// Permission to work for a guest that is expected, on that volume if one is named.
    async fn at_work(
        &self,
        from: &NodeName,
        asked: &Asked,
        volume: Option<&VolumeId>,
    ) -> Result<Working, Error> {
        let is_over = || is_over(asked.vmid);
        let working = self.arrivals.of(asked.vmid).work().await;
        let (guard, over) = working.ok_or_else(is_over)?;
        let entry = self.expected(from, asked).await?.ok_or_else(is_over)?;
        let working = Working {
            volumes: entry.arrival.volumes,
            over,
            _guard: guard,
        };
        volume.map_or(Ok(()), |volume| working.check(volume))?;
        Ok(working)
    }

    fn receive(
        self: &Arc<Self>,
        receiving: Receiving,
        upid: &Upid,
        mut working: Working,
    ) -> Result<Streamed, Error> {
        working.check(&receiving.volume)?;
        let by = Attacher::Task(upid.to_string());
        let (ours, given) = UnixStream::pair().map_err(broken)?;
        let node = self.clone();
        let mut work = JoinSet::new();
        work.spawn(async move {
            tokio::select! {
                () = receive(&node, ours, &receiving, &by) => {}
                () = working.is_over() => {}
            }
        });
        Ok(Streamed {
            answer: Answer::null(),
            descriptor: given.into_std().map_err(broken)?.into(),
            held: Some(Box::new(work)),
        })
    }

    async fn finish(&self, from: &NodeName, asked: &Asked) -> Result<(), Error> {
        match self.expected(from, asked).await? {
            Some(_) => self.settle_alone(asked.vmid).await,
            None => Ok(()),
        }
    }

    async fn abort(&self, from: &NodeName, asked: &Asked) -> Result<(), Error> {
        let _deciding = self.arrivals.deciding().await;
        let Some(entry) = self.expected(from, asked).await? else {
            return Ok(());
        };
        let guest = self.records.find(asked.vmid).await?;
        if guest.is_some_and(|guest| guest.record.data.node == self.name) {
            return Err(Error::conflict(format!("guest {} is here", asked.vmid)));
        }
        self.clear_up(&entry).await
    }

    /// Does what remains for a guest that has come, or that will not come any more.
    async fn settle(&self, vmid: VmId, tasks: &Engine<Self>) -> Result<(), Error> {
        let _deciding = self.arrivals.deciding().await;
        if let Some(entry) = self.arrived_to_start(vmid).await? {
            start(tasks, &entry.arrival).await?;
            self.records.forget_arrival(&entry).await?;
        }
        self.settle_alone(vmid).await
    }

    /// The arrival of a guest that has come and is to be started.
    async fn arrived_to_start(&self, vmid: VmId) -> Result<Option<ArrivalEntry>, Error> {
        let entry = self.records.arrival(vmid).await?;
        let starts =
            |entry: &ArrivalEntry| entry.arrival.starts && entry.arrival.target == self.name;
        let Some(entry) = entry.filter(starts) else {
            return Ok(None);
        };
        let guest = self.records.find(vmid).await?;
        let is_here = guest.is_some_and(|guest| guest.record.data.node == self.name);
        Ok(is_here.then_some(entry))
    }

    /// The same for a caller that decides, or knows that the guest has come.
    async fn settle_alone(&self, vmid: VmId) -> Result<(), Error> {
        let entry = self.records.arrival(vmid).await?;
        let Some(entry) = entry.filter(|entry| entry.arrival.target == self.name) else {
            self.arrivals.forget(vmid);
            return Ok(());
        };
        let guest = self.records.find(vmid).await?;
        let guest = guest.map(|guest| guest.record.data);
        let owner = guest.as_ref().map(|guest| &guest.node);
        if owner == Some(&self.name) {
            if entry.arrival.starts {
                // It is started by who looks after the arrivals, and expected until then.
                self.arrivals.starts();
                return Ok(());
            }
            if let Some(expected) = &entry.arrival.live {
                self.take_over(vmid, expected).await?;
            }
            self.records.forget_arrival(&entry).await?;
            self.arrivals.forget(vmid);
            return Ok(());
        }
        let busy = guest.and_then(|guest| guest.busy);
        match busy.is_some_and(|busy| busy.upid == entry.arrival.upid) {
            true => Ok(()),
            false => self.clear_up(&entry).await,
        }
    }

    /// Removes what was made for a guest that does not come.
    async fn clear_up(&self, entry: &ArrivalEntry) -> Result<(), Error> {
        let Arrival { vmid, volumes, .. } = &entry.arrival;
        self.arrivals.of(*vmid).end().await;
        if let Some(expected) = &entry.arrival.live {
            self.dismiss(*vmid, expected).await?;
        }
        let by = Attacher::Task(entry.arrival.upid.to_string());
        for volume in volumes {
            self.detach(volume, &by).await?;
            let storage = self.storage(volume.storage()).await?;
            storage.free(volume.name()).await?;
        }
        self.records.forget_arrival(entry).await?;
        self.arrivals.forget(*vmid);
        Ok(())
    }
}

/// Submits the start of a guest that has come, once.
async fn start(tasks: &Engine<NodeContext>, arrival: &Arrival) -> Result<(), Error> {
    let upid = &arrival.upid;
    let submission = Submission {
        request_id: format!("arrived by {upid}"),
        user: upid.user.clone(),
        id: upid.id.clone(),
        listed: true,
    };
    let task = LxcStart::new(arrival.vmid, false, false);
    tasks.submit(submission, task).await.map(drop)
}

/// What a volume is called on another storage if it keeps its name.
fn own_name(storage: &dyn Storage, vmid: VmId, wanted: &Wanted) -> String {
    let name = wanted.from.name();
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let formats = [BlockFormat::Raw, BlockFormat::Qcow2, BlockFormat::Vmdk];
    let ending = file.rsplit_once('.').filter(|(_, ending)| {
        let mut formats = formats.iter();
        formats.any(|format| format.as_str() == *ending)
    });
    let stem = ending.map_or(file, |(stem, _)| stem);
    let file_name = match storage.files() {
        Some(_) => format!("{stem}.{}", wanted.format.as_str()),
        None => stem.to_owned(),
    };
    let kind = storage.config().spec.kind();
    kind.image_named(vmid, &file_name)
}
