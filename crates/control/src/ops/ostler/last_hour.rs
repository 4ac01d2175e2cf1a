//! `GET /ostler/last-hour`

use std::collections::BTreeSet;

use history::{Consolidation, Kind, Object, Point, Timeframe};
use model::{Error, GuestRecord, Privilege, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Op;

/// One request is about what a screen shows.
const GUESTS: usize = 100;

#[derive(Deserialize)]
struct LastHour {
    vms: String,
}

/// Rows of guests that the caller may see; each node has those of its own.
pub(super) async fn last_hour(op: Op) -> Result<Answer, Error> {
    let LastHour { vms } = op.params()?;
    let wanted = vmids(&vms)?;
    let mut rows = op.others.clone();
    for vmid in wanted {
        if !op.has(&format!("/vms/{vmid}"), Privilege::VmAudit).await? {
            continue;
        }
        if let Ok(guest) = op.records.guest(vmid).await {
            rows.push(row(&op, &guest.record.data).await?);
        }
    }
    Ok(Answer::new(rows))
}

fn vmids(list: &str) -> Result<BTreeSet<VmId>, Error> {
    let items = list.split([',', ';', ' ', '\0']);
    let items = items.filter(|item| !item.is_empty());
    let vmids: Result<BTreeSet<VmId>, _> = items.map(str::parse).collect();
    let vmids = vmids.map_err(|_| Error::invalid("vms", "not a list of numbers of guests"))?;
    if vmids.len() > GUESTS {
        let text = format!("at most {GUESTS} guests, not {}", vmids.len());
        return Err(Error::invalid("vms", text));
    }
    Ok(vmids)
}

async fn row(op: &Op, guest: &GuestRecord) -> Result<Value, Error> {
    let (files, now) = (&op.context.node.history.files, op.context.clock.wall());
    let object = Object::Guest(guest.vmid);
    let points = files
        .points(&object, Timeframe::Hour, Consolidation::Average, now)
        .await?;
    Ok(json!({
        "node": op.context.node.name,
        "vmid": guest.vmid,
        "end": points.last().map_or(now, |point| point.time),
        "cpu": parts(&points),
    }))
}

/// Part of the processors in use, in thousandths; null where it is not known.
fn parts(points: &[Point]) -> Vec<Option<u32>> {
    let column = Kind::Guest.column("cpu").expect("guests have it");
    let part = |point: &Point| {
        let value = point.values[column];
        value.is_finite().then(|| (value * 1000.0).round() as u32)
    };
    points.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vms_are_numbers_and_not_too_many() {
        let ids = |text: &str| vmids(text).map(|ids| ids.len());
        assert_eq!(ids("100,101 102;100").unwrap(), 3);
        let many: Vec<String> = (100..201).map(|vmid| vmid.to_string()).collect();
        for wrong in ["web", "100,99", &many.join(",")] {
            assert!(
                ids(wrong).unwrap_err().fields.contains_key("vms"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_a_gap() {
        let column = Kind::Guest.column("cpu").unwrap();
        let point = |cpu: f32| {
            let mut values = vec![0.0; Kind::Guest.columns().len()];
            values[column] = cpu;
            Point { time: 60, values }
        };
        let points = [point(0.1234), point(f32::NAN), point(1.0)];
        assert_eq!(parts(&points), [Some(123), None, Some(1000)]);
    }
}
