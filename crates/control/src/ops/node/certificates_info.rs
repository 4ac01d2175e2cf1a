//! `GET /nodes/{node}/certificates/info`

use model::Error;
use node::host::certificates::{self, Certificate};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn certificates_info(op: Op) -> Result<Answer, Error> {
    let certificates = certificates::certificates(&op.context.node).await?;
    Ok(Answer::new(
        certificates.iter().map(row).collect::<Vec<_>>(),
    ))
}

fn row(certificate: &Certificate) -> Value {
    json!({
        "filename": certificate.file_name,
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "san": certificate.names,
        "notbefore": certificate.not_before,
        "notafter": certificate.not_after,
        "public-key-type": certificate.key_type,
        "public-key-bits": certificate.key_bits,
        "pem": certificate.pem,
    })
}
