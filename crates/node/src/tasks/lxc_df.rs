//! Says how full the file systems of a container are, in the task's log. Those of a container that does
//! not run are mounted for that moment, where no other sees them.

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::lxc::{MountPoint, MountSlot, MountSource};
use model::{ByteSize, Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use sys::SpaceUsage;
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::lxc_upkeep::{check_upkeep, config_of, let_go, own_mounts};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcDf {
    pub vmid: VmId,
}

impl Task for LxcDf {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_df";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzdf";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Measure],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcDf {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_upkeep(guest)
    }
}

type Cx = TaskContext<NodeContext>;

struct Measure;

#[async_trait]
impl Step<LxcDf> for Measure {
    fn name(&self) -> &'static str {
        "measure"
    }

    /// What the undo reads too: it cannot end where that fails.
    async fn plan(&self, cx: &Cx, task: &mut LxcDf) -> Result<(), Error> {
        config_of(cx, task.vmid).await.map(drop)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcDf) -> Result<(), Error> {
        let config = config_of(cx, task.vmid).await?;
        let rows = rows(cx, task.vmid, &config).await;
        let_go(cx, task.vmid, &config).await?;
        for line in table(rows?) {
            cx.log(&line).await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcDf) -> Result<(), Error> {
        let_go(cx, task.vmid, &config_of(cx, task.vmid).await?).await
    }
}

const COLUMNS: [&str; 7] = ["MP", "Volume", "Size", "Used", "Avail", "Use%", "Path"];

type Line = [String; COLUMNS.len()];

async fn rows(cx: &Cx, vmid: VmId, config: &CtConfig) -> Result<Vec<Line>, Error> {
    let mut rows = Vec::new();
    for (slot, point, mount) in own_mounts(cx, vmid, config).await? {
        let space = cx.node.host.mount_space(&mount).await?;
        rows.push(row(slot, &point, space));
    }
    for (slot, point) in &config.mounts {
        if let MountSource::Bind(path) = point.source() {
            let space = cx.node.host.space(path.as_ref()).await?;
            rows.push(row(*slot, point, space));
        }
    }
    Ok(rows)
}

fn row(slot: MountSlot, point: &MountPoint, space: SpaceUsage) -> Line {
    let size = |bytes| human(ByteSize(bytes));
    let percent = space.used as f64 * 100.0 / (space.used + space.available).max(1) as f64;
    let volume = match point.source() {
        MountSource::Volume(volume) => volume.to_string(),
        MountSource::Bind(path) | MountSource::Device(path) => path,
        MountSource::New { .. } => String::new(),
    };
    [
        slot.to_string(),
        volume,
        size(space.total),
        size(space.used),
        size(space.available),
        format!("{percent:.1}"),
        point.path().to_owned(),
    ]
}

fn human(size: ByteSize) -> String {
    let units = ["B", "K", "M", "G", "T", "P"];
    let mut value = size.bytes() as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", units[unit])
}

fn table(mut rows: Vec<Line>) -> Vec<String> {
    rows.insert(0, COLUMNS.map(str::to_owned));
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.len().max(*width);
        }
    }
    let line = |row: &Line| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (text, width))| match column {
            2..=5 => format!("{text:>width$}"),
            _ => format!("{text:<width$}"),
        });
        let text = cells.collect::<Vec<_>>().join(" ");
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_a_table() {
        let slot: MountSlot = "mp0".parse().unwrap();
        let point = MountPoint::parse(slot, "local:100/vm-100-disk-1.raw,mp=/data").unwrap();
        let space = SpaceUsage {
            total: 4 << 30,
            used: 1 << 30,
            available: 3 << 30,
        };
        let lines = table(vec![row(slot, &point, space)]);
        let expected = [
            "MP  Volume                      Size Used Avail Use% Path",
            "mp0 local:100/vm-100-disk-1.raw 4.0G 1.0G  3.0G 25.0 /data",
        ];
        assert_eq!(lines, expected);
    }
}
