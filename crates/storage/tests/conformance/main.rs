//! One suite that holds every type of storage to what the traits promise.
//!
//! `dir` runs here, as root. `lvmthin` needs a kernel with device mapper and disks that may be
//! written to: the lab runs it (`crates/lab/tests`), with the group and the pool named by
//! `OSTLER_LVM_THIN=group/pool`. Each case begins and ends with a storage that holds nothing of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail where it stands, and looks at images with QEMU's own program"
)]

mod bed;
mod broken;
mod cases;
mod images;

use bed::Bed;

/// Makes one test of each case for each type of storage.
macro_rules! conforms {
    ($($case:ident),* $(,)?) => {
        mod dir {
            $(#[tokio::test]
            async fn $case() {
                if let Some(bed) = super::Bed::dir(stringify!($case)) {
                    super::cases::$case(&bed).await;
                }
            })*
        }

        mod lab_lvmthin {
            $(#[tokio::test]
            #[ignore = "needs the lab: ./x lab test"]
            async fn $case() {
                super::cases::$case(&super::Bed::lvmthin(stringify!($case))).await;
            })*
        }
    };
}

conforms! {
    an_image_reads_as_zeros_until_it_is_written,
    allocating_replaces_nothing,
    names_are_chosen_that_nothing_has,
    an_image_grows_and_keeps_its_content,
    renaming_moves_an_image_once,
    attaching_may_be_repeated_and_is_shared_by_readers,
    a_base_is_never_written,
    a_clone_shows_its_base_and_changes_apart,
    snapshots_keep_what_was_and_roll_back_in_any_order,
    a_snapshot_is_read_while_its_image_changes,
    freeing_takes_snapshots_along,
    names_of_others_are_refused,
    the_storage_says_how_full_it_is,
    every_call_may_break,
}
