//! Properties of datasets by the tiers of their guests.
//!
//! What a tier has set is noted in a property of the dataset itself, `ostler:tier`, by the same program:
//! `gold:compression=zstd,sync=always`. A value that is not noted there was set by hand, and stays.
//!
//! ZFS sets each property by itself: where it refuses one, it may have set the others, and the note. So
//! the dataset is read again after a failure, and the note says what holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use model::{ByteSize, UnixTime, VmId};

use super::ZfsPool;
use super::names::{is_disk, parse_name};
use super::tools::Dataset;
use crate::{Difference, StorageError, Tier, Tiered, TieredVolume, Tiers, Verdict, VolumeInfo};

/// The property that says what a tier has set.
const NOTE: &str = "ostler:tier";

/// How a new dataset comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    Volume,
    Tree,
    /// A linked clone of either: it has the blocks of its base, so neither the size of blocks nor the
    /// whole size is chosen for it.
    VolumeClone,
    TreeClone,
}

impl Making {
    fn is_volume(self) -> bool {
        matches!(self, Self::Volume | Self::VolumeClone)
    }

    fn is_clone(self) -> bool {
        matches!(self, Self::VolumeClone | Self::TreeClone)
    }
}

struct Known {
    name: &'static str,
    of_volumes: bool,
    of_trees: bool,
    /// In bytes, with `none` for 0.
    is_size: bool,
}

const fn of_both(name: &'static str) -> Known {
    Known {
        name,
        of_volumes: true,
        of_trees: true,
        is_size: false,
    }
}

const fn of_trees(name: &'static str) -> Known {
    Known {
        of_volumes: false,
        ..of_both(name)
    }
}

const BLOCK_SIZE: &str = "volblocksize";
const SET_ASIDE: &str = "refreservation";
const RESERVED: &str = "reservation";

const PROPERTIES: &[Known] = &[
    of_trees("atime"),
    of_both("compression"),
    of_both("copies"),
    of_both("logbias"),
    of_both("primarycache"),
    Known {
        is_size: true,
        ..of_trees("recordsize")
    },
    of_both("redundant_metadata"),
    Known {
        of_trees: false,
        ..of_both(SET_ASIDE)
    },
    Known {
        is_size: true,
        ..of_both(RESERVED)
    },
    of_both("secondarycache"),
    of_both("sync"),
    Known {
        of_trees: false,
        is_size: true,
        ..of_both(BLOCK_SIZE)
    },
];

impl Known {
    fn is_of(&self, is_volume: bool) -> bool {
        match is_volume {
            true => self.of_volumes,
            false => self.of_trees,
        }
    }

    fn same(&self, one: &str, other: &str) -> bool {
        match self.is_size {
            true => bytes(one) == bytes(other),
            false => one == other,
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    match text {
        "none" => Some(0),
        text => text.parse::<ByteSize>().ok().map(ByteSize::bytes),
    }
}

/// A value and whether it was set on the dataset itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    is_own: bool,
}

/// What ZFS says of one dataset.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    values: BTreeMap<String, Value>,
    is_volume: bool,
    /// No medium of cloud-init, and no saved memory.
    is_disk: bool,
    /// Of a volume its size, of a file system its quota; 0 for none.
    size: u64,
    /// The snapshot that it is a clone of, in full.
    origin: Option<String>,
    /// The tier that was last settled, and what it has set.
    noted: Option<String>,
    note: BTreeMap<String, String>,
}

/// Reads `zfs get -H -p -o name,property,value,source`.
fn parse(printed: &str) -> BTreeMap<String, Found> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for line in printed.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (name, property, text, source) = (next(), next(), next(), next());
        let found = all.entry(name.to_owned()).or_default();
        found.is_disk = name.rsplit('/').next().is_some_and(is_disk);
        let is_own = matches!(source, "local" | "received");
        match property {
            NOTE if is_own => {
                (found.noted, found.note) = read_note(text);
            }
            "type" => found.is_volume = text == "volume",
            "volsize" | "refquota" if text != "-" => {
                found.size = text.parse().unwrap_or_default();
            }
            "origin" if text != "-" => found.origin = Some(text.to_owned()),
            _ if text != "-" => {
                let text = text.to_owned();
                found
                    .values
                    .insert(property.to_owned(), Value { text, is_own });
            }
            _ => {}
        }
    }
    all
}

