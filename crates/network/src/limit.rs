//! Rate limits of guests' network cards.

use model::Error;
use sys::{Command, Host, SysError};

/// The burst size, and how long a packet may be queued.
const BURST_BYTES: u64 = 1 << 20;
const LATENCY: &str = "100ms";

/// Limits a tap to this many MiB per second in each direction, or removes the limit. May be
/// repeated.
///
/// Packets to the guest are queued; packets from it beyond the rate are dropped on arrival, for
/// which the kernel needs a packet classifier. If it has none, the result is a warning text.
pub async fn limit(
    host: &dyn Host,
    tap: &str,
    rate_mib: Option<f64>,
) -> Result<Option<String>, Error> {
    // It is no error if there was no limit before.
    tc(host, &["qdisc", "del", "dev", tap, "root"]).await?.ok();
    tc(host, &["qdisc", "del", "dev", tap, "ingress"])
        .await?
        .ok();
    let Some(rate_mib) = rate_mib.filter(|rate| *rate > 0.0) else {
        return Ok(None);
    };
    let rate = format!("{}bps", (rate_mib * f64::from(1 << 20)) as u64);
    let burst = format!("{BURST_BYTES}b");
    let received = [
        "qdisc", "add", "dev", tap, "root", "tbf", "rate", &rate, "burst", &burst, "latency",
        LATENCY,
    ];
    tc(host, &received).await??;
    let uploads = ["qdisc", "add", "dev", tap, "handle", "ffff:", "ingress"];
    tc(host, &uploads).await??;
    let sent = [
        "filter", "add", "dev", tap, "parent", "ffff:", "protocol", "all", "prio", "50", "basic",
        "police", "rate", &rate, "burst", &burst, "mtu", "64kb", "drop", "flowid", ":1",
    ];
    let refused = tc(host, &sent).await?.err();
    Ok(refused
        .map(|error| format!("this kernel cannot limit the rate of a guest's sending: {error}")))
}

/// The outer error means that the program cannot be run, the inner one that it failed.
async fn tc(host: &dyn Host, args: &[&str]) -> Result<Result<(), Error>, SysError> {
    let output = host
        .run(Command::new("tc").args(args.iter().copied()))
        .await?;
    Ok(output.checked("tc").map(drop).map_err(Error::from))
}
