//! Volume groups and thin pools of LVM.

use model::Error;
use serde::Deserialize;
use storage::LvmPrograms;
use sys::SharedHost;

/// A volume group. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub name: String,
    pub size: u64,
    pub free: u64,
    /// Logical volumes in it.
    pub volumes: u64,
    pub disks: Vec<Disk>,
}

/// A physical volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    pub path: String,
    pub size: u64,
    pub free: u64,
}

/// A pool for thin volumes. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ThinPool {
    pub group: String,
    pub name: String,
    pub size: u64,
    pub used: u64,
    pub metadata_size: u64,
    pub metadata_used: u64,
}

#[derive(Deserialize)]
struct GroupRow {
    vg_name: String,
    vg_size: String,
    vg_free: String,
    lv_count: String,
}

#[derive(Deserialize)]
struct DiskRow {
    vg_name: String,
    pv_name: String,
    pv_size: String,
    pv_free: String,
}

#[derive(Deserialize)]
struct PoolRow {
    vg_name: String,
    lv_name: String,
    lv_size: String,
    lv_attr: String,
    data_percent: String,
    lv_metadata_size: String,
    metadata_percent: String,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// All volume groups, by name.
pub async fn groups(host: &SharedHost) -> Result<Vec<Group>, Error> {
    let programs = LvmPrograms::new(host.clone());
    let rows: Vec<GroupRow> = programs
        .list("vgs", "vg_name,vg_size,vg_free,lv_count", &[])
        .await?;
    let disks: Vec<DiskRow> = programs
        .list("pvs", "vg_name,pv_name,pv_size,pv_free", &[])
        .await?;
    let mut groups: Vec<Group> = rows.into_iter().map(|row| group(row, &disks)).collect();
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(groups)
}

fn group(row: GroupRow, disks: &[DiskRow]) -> Group {
    let own = disks.iter().filter(|disk| disk.vg_name == row.vg_name);
    let own = own.map(|disk| Disk {
        path: disk.pv_name.clone(),
        size: number(&disk.pv_size),
        free: number(&disk.pv_free),
    });
    Group {
        size: number(&row.vg_size),
        free: number(&row.vg_free),
        volumes: number(&row.lv_count),
        disks: own.collect(),
        name: row.vg_name,
    }
}

/// The thin pools of one group, or of all.
pub async fn thin_pools(host: &SharedHost, group: Option<&str>) -> Result<Vec<ThinPool>, Error> {
    let columns = "vg_name,lv_name,lv_size,lv_attr,data_percent,lv_metadata_size,metadata_percent";
    let programs = LvmPrograms::new(host.clone());
    let of: Vec<&str> = group.into_iter().collect();
    let rows: Vec<PoolRow> = programs.list("lvs", columns, &of).await?;
    let pools = rows.into_iter().filter(|row| row.lv_attr.starts_with('t'));
    Ok(pools.map(thin_pool).collect())
}

fn thin_pool(row: PoolRow) -> ThinPool {
    let part = |size: u64, percent: &str| {
        let percent: f64 = percent.parse().unwrap_or_default();
        (size as f64 * percent / 100.0) as u64
    };
    let (size, metadata_size) = (number(&row.lv_size), number(&row.lv_metadata_size));
    ThinPool {
        used: part(size, &row.data_percent),
        metadata_used: part(metadata_size, &row.metadata_percent),
        size,
        metadata_size,
        group: row.vg_name,
        name: row.lv_name,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sys::Output;
    use testkit::{FakeHost, Faults};

    use super::*;

    fn lvm(_: &mut testkit::Disk, command: &sys::Command) -> Output {
        let columns = command.args.join(" ");
        let printed = match command.program.as_str() {
            "vgs" => {
                r#"{"report":[{"vg":[{"vg_name":"pve","vg_size":"1000","vg_free":"10","lv_count":"2"}]}]}"#
            }
            "pvs" => {
                r#"{"report":[{"pv":[
                    {"vg_name":"pve","pv_name":"/dev/sda3","pv_size":"1000","pv_free":"10"},
                    {"vg_name":"","pv_name":"/dev/sdb","pv_size":"500","pv_free":"500"}]}]}"#
            }
            _ => {
                r#"{"report":[{"lv":[
                    {"vg_name":"pve","lv_name":"root","lv_size":"500","lv_attr":"-wi-ao----",
                     "data_percent":"","lv_metadata_size":"","metadata_percent":""},
                    {"vg_name":"pve","lv_name":"data","lv_size":"400","lv_attr":"twi-aotz--",
                     "data_percent":"25.00","lv_metadata_size":"40","metadata_percent":"10.00"}]}]}"#
            }
        };
        assert!(columns.contains("global_filter"), "{columns}");
        Output {
            code: Some(0),
            stdout: printed.into(),
            stderr: Vec::new(),
        }
    }

    #[tokio::test]
    async fn groups_have_disks_and_thin_pools() {
        let mut host =
            FakeHost::new(Faults::default()).program("lvmconfig", |_, _| Output::default());
        for program in ["vgs", "pvs", "lvs"] {
            host = host.program(program, lvm);
        }
        let host: SharedHost = Arc::new(host);
        let found = groups(&host).await.unwrap();
        let [group] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((group.size, group.free, group.volumes), (1000, 10, 2));
        assert_eq!(group.disks.len(), 1);
        let pools = thin_pools(&host, Some("pve")).await.unwrap();
        let [pool] = &pools[..] else {
            panic!("{pools:?}")
        };
        assert_eq!((pool.used, pool.metadata_used), (100, 4));
    }
}
