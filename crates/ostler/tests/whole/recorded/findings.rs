//! The differences in a series, and the allowed ones.

use std::collections::BTreeMap;

/// The allowed differences.
pub(super) struct Allowed {
    /// Intended: which exchanges, and why.
    pub(super) differences: &'static [(&'static [u64], &'static str)],
    /// To be fixed. It only shrinks: an exchange that agrees must be removed.
    pub(super) not_yet: &'static [u64],
}

impl Allowed {
    fn reason(&self, seq: u64) -> Option<&'static str> {
        let listed = self
            .differences
            .iter()
            .find(|(seqs, _)| seqs.contains(&seq));
        let not_yet = self.not_yet.contains(&seq).then_some("not yet");
        listed.map(|(_, reason)| *reason).or(not_yet)
    }
}

#[derive(Default)]
pub(super) struct Findings {
    differences: BTreeMap<u64, Vec<String>>,
    undeclared: Vec<String>,
}

impl Findings {
    /// Records the differences of one exchange, and the deviations of its answer from its row.
    pub(super) fn note(&mut self, seq: u64, differences: Vec<String>, undeclared: Vec<String>) {
        self.differences.insert(seq, differences);
        self.undeclared.extend(undeclared);
    }

    /// Prints the differences; fails if one has no reason.
    pub(super) fn report(&self, series: &str, allowed: &Allowed) {
        let mut agree = 0;
        let (mut without, mut done): (Vec<u64>, Vec<u64>) = Default::default();
        for (&seq, differences) in &self.differences {
            let reason = allowed.reason(seq);
            if differences.is_empty() {
                agree += 1;
                done.extend(allowed.not_yet.contains(&seq).then_some(seq));
                if let Some(reason) = reason {
                    println!("{seq}: agrees, although it stands in the list: {reason}");
                }
                continue;
            }
            println!(
                "{seq}: {} ({})",
                differences.join("; "),
                reason.unwrap_or("NO REASON")
            );
            without.extend(reason.is_none().then_some(seq));
        }
        let (replayed, not_yet) = (self.differences.len(), allowed.not_yet.len());
        let argued = replayed - agree - without.len();
        println!(
            "{series}: {agree} of {replayed} recorded exchanges agree, {argued} stand in the list \
             ({not_yet} of them as not yet)"
        );
        assert!(without.is_empty(), "differ without a reason: {without:?}");
        assert!(done.is_empty(), "agree, and stand as not yet: {done:?}");
        assert!(
            self.undeclared.is_empty(),
            "answers are not as their rows declare: {:#?}",
            self.undeclared
        );
    }
}
