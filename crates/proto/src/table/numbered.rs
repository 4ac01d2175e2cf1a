//! Names with numbers, as the values of parameters: `mp0` to `mp255`.

/// `unused0` to `unused9`, `unused10` to `unused19`, … for each prefix.
macro_rules! numbered {
    ($name:literal: $($tens:literal)*) => {
        [$(
            concat!($name, $tens, "0"),
            concat!($name, $tens, "1"),
            concat!($name, $tens, "2"),
            concat!($name, $tens, "3"),
            concat!($name, $tens, "4"),
            concat!($name, $tens, "5"),
            concat!($name, $tens, "6"),
            concat!($name, $tens, "7"),
            concat!($name, $tens, "8"),
            concat!($name, $tens, "9"),
        )*]
    };
}

const COUNT: usize = 256;

// More than exist, which end with 255.
const ALL_UNUSED: [&str; 260] = numbered!(
    "unused": "" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16" "17" "18"
    "19" "20" "21" "22" "23" "24" "25"
);
const ALL_MOUNTS: [&str; 260] = numbered!(
    "mp": "" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19"
    "20" "21" "22" "23" "24" "25"
);

const fn existing(all: [&'static str; 260]) -> [&'static str; COUNT] {
    let mut some = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        some[at] = all[at];
        at += 1;
    }
    some
}

pub(super) const UNUSED: [&str; COUNT] = existing(ALL_UNUSED);
pub(super) const MOUNTS: [&str; COUNT] = existing(ALL_MOUNTS);

/// Two lists in one.
pub(super) const fn joined<const N: usize>(
    first: &[&'static str],
    second: &[&'static str],
) -> [&'static str; N] {
    let mut all = [""; N];
    let mut at = 0;
    while at < N {
        all[at] = match at < first.len() {
            true => first[at],
            false => second[at - first.len()],
        };
        at += 1;
    }
    all
}
