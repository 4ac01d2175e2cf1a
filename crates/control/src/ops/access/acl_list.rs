//! `GET /access/acl`

use auth::View;
use model::{Error, Privilege};
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

/// All entries for callers that audit `/access`, else those of paths that the caller manages.
pub(super) async fn acl_list(op: Op) -> Result<Answer, Error> {
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    let audits = view.has("/access", Privilege::SysAudit);
    let shown = |view: &View<'_>, path: &str| audits || view.check_modify_acl(path).is_ok();
    let mut rows: Vec<Value> = Vec::new();
    for (path, node) in access.acl().filter(|(path, _)| shown(&view, path)) {
        rows.extend(node.entries.iter().map(|entry| {
            json!({
                "path": path,
                "type": entry.kind.as_str(),
                "ugid": entry.id,
                "roleid": entry.role,
                "propagate": u8::from(entry.propagate),
            })
        }));
    }
    Ok(Answer::new(rows))
}
