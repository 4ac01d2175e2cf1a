//! A guest that writes, and knows what it has written.

/// Writes numbered blocks to the second disk, flushed, and notes in memory what it wrote.
pub const WRITE: &str = "mkdir -p /tmp/at; { (i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); \
    b=$((i%64)); yes $i | head -c 8192 | dd of=/dev/vdb bs=8192 seek=$b conv=notrunc,fsync \
    2>/dev/null; echo $i > /tmp/at/$b; done; echo > /tmp/stopped) & }";

/// Compares the disk with the notes.
pub const VERIFY: &str = "touch /tmp/stop; until [ -e /tmp/stopped ]; do usleep 10000; done; \
    rm /tmp/stop /tmp/stopped; echo 3 > /proc/sys/vm/drop_caches; \
    for b in /tmp/at/*; do n=${b##*/}; \
    got=$(dd if=/dev/vdb bs=8192 skip=$n count=1 2>/dev/null | head -n 1); \
    [ $(cat $b) = $got ] || echo LO''ST $n; done; echo WRITTEN=$(ls /tmp/at | wc -l)";

/// Whether nothing is lost, by what `VERIFY` has printed.
pub fn is_whole(said: &str) -> bool {
    let written = said.rsplit("WRITTEN=").next().unwrap_or_default();
    let written: usize = written
        .lines()
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    written > 0 && !said.contains("LOST ")
}
