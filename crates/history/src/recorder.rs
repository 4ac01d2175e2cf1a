//! Takes samples, writes minutes, answers questions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Error, ErrorKind, StorageId, UnixTime, VmId};
use sys::SharedHost;
use tracing::warn;

use crate::archive::{Archive, minute_of};
use crate::layout::{self, FIRST_EPOCH, Origin};
use crate::minute::Minute;
use crate::ring::{Opened, Ring};
use crate::row::{Point, Row};
use crate::{Consolidation, Kind, Timeframe};

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// The node itself.
    Node,
    Guest(VmId),
    /// A storage as this node sees it.
    Storage(StorageId),
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node => Kind::Node,
            Self::Guest(_) => Kind::Guest,
            Self::Storage(_) => Kind::Storage,
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Node => folder.join("node"),
            Self::Guest(vmid) => folder.join("guest").join(vmid.to_string()),
            Self::Storage(id) => folder.join("storage").join(id.as_str()),
        }
    }

    /// Where its file is kept if it is damaged.
    fn aside(&self, folder: &Path) -> PathBuf {
        let name = match self {
            Self::Node => "node".to_owned(),
            Self::Guest(vmid) => format!("guest-{vmid}"),
            Self::Storage(id) => format!("storage-{id}"),
        };
        folder.join("damaged").join(name)
    }
}

/// What an object uses at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub object: Object,
    pub origin: Origin,
    /// One a column, in the order of `Kind::columns`; NaN where unknown.
    pub values: Vec<f32>,
}

/// What became of samples.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Guests that have changed their owner since their history was brought together.
    pub moved: Vec<VmId>,
}

/// A minute that has ended.
struct Ended {
    object: Object,
    origin: Origin,
    row: Row,
    /// See `Current`.
    written: Option<u32>,
}

/// An object whose samples are taken.
struct Current {
    origin: Origin,
    minute: Option<Minute>,
    /// The last minute that was written; none: the file is not known yet.
    written: Option<u32>,
}

/// The history of a node and of what is on it. Only one of a folder is open at a time.
pub struct History {
    host: SharedHost,
    folder: PathBuf,
    current: Mutex<BTreeMap<Object, Current>>,
    /// Held by what writes files.
    writing: tokio::sync::Mutex<()>,
}

