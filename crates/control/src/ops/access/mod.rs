//! `/access`

use super::Pair;

pub(super) const PAIRS: &[Pair] = &[];
