//! `/ostler/cluster/profiles`, and the making of virtual machines of them

mod create;
mod delete;
mod get;
mod instances;
mod list;
mod update;

use model::qemu::OPTIONS;
use model::schema::find;
use model::{Error, FieldErrors};
use node::Edit;
use node::profiles::Profile;
use proto::table::PROFILE;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("profile_create", create::create),
    pair!("profile_delete", delete::delete),
    pair!("profile_get", get::get),
    pair!("profile_instances", instances::instances),
    pair!("profile_list", list::list),
    pair!("profile_update", update::update),
];

/// Options that distinguish one machine from another, or that are a secret.
const NOT_OF_A_CLASS: [&str; 5] = ["cipassword", "lock", "name", "smbios1", "vmgenid"];

/// Options that only make sense together with a template.
const OF_TEMPLATES: [&str; 3] = ["disk-size", "full", "storage"];

#[derive(Deserialize)]
struct Named {
    profile: String,
}

/// Whether this is an option of a profile: one of its own or of its machines (`net0`).
fn is_option(name: &str) -> bool {
    find(OPTIONS, name).is_some() || find(&[PROFILE], name).is_some()
}

/// Refuses a profile of which no machine could be made.
async fn check(op: &Op, profile: &Profile) -> Result<(), Error> {
    let options = profile.options();
    let mut errors = FieldErrors::new();
    for name in NOT_OF_A_CLASS
        .iter()
        .filter(|name| options.contains_key(**name))
    {
        let text = "is given when a machine is made, not in a profile";
        errors.insert((*name).to_owned(), text.to_owned());
    }
    if !errors.is_empty() {
        return Err(Error::invalid_fields(errors));
    }
    let edit = Edit::new(&options, &|| "BC:24:11:00:00:00".to_owned())?;
    edit.check(None)?;
    profile.disk_sizes()?;
    let given = |name: &&&str| profile.settings.options.contains_key(**name);
    match profile.from() {
        Some(template) => {
            check_template(op, template).await?;
            check_no_volumes(&edit)
        }
        None => match OF_TEMPLATES.iter().find(given) {
            Some(name) => Err(Error::invalid(*name, "only together with 'from'")),
            None => Ok(()),
        },
    }
}

async fn check_template(op: &Op, vmid: model::VmId) -> Result<(), Error> {
    let found = op.records.find(vmid).await?;
    let is_template = found.is_some_and(|entry| {
        let guest = entry.record.data;
        guest.kind == model::GuestKind::Qemu && guest.config.flag("template") == Some(true)
    });
    match is_template {
        true => Ok(()),
        false => Err(Error::invalid(
            "from",
            format!("{vmid} is no template of a VM"),
        )),
    }
}

/// A machine of a template has the template's disks.
fn check_no_volumes(edit: &Edit) -> Result<(), Error> {
    match edit.new_volumes.first() {
        Some(volume) => {
            let text = "the disks are those of the template ('from')";
            Err(Error::invalid(volume.slot.to_string(), text))
        }
        None => Ok(()),
    }
}

/// A profile as answers show it: flags are numbers.
fn shown(profile: &Profile) -> Value {
    let options = profile.settings.options.iter();
    let mut row: Map<String, Value> = options
        .map(|(name, value)| {
            let value = match value {
                Value::Bool(flag) => u8::from(*flag).into(),
                other => other.clone(),
            };
            (name.clone(), value)
        })
        .collect();
    row.insert("profile".to_owned(), profile.id.as_str().into());
    row.insert("digest".to_owned(), profile.settings.digest().into());
    row.into()
}
