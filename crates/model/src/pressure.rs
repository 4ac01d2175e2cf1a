//! Pressure stall information (PSI) of a control group.

use serde::{Deserialize, Serialize};

/// Shares of the last ten seconds, in percent, in which some or all processes of the group waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    pub cpu: Stall,
    pub io: Stall,
    pub memory: Stall,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    pub some: f64,
    pub full: f64,
}

impl Stall {
    /// Reads the kernel's text: a line for `some` and one for `full`, each with averages.
    pub fn parse(text: &str) -> Option<Self> {
        let average = |word: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(word))?;
            let figure = line
                .split(' ')
                .find_map(|part| part.strip_prefix("avg10="))?;
            figure.parse::<f64>().ok()
        };
        Some(Self {
            some: average("some ")?,
            full: average("full ").unwrap_or(0.0),
        })
    }
}

impl Pressure {
    /// The figures under the API's names.
    pub fn figures(&self) -> [(&'static str, f64); 6] {
        [
            ("pressurecpusome", self.cpu.some),
            ("pressurecpufull", self.cpu.full),
            ("pressureiosome", self.io.some),
            ("pressureiofull", self.io.full),
            ("pressurememorysome", self.memory.some),
            ("pressurememoryfull", self.memory.full),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_ten_seconds_is_read() {
        let text = "some avg10=17.25 avg60=4.01 avg300=0.90 total=3021044\n\
                    full avg10=17.11 avg60=3.98 avg300=0.89 total=2990112\n";
        let stall = Stall::parse(text).unwrap();
        assert_eq!((stall.some, stall.full), (17.25, 17.11));
        // Old kernels have no `full` line for processors.
        let stall = Stall::parse("some avg10=0.50 avg60=0.00 avg300=0.00 total=1\n").unwrap();
        assert_eq!((stall.some, stall.full), (0.5, 0.0));
        assert_eq!(Stall::parse(""), None);
    }
}
