//! One operation as data.

use model::schema::{Field, Shape, Values, format};
use model::{Error, Privilege};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// How an operation runs (docs/decisions/0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The api answers alone, from constants or from its index.
    Index,
    /// The agent answers: a read, or a change that is complete when it answers.
    Call,
    /// The agent journals a task and answers its UPID.
    Submit,
    /// The agent answers and passes a descriptor: consoles, uploads.
    Stream,
}

/// Which node an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Any node; all give the same answer.
    Any,
    /// The node named by the parameter `node`.
    Node,
    /// The node named by the parameter `check-node`; any, if it is not given.
    CheckNode,
    /// All nodes: each answers rows about itself, and the one that was asked answers all of them.
    All,
}

impl Target {
    /// The parameter that names the node.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Any | Self::All => None,
            Self::Node => Some("node"),
            Self::CheckNode => Some("check-node"),
        }
    }
}

/// Whether an operation needs the cluster's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Works on the owner node without quorum and without the store.
    Local,
    /// Changes the store.
    Quorum,
}

/// A privilege that a caller must have on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The path with all parameters filled in, e.g. `/vms/100`.
    pub path: String,
    pub privileges: Vec<Privilege>,
    /// One of the privileges is enough.
    pub any: bool,
    /// Another path on which the privileges are accepted as well.
    pub or_on: Option<String>,
}

impl Need {
    /// All of the privileges on a path.
    pub fn all(path: impl Into<String>, privileges: &[Privilege]) -> Self {
        Self {
            path: path.into(),
            privileges: privileges.to_vec(),
            any: false,
            or_on: None,
        }
    }

    /// One of the privileges on a path.
    pub fn any(path: impl Into<String>, privileges: &[Privilege]) -> Self {
        Self {
            any: true,
            ..Self::all(path, privileges)
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy)]
pub enum Permission {
    /// Anyone, also without a credential.
    World,
    /// Every authenticated caller; an answer shows only what the caller may see.
    User,
    /// `root@pam` only.
    Root,
    /// Callers who pass the check. `root@pam` always does.
    Check(Check),
}

/// A check of privileges; `{name}` in a path is replaced by the parameter.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// All of the privileges on the path.
    On(&'static str, &'static [Privilege]),
    /// One of the privileges on the path.
    AnyOn(&'static str, &'static [Privilege]),
    All(&'static [Check]),
    Any(&'static [Check]),
    /// Only if this parameter is given; otherwise the check fails.
    Given(&'static str, &'static Check),
    /// The parameter `userid` names the caller.
    SelfUser,
    /// The privilege on the realm of the parameter `userid`.
    UserRealm(Privilege),
    /// One of the privileges on `/access/groups`, or on a group of the user `userid`; with
    /// `new_groups`, also on every group of the parameter `groups`.
    UserGroups {
        privileges: &'static [Privilege],
        new_groups: bool,
    },
    /// The caller may change the access control list at the parameter `path`.
    ModifyAcl,
    /// The required privileges depend on the parameters.
    Computed(fn(&Values) -> Vec<Need>),
}

/// An operation.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The one name from URL to test: `qemu_start` is `control/src/ops/qemu/start.rs`,
    /// `node/src/tasks/qemu_start.rs` and the test `qemu_start`.
    pub name: &'static str,
    pub verb: Verb,
    /// With `{name}` for path parameters, which are declared in `params` too. `{volume}` and
    /// `{upid}` at the end may contain slashes.
    pub path: &'static str,
    /// One sentence for the API viewer and `pvesh usage`.
    pub summary: &'static str,
    /// Parameters in groups, so that operations can share them.
    pub params: &'static [&'static [Field]],
    pub returns: Shape,
    pub permission: Permission,
    pub form: Form,
    pub target: Target,
    pub needs: Needs,
    /// False if the operation refuses API tokens and needs a ticket.
    pub allow_token: bool,
    /// The answer is only correct as long as nothing of this area is configured, which is not
    /// possible yet. Remove the mark when the area is built.
    pub unconfigured: bool,
}

impl Row {
    const fn new(
        verb: Verb,
        path: &'static str,
        name: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            verb,
            path,
            summary,
            params: &[],
            returns: Shape::Null,
            permission: Permission::Root,
            form: Form::Call,
            target: Target::Any,
            needs: match verb {
                Verb::Get => Needs::Local,
                _ => Needs::Quorum,
            },
            allow_token: true,
            unconfigured: false,
        }
    }

    pub const fn get(path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Get, path, name, summary)
    }

    pub const fn post(path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Post, path, name, summary)
    }

    pub const fn put(path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Put, path, name, summary)
    }

    pub const fn delete(path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Delete, path, name, summary)
    }

    pub const fn params(mut self, groups: &'static [&'static [Field]]) -> Self {
        self.params = groups;
        self
    }

    pub const fn returns(mut self, shape: Shape) -> Self {
        self.returns = shape;
        self
    }

    pub const fn permission(mut self, permission: Permission) -> Self {
        self.permission = permission;
        self
    }

    pub const fn check(self, check: Check) -> Self {
        self.permission(Permission::Check(check))
    }

    /// Answered by the api from its index.
    pub const fn index(mut self) -> Self {
        self.form = Form::Index;
        self
    }

    /// A task; answers its UPID.
    pub const fn submit(mut self) -> Self {
        self.form = Form::Submit;
        self.returns = Shape::String;
        self
    }

    pub const fn stream(mut self) -> Self {
        self.form = Form::Stream;
        self
    }

    /// Runs on the node in the parameter `node`.
    pub const fn on_node(mut self) -> Self {
        self.target = Target::Node;
        self
    }

    /// Runs on the node in the parameter `check-node`, if it is given.
    pub const fn on_checked_node(mut self) -> Self {
        self.target = Target::CheckNode;
        self
    }

    /// Gathers the rows of all nodes.
    pub const fn on_all_nodes(mut self) -> Self {
        self.target = Target::All;
        self
    }

    /// Works without quorum, although it is not a read.
    pub const fn local(mut self) -> Self {
        self.needs = Needs::Local;
        self
    }

    pub const fn unconfigured(mut self) -> Self {
        self.unconfigured = true;
        self
    }

    pub const fn no_token(mut self) -> Self {
        self.allow_token = false;
        self
    }

    /// Checks a caller's parameters and converts them to their types.
    pub fn check_params(&self, given: &Values) -> Result<Values, Error> {
        model::schema::check_object(self.params, given).map_err(Error::invalid_fields)
    }

    /// Replaces `localhost` in checked parameters by the node's own name.
    pub fn name_node(&self, params: &mut Values, node: &str) {
        for (name, value) in params.iter_mut().filter(|(_, value)| *value == "localhost") {
            let field = model::schema::find(self.params, name);
            if field.is_some_and(|field| field.format.name() == format::NODE.name()) {
                *value = node.into();
            }
        }
    }

    /// `GET /version`: the operation in error texts and logs.
    pub fn label(&self) -> String {
        format!("{} {}", self.verb.as_str(), self.path)
    }
}
