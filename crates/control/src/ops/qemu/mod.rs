//! `/nodes/{node}/qemu`

mod start;
mod status;
mod stop;

use model::Error;

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("qemu_start", start::start),
    pair!("qemu_status", status::status),
    pair!("qemu_stop", stop::stop),
];

/// `skiplock` passes by a protection that is there for everybody else.
fn check_skiplock(op: &Op, skiplock: Option<bool>) -> Result<(), Error> {
    if skiplock == Some(true) && !op.identity()?.is_root() {
        return Err(Error::invalid("skiplock", "Only root may use this option."));
    }
    Ok(())
}
