//! The storage of a disk: added when the disk is set up, if the caller wants one, and taken out with it.

use async_trait::async_trait;
use model::{Error, NodeName, Record, StorageId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, StorageConfig, StorageSpec};
use store::{Commit, Precondition, Read, Revision, StoreError};
use tasks::{Probe, Step, Task, TaskContext};

use crate::records::unreadable;
use crate::{NodeContext, storage_key};

/// A storage that a task adds, or adds this node to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DiskStorage {
    config: StorageConfig,
    /// The same storage of other nodes.
    before: Option<StorageConfig>,
}

/// A task at whose end there may be a storage.
pub(super) trait AddsStorage: Task<Node = NodeContext> {
    fn storage(&self) -> Option<&DiskStorage>;
}

type Entry = Option<(StorageConfig, Revision)>;

/// A storage's record, with the commit that last wrote it.
pub(super) async fn read(node: &NodeContext, id: &StorageId) -> Result<Entry, Error> {
    let (entry, _) = node
        .records
        .store()
        .get(&storage_key(id), Read::Linear)
        .await?;
    let Some(entry) = entry else {
        return Ok(None);
    };
    let record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
    Ok(Some((record.data, entry.modified)))
}

impl DiskStorage {
    /// Refuses an id that is taken. Where other nodes have just such a storage, this one joins them.
    pub(super) async fn plan(
        node: &NodeContext,
        id: &StorageId,
        spec: StorageSpec,
        content: Vec<ContentType>,
    ) -> Result<Self, Error> {
        let before = read(node, id).await?.map(|(config, _)| config);
        let mut config = StorageConfig::new(id.clone(), spec, content);
        config.common.nodes = Some(vec![node.name.clone()]);
        if let Some(before) = &before {
            let nodes = before.common.nodes.as_ref();
            let others = nodes.filter(|nodes| !nodes.contains(&node.name));
            let Some(others) = others.filter(|_| before.spec == config.spec) else {
                return Err(Error::conflict(format!(
                    "storage ID '{id}' already defined"
                )));
            };
            config = before.clone();
            let mut nodes = others.clone();
            nodes.push(node.name.clone());
            config.common.nodes = Some(nodes);
        }
        Ok(Self { config, before })
    }

    async fn is_there(&self, node: &NodeContext) -> Result<bool, Error> {
        let now = read(node, self.config.id()).await?;
        Ok(now.is_some_and(|(config, _)| config == self.config))
    }

    async fn add(&self, node: &NodeContext) -> Result<Revision, Error> {
        let id = self.config.id();
        node.drivers
            .open(self.config.clone(), None)
            .activate()
            .await?;
        let key = storage_key(id);
        let now = read(node, id).await?;
        let taken = || Error::conflict(format!("storage ID '{id}' already defined"));
        let condition = match now {
            None => Precondition::Absent(key.clone()),
            Some((config, at)) if Some(&config) == self.before.as_ref() => {
                Precondition::ModifiedAt(key.clone(), at)
            }
            Some(_) => return Err(taken()),
        };
        let record = Record::new(self.config.clone())
            .encode()
            .map_err(unreadable)?;
        let commit = Commit::new().when(condition).put(key, record);
        match node.records.store().commit(commit).await {
            Err(StoreError::Conflict { .. }) => Err(taken()),
            result => Ok(result?),
        }
    }

    /// Nothing where the storage is not as it was added.
    async fn take_back(&self, node: &NodeContext) -> Result<(), Error> {
        if self.is_there(node).await? {
            take_out(node, self.config.id(), &[]).await?;
        }
        Ok(())
    }
}

/// Takes this node out of a storage, or removes the storage if only this node has it. `members` are
/// all nodes, of which a storage without a list of nodes keeps the others.
pub(super) async fn take_out(
    node: &NodeContext,
    id: &StorageId,
    members: &[NodeName],
) -> Result<(), Error> {
    let key = storage_key(id);
    loop {
        let Some((mut config, at)) = read(node, id).await? else {
            return Ok(());
        };
        let nodes = config.common.nodes.take();
        let mut nodes = nodes.unwrap_or_else(|| members.to_vec());
        nodes.retain(|other| *other != node.name);
        let condition = Precondition::ModifiedAt(key.clone(), at);
        let commit = Commit::new().when(condition);
        let commit = if nodes.is_empty() {
            commit.delete(key.clone())
        } else {
            config.common.nodes = Some(nodes);
            let record = Record::new(config).encode().map_err(unreadable)?;
            commit.put(key.clone(), record)
        };
        match node.records.store().commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// The last step before the point of no return: from here on the disk is what it was made for.
pub(super) struct AddStorage;

#[async_trait]
impl<T: AddsStorage> Step<T> for AddStorage {
    fn name(&self) -> &'static str {
        "add-storage"
    }

    async fn probe(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<Probe, Error> {
        let Some(storage) = task.storage() else {
            return Ok(Probe::Done);
        };
        Ok(match storage.is_there(&cx.node).await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        if let Some(storage) = task.storage() {
            let revision = storage.add(&cx.node).await?;
            cx.committed(revision.0);
            cx.log(&format!("added storage '{}'", storage.config.id()))
                .await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &T) -> Result<(), Error> {
        match task.storage() {
            Some(storage) => storage.take_back(&cx.node).await,
            None => Ok(()),
        }
    }
}
