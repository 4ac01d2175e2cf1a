//! `qm showcmd`: the command line of a running machine, or that of the next start of a stopped one.

use std::process::Command;

use anyhow::{Context, Result};
use guest::qemu::{
    Accel, Behind, QemuInfo, RuntimePaths, Tap, Taps, VmConfig, Volumes, argv, plan,
};
use model::qemu::{Aio, DriveSlot};
use model::schema::Values;
use model::{BlockFormat, BlockSource, BlockSpec, Error, GuestConfig, VmId};
use node::cpu_models::processor;
use node::{Settings, ports, volumes_of};
use proto::Verb;

use super::super::agent::{Agent, values};
use super::super::output;
use super::machine::{status, vmid_of};
use super::print;

const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";
const VOLUME: &str = "/nodes/{node}/storage/{storage}/content/{volume}";
const CPU_MODEL: &str = "/cluster/qemu/custom-cpu-models/{cputype}";
const PROGRAM: &str = "qemu-system-x86_64";

pub(super) async fn run(agent: Agent, given: Values) -> Result<()> {
    let vmid = vmid_of(&given)?;
    let pretty = given.get("pretty").is_some_and(|pretty| *pretty == true);
    let line = match status(&agent, vmid).await?["pid"].as_u64() {
        Some(pid) => {
            let path = format!("/proc/{pid}/cmdline");
            std::fs::read(&path).with_context(|| format!("reading {path}"))?
        }
        None => planned(&agent, vmid).await?.join("\0").into_bytes(),
    };
    output::line(&print::command_line(
        &String::from_utf8_lossy(&line),
        pretty,
    ))
}

/// The command line of the next start. Images and taps, which a guest gets as descriptors, have
/// their names here.
async fn planned(agent: &Agent, vmid: VmId) -> Result<Vec<String>> {
    let params = values([("vmid", vmid.get().into())]);
    let config = agent.at(Verb::Get, CONFIG, params).await?.data;
    let options: GuestConfig = serde_json::from_value(config).context("reading the options")?;
    let mut config = VmConfig::parse(&options).map_err(Error::invalid_fields)?;
    if config.cpu.custom_name().is_some() {
        let params = values([("cputype", config.cpu.model.clone().into())]);
        let mut model = agent.at(Verb::Get, CPU_MODEL, params).await?.data;
        if let Some(model) = model.as_object_mut() {
            model.retain(|name, _| !["cputype", "digest"].contains(&name.as_str()));
        }
        let options = serde_json::from_value(model).context("reading the processor's model")?;
        config.cpu = config.cpu.made_from(processor(&Settings { options })?);
    }
    let accel = if config.kvm { Accel::Kvm } else { Accel::Tcg };
    let running = plan(&config, &installed()?, accel)?;
    let volumes = volumes(agent, &options, &config).await?;
    let paths = RuntimePaths::new(agent.paths.guest(vmid).display().to_string());
    let behind = Behind {
        volumes,
        taps: taps(vmid, &config),
        ..Behind::by_name(&config)
    };
    let arguments = argv(&running, &config, &behind, &paths, Aio::Threads)?;
    Ok([vec![PROGRAM.to_owned()], arguments].concat())
}

fn installed() -> Result<QemuInfo> {
    #[expect(
        clippy::disallowed_methods,
        reason = "it answers at once and changes nothing"
    )]
    let ask = |arguments: &[&str]| -> Result<String> {
        let answer = Command::new(PROGRAM).args(arguments).output();
        let answer = answer.with_context(|| format!("running {PROGRAM}"))?;
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    };
    Ok(QemuInfo::from_texts(
        &ask(&["--version"])?,
        &ask(&["-machine", "help"])?,
    )?)
}

/// The image behind each drive, by its path.
async fn volumes(agent: &Agent, options: &GuestConfig, config: &VmConfig) -> Result<Volumes> {
    let mut volumes = Volumes::new();
    for (option, volume) in volumes_of(options) {
        let Ok(slot) = option.parse::<DriveSlot>() else {
            continue;
        };
        // The TPM emulator opens that one.
        if slot == DriveSlot::TPM {
            continue;
        }
        let drive = config.drives.get(&slot);
        let read_only = drive.is_some_and(|drive| drive.is_cdrom() || drive.is_read_only());
        let params = values([
            ("storage", volume.storage().to_string().into()),
            ("volume", volume.to_string().into()),
        ]);
        let shown = agent.at(Verb::Get, VOLUME, params).await?.data;
        let path = shown["path"].as_str().unwrap_or_default();
        // What is not a disk's format is a medium, read as it is.
        let format = serde_json::from_value(shown["format"].clone()).unwrap_or(BlockFormat::Raw);
        let spec = BlockSpec {
            read_only,
            ..BlockSpec::new(BlockSource::at(path.to_owned()), format)
        };
        volumes.insert(slot, spec);
    }
    Ok(volumes)
}

fn taps(vmid: VmId, config: &VmConfig) -> Taps {
    let nets = config.nets.iter();
    let taps = nets.filter_map(|(index, net)| Some((*index, ports::of_vm(vmid, *index, net)?)));
    taps.map(|(index, spec)| (index, Tap::Named(spec)))
        .collect()
}