fn read_note(text: &str) -> (Option<String>, BTreeMap<String, String>) {
    let (tier, set) = text.split_once(':').unwrap_or((text, ""));
    let pairs = set.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (Some(tier.to_owned()), pairs.collect())
}

/// What a dataset's note says.
fn note(tier: &str, set: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = set.iter().map(|(name, value)| pair(name, value)).collect();
    format!("{NOTE}={tier}:{}", pairs.join(","))
}

/// The room that is set aside for a dataset: for disks alone, and no more than they can hold.
fn reserved(wanted: &str, is_disk: bool, size: u64) -> Option<String> {
    let is_more = size > 0 && bytes(wanted).is_some_and(|wanted| wanted > size);
    is_disk.then(|| match is_more {
        true => size.to_string(),
        false => wanted.to_owned(),
    })
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

impl Found {
    /// Whether a value is what the tier has set, or what a volume begins with: a reservation that was
    /// taken back is shown as one of none that was set.
    fn is_ours(&self, known: &Known, value: &Value) -> bool {
        let noted = self.note.get(known.name);
        if !value.is_own || noted.is_some_and(|noted| self.is_as(known, value, noted)) {
            return true;
        }
        noted.is_none()
            && match known.name {
                SET_ASIDE => ["auto", "none"]
                    .iter()
                    .any(|made| self.is_as(known, value, made)),
                RESERVED => bytes(&value.text) == Some(0),
                _ => false,
            }
    }

    /// Whether a value is what was asked for: `auto` is the size of the volume, or a bit more.
    fn is_as(&self, known: &Known, value: &Value, wanted: &str) -> bool {
        match (known.name, wanted) {
            (SET_ASIDE, "auto") => bytes(&value.text).unwrap_or_default() >= self.size,
            (SET_ASIDE, "none") => bytes(&value.text) == Some(0),
            _ => known.same(&value.text, wanted),
        }
    }

    /// What a tier wants of it.
    fn wanted(&self, known: &Known, tier: Option<&Tier>) -> Option<String> {
        let wanted = tier?.properties.get(known.name)?;
        match known.name {
            RESERVED => reserved(wanted, self.is_disk, self.size),
            _ => Some(wanted.clone()),
        }
    }

    /// Whether a property was set, and is as the note says.
    fn stands(&self, name: &str, noted: &str) -> bool {
        let known = PROPERTIES.iter().find(|known| known.name == name);
        let both = known.zip(self.values.get(name));
        both.is_some_and(|(known, value)| value.is_own && self.is_as(known, value, noted))
    }

    /// Of what was to be noted, or was noted before, what holds.
    fn holds(
        &self,
        next: &BTreeMap<String, String>,
        before: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut set = BTreeMap::new();
        for (name, value) in before.iter().chain(next) {
            if next.contains_key(name) && self.stands(name, value) {
                set.insert(name.clone(), value.clone());
            }
        }
        set
    }

    /// How one property differs from what a tier wants.
    fn difference(&self, known: &Known, wanted: Option<String>) -> Option<Difference> {
        let value = self.values.get(known.name)?;
        let verdict = match &wanted {
            Some(wanted) if self.is_as(known, value, wanted) => return None,
            Some(_) if known.name == BLOCK_SIZE => Verdict::OnlyNew,
            Some(_) if !self.is_ours(known, value) => Verdict::Kept,
            Some(_) => Verdict::Set,
            // What was set aside for a volume stays so.
            None if matches!(known.name, BLOCK_SIZE | SET_ASIDE) => return None,
            None => {
                let noted = self.note.get(known.name)?;
                if !value.is_own || !self.is_as(known, value, noted) {
                    return None;
                }
                Verdict::Inherit
            }
        };
        Some(Difference {
            property: known.name.to_owned(),
            from: value.text.clone(),
            to: wanted,
            verdict,
        })
    }

    fn differences(&self, tier: Option<&Tier>) -> Vec<Difference> {
        let known = PROPERTIES
            .iter()
            .filter(|known| known.is_of(self.is_volume));
        known
            .filter_map(|known| self.difference(known, self.wanted(known, tier)))
            .collect()
    }

    /// What the note is to say once these differences are settled.
    fn next_note(
        &self,
        tier: Option<&Tier>,
        differences: &[Difference],
    ) -> BTreeMap<String, String> {
        let mut set = self.note.clone();
        set.retain(|name, noted| {
            let mut known = PROPERTIES.iter();
            let known = known.find(|known| known.name == name);
            let is_wanted = known.is_some_and(|known| self.wanted(known, tier).is_some());
            is_wanted && self.stands(name, noted)
        });
        for difference in differences {
            if let (Verdict::Set, Some(to)) = (difference.verdict, &difference.to) {
                set.insert(difference.property.clone(), to.clone());
            }
        }
        set
    }

    /// As `zfs list` would say it, without what it takes.
    fn dataset(&self, name: String) -> Dataset {
        Dataset {
            name,
            is_volume: self.is_volume,
            size: self.size,
            used: 0,
            origin: self.origin.clone(),
            created: UnixTime::default(),
        }
    }
}

/// What a new dataset gets by the tier of its guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OfNew {
    /// For `zfs create` or `zfs clone`.
    pub(super) options: Vec<String>,
    /// Only of a volume; none where the tier does not say.
    pub(super) is_sparse: Option<bool>,
    pub(super) blocksize: Option<String>,
}

