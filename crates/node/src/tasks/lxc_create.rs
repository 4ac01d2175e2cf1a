//! Makes a container out of a template.
//!
//! ```text
//!   reserve ─ make-file-systems ─ unpack ─ set-up ─ make-bases ─ publish ┃ join-pool ─► lxc_start
//!   the id    images with ext4,   the      names,   of a         the configuration;     if wanted
//!             or directories      archive  password template     now it is a guest
//! ```

use std::path::PathBuf;

use async_trait::async_trait;
use guest::lxc::CtConfig;
use guest::lxc::image::ImageOptions;
use guest::lxc::setup::First;
use model::{Error, GuestConfig, GuestKind, PoolId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Probe, Step, Steps, Task, TaskContext};

use super::bases::NewTemplate;
use super::file_systems::{MakeFileSystems, MakesFileSystems};
use super::new_guest::{JoinPool, NewGuest, Publish, Reserve};
use super::new_template::RenameNew;
use super::{LxcStart, guest_object};
use crate::NodeContext;
use crate::lxc::edit::CtEdit;
use crate::lxc::files;
use crate::lxc::image::{add_image, unpack_image, without_address};
use crate::lxc::mounts::Purpose;
use crate::volumes::attached::by_task;

/// What a container is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    Volume(VolumeId),
    /// A file of the host, for root.
    Path(PathBuf),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcCreate {
    pub vmid: VmId,
    pub edit: CtEdit,
    pub template: Template,
    /// Root's password, hashed and sealed.
    pub password: Option<String>,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
    /// An archive that cannot be unpacked wholly is good enough.
    pub ignore_unpack_errors: bool,
    /// The pool that it becomes a member of.
    pub pool: Option<PoolId>,
    /// Start it right afterwards.
    pub start: bool,
    /// Set where it is a template from its beginning.
    #[serde(default)]
    pub becomes: Option<NewTemplate>,
    /// Found in its files: the distribution and the architecture.
    #[serde(default)]
    pub found: Option<(String, String)>,
    /// What the template says of the container, if it is an OCI image.
    #[serde(default)]
    pub image: Option<ImageOptions>,
}

impl Task for LxcCreate {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_create";
    const VERSION: u32 = 2;
    const KIND: &'static str = "vzcreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[
                &Reserve,
                &MakeFileSystems,
                &Unpack,
                &SetUp,
                &RenameNew,
                &Publish,
            ],
            after: &[&JoinPool],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let task = LxcStart::new(self.vmid, false, false);
        self.start.then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl NewGuest for LxcCreate {
    const SHOWN_AS: &'static str = "create";
    const GUEST: GuestKind = GuestKind::Lxc;

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn options(&self) -> GuestConfig {
        let mut config = GuestConfig(self.edit.set.clone());
        if let Some((os_type, arch)) = &self.found {
            for (name, found) in [("ostype", os_type), ("arch", arch)] {
                if !config.0.contains_key(name) {
                    config.set(name, found.as_str());
                }
            }
        }
        if let Some(image) = &self.image {
            add_image(&mut config, image);
        }
        config
    }

    fn pool(&self) -> Option<&PoolId> {
        self.pool.as_ref()
    }

    fn template(&self) -> Option<&NewTemplate> {
        self.becomes.as_ref()
    }

    fn template_mut(&mut self) -> Option<&mut NewTemplate> {
        self.becomes.as_mut()
    }
}

type Cx = TaskContext<NodeContext>;

#[async_trait]
impl MakesFileSystems for LxcCreate {
    fn owner(&self) -> VmId {
        self.vmid
    }

    fn edit(&self) -> &CtEdit {
        &self.edit
    }

    fn edit_mut(&mut self) -> &mut CtEdit {
        &mut self.edit
    }

    fn failed(&self, error: Error) -> Error {
        let text = format!("unable to create CT {} - {error}", self.vmid);
        Error::new(error.kind, text)
    }

    async fn ids(&self, _: &Cx) -> Result<(u32, u32), Error> {
        Ok(self.config()?.owner())
    }

    /// A template that is missing is said before anything is made.
    async fn check_before(&self, cx: &Cx) -> Result<(), Error> {
        let path = self.template_path(cx).await?;
        if files::compression(&path).is_none() {
            let path = path.display();
            let text = format!("file does not look like a template archive: {path}");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

impl LxcCreate {
    fn config(&self) -> Result<CtConfig, Error> {
        CtConfig::parse(&self.options()).map_err(Error::invalid_fields)
    }

    async fn template_path(&self, cx: &Cx) -> Result<PathBuf, Error> {
        match &self.template {
            Template::Volume(volume) => cx.node.template_path(volume).await,
            Template::Path(path) => Ok(cx.node.host.resolve(path).await?),
        }
    }

    /// A card of an image without an init stays without an address that a server would give.
    async fn warn_of_addresses(&self, cx: &Cx) {
        let has_init = |image: &ImageOptions| image.entrypoint.is_none();
        if self.image.as_ref().is_none_or(has_init) {
            return;
        }
        for name in without_address(&self.options()) {
            let text = format!("{name}: nothing asks for an address by DHCP: give a static one");
            cx.warn(&text).await;
        }
    }

    async fn detach(&self, cx: &Cx) -> Result<(), Error> {
        let config = self.config()?;
        cx.node.detach_container(&config, &by_task(cx)).await
    }
}

struct Unpack;

#[async_trait]
impl Step<LxcCreate> for Unpack {
    fn name(&self) -> &'static str {
        "unpack"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcCreate) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcCreate) -> Result<(), Error> {
        let unpacked = async {
            let (config, path) = (task.config()?, task.template_path(cx).await?);
            let by = by_task(cx);
            let image = unpack_image(cx, &config, &path, &by).await?;
            if image.is_none() {
                files::unpack(cx, &config, &path, &by, task.ignore_unpack_errors).await?;
            }
            Ok(image)
        };
        let unpacked = unpacked.await;
        task.detach(cx).await?;
        task.image = unpacked.map_err(|error| task.failed(error))?;
        task.warn_of_addresses(cx).await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcCreate) -> Result<(), Error> {
        task.detach(cx).await
    }
}

/// Writes what the container is to know of itself, and finds out what it is.
struct SetUp;

#[async_trait]
impl Step<LxcCreate> for SetUp {
    fn name(&self) -> &'static str {
        "set-up"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcCreate) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcCreate) -> Result<(), Error> {
        let set_up = set_up(cx, task).await;
        task.detach(cx).await?;
        let (os_type, arch) = set_up.map_err(|error| task.failed(error))?;
        cx.log(&format!("Detected container architecture: {arch}"))
            .await;
        task.found = Some((os_type, arch));
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcCreate) -> Result<(), Error> {
        task.detach(cx).await
    }
}

async fn set_up(cx: &Cx, task: &LxcCreate) -> Result<(String, String), Error> {
    let (config, by) = (task.config()?, by_task(cx));
    let password = match &task.password {
        Some(sealed) => Some(cx.node.authority.unseal(sealed).await?),
        None => None,
    };
    let first = First {
        password,
        keys: task.keys.clone(),
    };
    let mut order = cx.node.setup_order(task.vmid, &config, Some(first)).await?;
    order.is_image = task.image.is_some();
    let outcome = files::set_up(cx, &config, &order, Purpose::Write, &by).await?;
    if outcome.os_type != "unmanaged" {
        files::make_host_keys(cx, task.vmid, &config, &by).await?;
    }
    Ok((outcome.os_type, outcome.arch))
}
