//! `PUT /cluster/options`

use model::Error;
use model::schema::Values;
use node::host::fetch::proxy;
use node::{Settings, cluster_options_key};
use proto::wire::Answer;
use serde_json::Value;

use crate::ops::{Op, change_options};

pub(super) async fn options_update(op: Op) -> Result<Answer, Error> {
    check_proxy(&op.params)?;
    let change = |settings: &mut Settings| {
        change_options(&op.params, &["delete"], settings);
        check_vmids(settings)
    };
    let key = cluster_options_key();
    let revision = op.records.change_settings(&key, change).await?;
    Ok(Answer::null().at(revision.0))
}

fn check_proxy(params: &Values) -> Result<(), Error> {
    let Some(proxy) = params.get("http_proxy").and_then(Value::as_str) else {
        return Ok(());
    };
    let checked = proxy::parse(proxy);
    checked.map_err(|reason| Error::invalid("http_proxy", reason))?;
    Ok(())
}

/// A range without a free number would only be noticed at the next creation.
fn check_vmids(settings: &Settings) -> Result<(), Error> {
    let range = settings.vmids();
    if range.start < 100 || range.is_empty() {
        let text = format!("invalid range of VM IDs: {} to {}", range.start, range.end);
        return Err(Error::invalid("next-id", text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_proxy_is_refused_without_showing_its_password() {
        let given = |proxy: &str| Values::from_iter([("http_proxy".to_owned(), json!(proxy))]);
        assert!(check_proxy(&given("http://a:b@proxy:3128")).is_ok());
        let error = check_proxy(&given("http://a:secret word@proxy")).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert!(format!("{error:?}").contains("http_proxy"), "{error:?}");
    }
}