fn of_new(tier: &Tier, making: Making, dataset: &str, size: u64) -> OfNew {
    let mut set = BTreeMap::new();
    let mut new = OfNew::default();
    let is_volume = making.is_volume();
    for known in PROPERTIES.iter().filter(|known| known.is_of(is_volume)) {
        let Some(value) = tier.properties.get(known.name) else {
            continue;
        };
        match known.name {
            BLOCK_SIZE | SET_ASIDE if making.is_clone() => {}
            BLOCK_SIZE => new.blocksize = Some(value.clone()),
            // What `zfs create` does by itself with or without `-s`.
            SET_ASIDE => {
                new.is_sparse = Some(value == "none");
                set.insert(known.name.to_owned(), value.clone());
            }
            name => {
                let value = match name {
                    RESERVED => reserved(value, is_disk(dataset), size),
                    _ => Some(value.clone()),
                };
                if let Some(value) = value {
                    let option = pair(name, &value);
                    new.options.extend(["-o".to_owned(), option]);
                    set.insert(name.to_owned(), value);
                }
            }
        }
    }
    new.options
        .extend(["-o".to_owned(), note(&tier.name, &set)]);
    new
}

impl ZfsPool {
    async fn tier_of(&self, dataset: &str) -> Result<Option<Tier>, StorageError> {
        let owner = parse_name(dataset).and_then(|name| name.owner);
        match (self.tiers.get(), owner) {
            (Some(tiers), Some(owner)) => tiers.tier_of(owner).await,
            _ => Ok(None),
        }
    }

    pub(super) async fn of_new(
        &self,
        dataset: &str,
        making: Making,
        size: u64,
    ) -> Result<OfNew, StorageError> {
        let tier = self.tier_of(dataset).await?;
        let new = |tier: Tier| of_new(&tier, making, dataset, size);
        Ok(tier.map_or(OfNew::default(), new))
    }

    /// Whether the tier of a dataset's guest sets room aside, so that its size matters.
    pub(super) async fn sets_aside(&self, dataset: &str) -> Result<bool, StorageError> {
        let tier = self.tier_of(dataset).await?;
        Ok(tier.is_some_and(|tier| tier.properties.contains_key(RESERVED)))
    }

    async fn found(&self, dataset: Option<&str>) -> Result<BTreeMap<String, Found>, StorageError> {
        let names: Vec<&str> = PROPERTIES.iter().map(|known| known.name).collect();
        let properties = format!("type,volsize,refquota,origin,{NOTE},{}", names.join(","));
        let full = dataset.map_or(self.spec.pool.clone(), |dataset| self.tools.full(dataset));
        let depth = if dataset.is_some() { "0" } else { "1" };
        let columns = "name,property,value,source";
        let types = "volume,filesystem";
        let args = [
            "get",
            "-H",
            "-p",
            "-o",
            columns,
            "-t",
            types,
            "-d",
            depth,
            &properties,
            &full,
        ];
        let all = parse(&self.tools.look("zfs", &args).await?);
        let below = |(name, found): (String, Found)| {
            let name = name.strip_prefix(&self.spec.pool)?.strip_prefix('/')?;
            Some((name.to_owned(), found))
        };
        Ok(all.into_iter().filter_map(below).collect())
    }

