//! The names of a virtual machine's disks, as the values of parameters.

/// The drives that have a size.
pub(super) const DISKS: &[&str] = &[
    "ide0",
    "ide1",
    "ide2",
    "ide3",
    "scsi0",
    "scsi1",
    "scsi2",
    "scsi3",
    "scsi4",
    "scsi5",
    "scsi6",
    "scsi7",
    "scsi8",
    "scsi9",
    "scsi10",
    "scsi11",
    "scsi12",
    "scsi13",
    "scsi14",
    "scsi15",
    "scsi16",
    "scsi17",
    "scsi18",
    "scsi19",
    "scsi20",
    "scsi21",
    "scsi22",
    "scsi23",
    "scsi24",
    "scsi25",
    "scsi26",
    "scsi27",
    "scsi28",
    "scsi29",
    "scsi30",
    "virtio0",
    "virtio1",
    "virtio2",
    "virtio3",
    "virtio4",
    "virtio5",
    "virtio6",
    "virtio7",
    "virtio8",
    "virtio9",
    "virtio10",
    "virtio11",
    "virtio12",
    "virtio13",
    "virtio14",
    "virtio15",
    "sata0",
    "sata1",
    "sata2",
    "sata3",
    "sata4",
    "sata5",
    "efidisk0",
    "tpmstate0",
];

/// `unused0` to `unused9`, `unused10` to `unused19`, … for each prefix.
macro_rules! unused {
    ($($tens:literal)*) => {
        [$(
            concat!("unused", $tens, "0"),
            concat!("unused", $tens, "1"),
            concat!("unused", $tens, "2"),
            concat!("unused", $tens, "3"),
            concat!("unused", $tens, "4"),
            concat!("unused", $tens, "5"),
            concat!("unused", $tens, "6"),
            concat!("unused", $tens, "7"),
            concat!("unused", $tens, "8"),
            concat!("unused", $tens, "9"),
        )*]
    };
}

/// More than exist, which end with 255.
const UNUSED: [&str; 260] = unused!(
    "" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "20"
    "21" "22" "23" "24" "25"
);
const UNUSED_COUNT: usize = 256;

/// What can be moved: disks, and unused volumes.
pub(super) const MOVABLE: &[&str] = &{
    let mut all = [""; DISKS.len() + UNUSED_COUNT];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < DISKS.len() {
            DISKS[at]
        } else {
            UNUSED[at - DISKS.len()]
        };
        at += 1;
    }
    all
};