impl History {
    /// Everything is below `folder`, which is made when it is needed.
    pub fn new(host: SharedHost, folder: PathBuf) -> Self {
        Self {
            host,
            folder,
            current: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Takes the samples of one moment, and writes the minutes that have ended before it. A minute
    /// that cannot be written is lost; the error is the first one.
    pub async fn record(&self, at: UnixTime, samples: Vec<Sample>) -> Result<Recorded, Error> {
        let ended = self.take(minute_of(at), samples);
        let mut recorded = Recorded::default();
        if ended.is_empty() {
            return Ok(recorded);
        }
        let _writing = self.writing.lock().await;
        let mut failed = None;
        for ended in ended {
            match self.write(&ended).await {
                Ok(true) => {}
                Ok(false) => recorded.moved.extend(match ended.object {
                    Object::Guest(vmid) => Some(vmid),
                    Object::Node | Object::Storage(_) => None,
                }),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(recorded), Err)
    }

    /// Adds samples to their minutes; gives those that have ended.
    fn take(&self, slot: u32, samples: Vec<Sample>) -> Vec<Ended> {
        let mut current = self.current();
        let is_over = |minute: &mut Minute| minute.slot != slot;
        let mut ended = Vec::new();
        // What had no sample for a whole minute is not here any more.
        current.retain(|_, known| known.minute.is_some());
        for (object, known) in current.iter_mut() {
            if let Some(minute) = known.minute.take_if(is_over) {
                ended.push(Ended {
                    object: object.clone(),
                    origin: known.origin,
                    row: minute.row(),
                    written: known.written,
                });
            }
        }
        for sample in samples {
            let columns = sample.object.kind().columns().len();
            let origin = sample.origin;
            let new = || Current {
                origin,
                minute: None,
                written: None,
            };
            let known = current.entry(sample.object).or_insert_with(new);
            if known.origin.created != origin.created {
                *known = new();
            }
            known.origin = origin;
            let minute = known
                .minute
                .get_or_insert_with(|| Minute::new(slot, columns));
            minute.add(&sample.values);
        }
        ended
    }

    /// Writes a minute. False if the guest's history is not brought together yet.
    async fn write(&self, ended: &Ended) -> Result<bool, Error> {
        let Ended {
            object,
            origin,
            row,
            written,
        } = ended;
        if !self.current().contains_key(object) {
            // It was forgotten meanwhile.
            return Ok(true);
        }
        let ring = self.ring(object, *origin).await?;
        let before = match written {
            Some(before) => Some(*before),
            None => ring.minute_before(row.slot).await?,
        };
        ring.add(row, before).await?;
        if let Some(known) = self.current().get_mut(object)
            && known.origin.created == origin.created
        {
            known.written = Some(row.slot);
        }
        Ok(ring.origin.epoch >= origin.epoch)
    }

    /// An object's file, open for writing. What is not its history makes room for a new one.
    async fn ring(&self, object: &Object, origin: Origin) -> Result<Ring, Error> {
        let (path, kind) = (object.file(&self.folder), object.kind());
        match Ring::open(&self.host, &path, kind, true).await? {
            Opened::Ring(ring) if ring.origin.created == origin.created => return Ok(ring),
            Opened::Ring(_) | Opened::Missing => {}
            Opened::Damaged(why) => self.set_aside(object, &why).await?,
        }
        let folder = path.parent().unwrap_or(&self.folder);
        self.host.create_dir(folder, 0o700).await?;
        // A guest that has never moved has its history nowhere else.
        let epoch = u64::from(origin.epoch == FIRST_EPOCH);
        Ring::create(&self.host, &path, kind, Origin { epoch, ..origin }).await?;
        match Ring::open(&self.host, &path, kind, true).await? {
            Opened::Ring(ring) => Ok(ring),
            Opened::Missing | Opened::Damaged(_) => {
                let text = format!("'{}' is not what was just written", path.display());
                Err(Error::unavailable(text))
            }
        }
    }

    async fn set_aside(&self, object: &Object, why: &str) -> Result<(), Error> {
        let (path, aside) = (object.file(&self.folder), object.aside(&self.folder));
        warn!(file = %path.display(), kept_as = %aside.display(), why, "a history is damaged");
        if let Some(folder) = aside.parent() {
            self.host.create_dir(folder, 0o700).await?;
        }
        self.host.remove_tree(&aside).await?;
        self.host.rename(&path, &aside).await?;
        Ok(())
    }

    /// What is known of an object, oldest first: a point for each row of the timeframe, except for
    /// the last one if nothing is known of it yet.
    pub async fn points(
        &self,
        object: &Object,
        timeframe: Timeframe,
        of: Consolidation,
        now: UnixTime,
    ) -> Result<Vec<Point>, Error> {
        let kind = object.kind();
        let (index, count) = timeframe.rows();
        let archive = Archive::all(kind)
            .get(index)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "this is not kept for so long"))?;
        let last = u32::try_from(now.div_euclid(archive.step_s)).unwrap_or(0);
        let first = (last + 1).saturating_sub(count).max(1);
        let rows = self.rows(object, index, first, last + 1 - first).await?;
        let mut rows = rows.into_iter().peekable();
        let mut points: Vec<Point> = (first..=last)
            .map(|slot| {
                let row = rows.next_if(|row| row.slot == slot);
                let values = row.map(|row| match of {
                    Consolidation::Average => row.mean,
                    Consolidation::Max => row.max,
                });
                Point {
                    time: i64::from(slot) * archive.step_s,
                    values: values.unwrap_or_else(|| vec![f32::NAN; kind.columns().len()]),
                }
            })
            .collect();
        points.pop_if(|last| last.is_unknown());
        Ok(points)
    }

    async fn rows(
        &self,
        object: &Object,
        index: usize,
        first: u32,
        count: u32,
    ) -> Result<Vec<Row>, Error> {
        let path = object.file(&self.folder);
        match Ring::open(&self.host, &path, object.kind(), false).await? {
            Opened::Ring(ring) => ring.rows(index, first, count).await,
            Opened::Missing => Ok(Vec::new()),
            Opened::Damaged(why) => {
                let _writing = self.writing.lock().await;
                self.set_aside(object, &why).await?;
                Ok(Vec::new())
            }
        }
    }

    /// Removes the history of what does not exist any more.
    pub async fn forget(&self, object: &Object) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        self.current().remove(object);
        self.host.remove(&object.file(&self.folder)).await?;
        Ok(())
    }

    /// The guests that have a file.
    pub async fn guests(&self) -> Result<Vec<VmId>, Error> {
        let entries = self.host.list(&self.folder.join("guest")).await?;
        let numbers = entries.iter().filter_map(|entry| entry.name.parse().ok());
        Ok(numbers.collect())
    }

    /// The file of a guest that is created then, for its new owner; none if there is none.
    pub async fn export(&self, vmid: VmId, created: UnixTime) -> Result<Option<Vec<u8>>, Error> {
        let file = match self
            .host
            .read(&Object::Guest(vmid).file(&self.folder))
            .await
        {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_its = layout::origin(Kind::Guest, &file).is_ok_and(|found| found.created == created);
        Ok(is_its.then_some(file))
    }

    /// Adds what another node has kept of a guest.
    pub async fn import(&self, vmid: VmId, created: UnixTime, file: &[u8]) -> Result<(), Error> {
        let found = layout::origin(Kind::Guest, file).map_err(Error::unavailable)?;
        if found.created != created || file.len() as u64 > layout::file_bytes(Kind::Guest) {
            return Err(Error::unavailable("it is the history of something else"));
        }
        let object = Object::Guest(vmid);
        let _writing = self.writing.lock().await;
        // It exists afterwards, and is this guest's.
        self.ring(&object, found).await?;
        let path = object.file(&self.folder);
        let mut own = self.host.read(&path).await?;
        layout::merge(Kind::Guest, &mut own, file);
        self.host.write(&path, &own, 0o600).await?;
        if let Some(known) = self.current().get_mut(&object) {
            known.written = None;
        }
        Ok(())
    }

    /// Notes that a guest's history is brought together, as of this epoch.
    pub async fn settle(&self, vmid: VmId, origin: Origin) -> Result<(), Error> {
        let object = Object::Guest(vmid);
        let _writing = self.writing.lock().await;
        self.ring(&object, origin).await?.write_origin(origin).await
    }

    fn current(&self) -> MutexGuard<'_, BTreeMap<Object, Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