    async fn one(&self, dataset: &str) -> Result<Found, StorageError> {
        let found = self.found(Some(dataset)).await?.remove(dataset);
        found.ok_or_else(|| self.tools.no_volume(dataset))
    }

    /// The tiers of guests, all as they are at one time.
    async fn tiers_of(
        &self,
        owners: &BTreeSet<VmId>,
    ) -> Result<BTreeMap<VmId, Tier>, StorageError> {
        match self.tiers.get() {
            Some(tiers) => tiers.tiers_of(owners).await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// Corrects the note after a change that failed.
    async fn note_again(
        &self,
        dataset: &str,
        tier: &str,
        (before, next): (&Found, &BTreeMap<String, String>),
    ) -> Result<(), StorageError> {
        let found = self.one(dataset).await?;
        let set = found.holds(next, &before.note);
        if set == found.note {
            return Ok(());
        }
        let args = ["set", &note(tier, &set), &self.tools.full(dataset)];
        self.tools.change(&args).await
    }
}

#[async_trait]
impl Tiered for ZfsPool {
    fn follow(&self, tiers: Arc<dyn Tiers>) {
        // A driver has one node.
        let _ = self.tiers.set(tiers);
    }

    async fn compare(&self) -> Result<Vec<TieredVolume>, StorageError> {
        let all = self.found(None).await?.into_iter();
        // Linked clones have the names that they are listed by.
        let of_guest = |(name, found): (String, Found)| {
            let info = self.describe(&found.dataset(name))?;
            Some((info.owner?, info, found))
        };
        let all: Vec<(VmId, VolumeInfo, Found)> = all.filter_map(of_guest).collect();
        let owners = all.iter().map(|(owner, ..)| *owner).collect();
        let tiers = self.tiers_of(&owners).await?;
        let mut volumes = Vec::new();
        for (owner, info, found) in all {
            let tier = tiers.get(&owner);
            let is_known = |name: &str| {
                PROPERTIES
                    .iter()
                    .any(|known| known.name == name && known.is_of(found.is_volume))
            };
            let values = found.values.iter().filter(|(name, _)| is_known(name));
            volumes.push(TieredVolume {
                owner,
                properties: values
                    .map(|(name, value)| (name.clone(), value.text.clone()))
                    .collect(),
                differences: found.differences(tier),
                tier: tier.map(|tier| tier.name.clone()),
                name: info.name,
            });
        }
        Ok(volumes)
    }

    /// What is not wanted any more is inherited before the note forgets it; what is set is noted by
    /// the same program.
    async fn settle(&self, name: &str) -> Result<Vec<Difference>, StorageError> {
        let dataset = self.dataset(name)?;
        let (full, found) = (self.tools.full(&dataset), self.one(&dataset).await?);
        let tier = self.tier_of(&dataset).await?;
        let differences = found.differences(tier.as_ref());
        for difference in &differences {
            if difference.verdict == Verdict::Inherit {
                let args = inherit(&difference.property, &full);
                self.tools.change(&args).await?;
            }
        }
        let next = found.next_note(tier.as_ref(), &differences);
        let Some(tier) = tier else {
            if found.noted.is_some() {
                self.tools.change(&["inherit", NOTE, &full]).await?;
            }
            return Ok(differences);
        };
        let mut set: Vec<String> = Vec::new();
        for one in &differences {
            if let (Verdict::Set, Some(to)) = (one.verdict, &one.to) {
                set.push(pair(&one.property, to));
            }
        }
        let is_noted = match &found.noted {
            Some(noted) => *noted == tier.name && next == found.note,
            None => next.is_empty(),
        };
        if set.is_empty() && is_noted {
            return Ok(differences);
        }
        set.push(note(&tier.name, &next));
        let mut args = vec!["set"];
        args.extend(set.iter().map(String::as_str));
        args.push(&full);
        let changed = self.tools.change(&args).await;
        if changed.is_err() {
            // The failure itself is what is said.
            let _ = self.note_again(&dataset, &tier.name, (&found, &next)).await;
        }
        changed.map(|()| differences)
    }
}

/// A reservation cannot be inherited: without the tier there is none.
fn inherit<'a>(property: &'a str, full: &'a str) -> [&'a str; 3] {
    match property {
        RESERVED => ["set", "reservation=none", full],
        _ => ["inherit", property, full],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(properties: &[(&str, &str)]) -> Tier {
        let pairs = properties.iter();
        Tier {
            name: "gold".to_owned(),
            properties: pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    /// A volume of 1 MiB with these lines beside its type and size.
    fn named(name: &str, lines: &[&str]) -> Found {
        let own = [
            "type\tvolume\t-",
            "volsize\t1048576\tlocal",
            "refquota\t-\t-",
        ];
        let lines = own.iter().chain(lines);
        let printed: String = lines.map(|line| format!("{name}\t{line}\n")).collect();
        parse(&printed).remove(name).unwrap()
    }

    fn volume(lines: &[&str]) -> Found {
        named("tank/vm-100-disk-0", lines)
    }

    /// Room is set aside for disks, as much as they can hold.
    #[test]
    fn room_is_set_aside_for_disks() {
        let wanted = tier(&[("reservation", "4M")]);
        let none = ["reservation\t0\tdefault"];
        let differences = volume(&none).differences(Some(&wanted));
        let to: Vec<Option<&str>> = differences.iter().map(|one| one.to.as_deref()).collect();
        assert_eq!(to, [Some("1048576")]);
        for other in ["tank/vm-100-cloudinit", "tank/vm-100-state-before"] {
            assert!(named(other, &none).differences(Some(&wanted)).is_empty());
            let noted = [
                "reservation\t1048576\tlocal",
                "ostler:tier\tgold:reservation=1M\tlocal",
            ];
            let found = named(other, &noted);
            let expected = [("reservation".to_owned(), "inherit")];
            assert_eq!(verdicts(&found, Some(&wanted)), expected);
        }
        let noted = [
            "-o",
            "reservation=1048576",
            "-o",
            "ostler:tier=gold:reservation=1048576",
        ];
        let new = of_new(&wanted, Making::Volume, "vm-100-disk-0", 1 << 20);
        assert_eq!(new.options, noted);
        let medium = of_new(&wanted, Making::Volume, "vm-100-cloudinit", 4 << 20);
        assert_eq!(medium.options, ["-o", "ostler:tier=gold:"]);
        let unlimited = of_new(&wanted, Making::Tree, "subvol-100-disk-0", 0);
        assert!(unlimited.options.contains(&"reservation=4M".to_owned()));
    }

    #[test]
    fn the_note_says_what_holds() {
        let found = volume(&[
            "compression\tzstd\tlocal",
            "sync\talways\tlocal",
            "reservation\t0\tlocal",
            "ostler:tier\tgold:compression=lz4,reservation=1M,sync=always\tlocal",
        ]);
        let pairs = |all: &[(&str, &str)]| tier(all).properties;
        let next = pairs(&[
            ("compression", "lz4"),
            ("reservation", "1M"),
            ("sync", "always"),
        ]);
        let before = pairs(&[("compression", "zstd"), ("logbias", "latency")]);
        let expected = pairs(&[("compression", "zstd"), ("sync", "always")]);
        assert_eq!(found.holds(&next, &before), expected);
    }

    fn verdicts(found: &Found, tier: Option<&Tier>) -> Vec<(String, &'static str)> {
        let differences = found.differences(tier).into_iter();
        differences
            .map(|one| (one.property, one.verdict.as_str()))
            .collect()
    }

    /// covers: S4.14
    #[test]
    fn what_was_set_outside_of_a_tier_stays() {
        let gold = tier(&[
            ("compression", "zstd"),
            ("sync", "always"),
            ("recordsize", "16K"),
        ]);
        let found = volume(&[
            "compression\tlz4\tinherited from tank",
            "sync\tdisabled\tlocal",
            "logbias\tthroughput\tlocal",
        ]);
        let expected = [
            ("compression".to_owned(), "set"),
            ("sync".to_owned(), "kept"),
        ];
        assert_eq!(verdicts(&found, Some(&gold)), expected);
        let differences = found.differences(Some(&gold));
        let next = found.next_note(Some(&gold), &differences);
        assert_eq!(note("gold", &next), "ostler:tier=gold:compression=zstd");
        assert!(found.differences(None).is_empty());
    }

    #[test]
    fn what_a_tier_had_set_is_its_own() {
        let found = volume(&[
            "ostler:tier\tgold:compression=zstd,logbias=throughput,sync=always\tlocal",
            "compression\tzstd\tlocal",
            "logbias\tlatency\tlocal",
            "sync\talways\tlocal",
        ]);
        let silver = tier(&[("compression", "lz4")]);
        let expected = [
            ("compression".to_owned(), "set"),
            ("sync".to_owned(), "inherit"),
        ];
        assert_eq!(verdicts(&found, Some(&silver)), expected);
        let differences = found.differences(Some(&silver));
        let next = found.next_note(Some(&silver), &differences);
        assert_eq!(note("silver", &next), "ostler:tier=silver:compression=lz4");
    }

    #[test]
    fn what_cannot_change_is_said() {
        let found = volume(&[
            "volblocksize\t16384\t-",
            "refreservation\t1310720\tlocal",
            "reservation\t0\tdefault",
        ]);
        let gold = tier(&[
            ("volblocksize", "64K"),
            ("refreservation", "none"),
            ("reservation", "none"),
        ]);
        let expected = [
            ("refreservation".to_owned(), "set"),
            ("volblocksize".to_owned(), "only-new"),
        ];
        assert_eq!(verdicts(&found, Some(&gold)), expected);
        let same = tier(&[("volblocksize", "16K"), ("refreservation", "auto")]);
        assert!(found.differences(Some(&same)).is_empty());
    }

    /// A reservation that was taken back is shown as one of none that was set.
    #[test]
    fn what_a_volume_begins_with_was_not_set_by_hand() {
        let wanted = tier(&[("refreservation", "auto"), ("reservation", "4M")]);
        let sparse = volume(&["refreservation\t0\tlocal", "reservation\t0\tlocal"]);
        let expected = [
            ("refreservation".to_owned(), "set"),
            ("reservation".to_owned(), "set"),
        ];
        assert_eq!(verdicts(&sparse, Some(&wanted)), expected);
        let by_hand = volume(&["refreservation\t524288\tlocal", "reservation\t8192\tlocal"]);
        let expected = [
            ("refreservation".to_owned(), "kept"),
            ("reservation".to_owned(), "kept"),
        ];
        assert_eq!(verdicts(&by_hand, Some(&wanted)), expected);
    }

    #[test]
    fn new_datasets_get_what_is_theirs() {
        let gold = tier(&[
            ("compression", "zstd"),
            ("recordsize", "16K"),
            ("refreservation", "none"),
            ("volblocksize", "64K"),
        ]);
        let of_volume = of_new(&gold, Making::Volume, "vm-100-disk-0", 1 << 20);
        let noted = "ostler:tier=gold:compression=zstd,refreservation=none";
        assert_eq!(of_volume.options, ["-o", "compression=zstd", "-o", noted]);
        assert_eq!(of_volume.is_sparse, Some(true));
        assert_eq!(of_volume.blocksize.as_deref(), Some("64K"));
        let noted = "ostler:tier=gold:compression=zstd";
        let of_clone = of_new(&gold, Making::VolumeClone, "vm-100-disk-0", 1 << 20);
        assert_eq!(of_clone.options, ["-o", "compression=zstd", "-o", noted]);
        assert_eq!((of_clone.is_sparse, of_clone.blocksize), (None, None));
        let of_tree = of_new(&gold, Making::Tree, "subvol-100-disk-0", 0).options;
        assert!(
            of_tree.contains(&"recordsize=16K".to_owned()),
            "{of_tree:?}"
        );
    }
}
