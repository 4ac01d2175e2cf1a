//! One suite that holds every type of storage to what the traits promise.
//!
//! `dir`, `btrfs`, `rbd`, `cephfs` and `iscsidirect` run here, as root. The others need kernels and disks that the lab has
//! (`crates/lab/tests/real/types.rs`); variables say where they are (`bed.rs`). Each case begins and
//! ends with a storage that holds nothing of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail where it stands, and looks at images with QEMU's own program"
)]

mod bed;
mod broken;
mod cases;
mod cephfs;
mod images;
mod iscsidirect;
mod lab_iscsi;
mod layers;
mod rbd;

/// Makes one test of each case for each type of storage that can do it.
macro_rules! conforms {
    ($module:ident, $bed:expr, [$($case:ident),* $(,)?]) => {
        mod $module {
            use crate::bed::Bed;

            $(#[tokio::test]
            async fn $case() {
                let bed: Option<Bed> = $bed(stringify!($case));
                if let Some(bed) = bed {
                    crate::cases::$case(&bed).await;
                }
            })*
        }
    };
    (lab $module:ident, $bed:expr, [$($case:ident),* $(,)?]) => {
        mod $module {
            use crate::bed::Bed;

            $(#[tokio::test]
            #[ignore = "needs the lab: ./x lab test"]
            async fn $case() {
                crate::cases::$case(&$bed(stringify!($case))).await;
            })*
        }
    };
}

/// The cases of types that can do everything.
macro_rules! conforms_fully {
    ($($start:tt)*) => {
        conforms! { $($start)* [
            an_image_reads_as_zeros_until_it_is_written,
            allocating_replaces_nothing,
            names_are_chosen_that_nothing_has,
            an_image_grows_and_keeps_its_content,
            renaming_moves_an_image_once,
            attaching_may_be_repeated_and_is_shared_by_readers,
            a_base_is_never_written,
            a_clone_shows_its_base_and_changes_apart,
            snapshots_keep_what_was_and_roll_back,
            a_snapshot_is_read_while_its_image_changes,
            freeing_takes_snapshots_along,
            names_of_others_are_refused,
            the_storage_says_how_full_it_is,
            every_call_may_break,
        ] }
    };
}

conforms_fully! { dir, Bed::dir, }
conforms_fully! { dir_chain, Bed::chain, }
conforms_fully! { btrfs, Bed::btrfs, }
conforms_fully! { lab lab_lvmthin, Bed::lvmthin, }
conforms_fully! { lab lab_zfspool, Bed::zfspool, }
conforms_fully! { lab lab_nfs, Bed::nfs, }

// The same driver as `nfs`, so its calls are not broken again.
conforms! { lab lab_cifs, Bed::cifs, [
    an_image_reads_as_zeros_until_it_is_written,
    allocating_replaces_nothing,
    an_image_grows_and_keeps_its_content,
    renaming_moves_an_image_once,
    a_clone_shows_its_base_and_changes_apart,
    snapshots_keep_what_was_and_roll_back,
    the_storage_says_how_full_it_is,
] }

// Neither snapshots nor linked clones.
conforms! { lab lab_lvm, Bed::lvm, [
    an_image_reads_as_zeros_until_it_is_written,
    allocating_replaces_nothing,
    names_are_chosen_that_nothing_has,
    an_image_grows_and_keeps_its_content,
    renaming_moves_an_image_once,
    attaching_may_be_repeated_and_is_shared_by_readers,
    a_mapping_of_another_volume_is_not_taken,
    names_of_others_are_refused,
    the_storage_says_how_full_it_is,
    every_call_may_break,
] }

// Snapshots as layers, on servers too.
conforms! { dir_layers, Bed::chain, [
    layers_are_merged_up_and_down,
    layers_of_others_are_not_believed,
    a_name_that_was_lost_is_given_back,
] }
conforms! { lab lab_nfs_chain, Bed::nfs_chain, [
    snapshots_keep_what_was_and_roll_back,
    a_snapshot_is_read_while_its_image_changes,
    freeing_takes_snapshots_along,
    layers_are_merged_up_and_down,
] }
conforms! { lab lab_cifs_chain, Bed::cifs_chain, [
    snapshots_keep_what_was_and_roll_back,
    freeing_takes_snapshots_along,
    layers_are_merged_up_and_down,
] }
conforms! { lab lab_lvm_chain, Bed::lvm_chain, [
    an_image_reads_as_zeros_until_it_is_written,
    allocating_replaces_nothing,
    names_are_chosen_that_nothing_has,
    an_image_grows_and_keeps_its_content,
    renaming_moves_an_image_once,
    attaching_may_be_repeated_and_is_shared_by_readers,
    a_mapping_of_another_volume_is_not_taken,
    snapshots_keep_what_was_and_roll_back,
    a_snapshot_is_read_while_its_image_changes,
    freeing_takes_snapshots_along,
    names_of_others_are_refused,
    the_storage_says_how_full_it_is,
    layers_are_merged_up_and_down,
    names_that_meet_stay_apart,
    a_naming_that_was_broken_off_is_ended,
] }
conforms! { lab lab_lvm_chain_broken, Bed::lvm_chain, [every_call_may_break] }

// Directories as volumes, for containers.
conforms! { dir_trees, Bed::dir, [trees_are_folders_of_their_own] }
conforms! { btrfs_trees, Bed::btrfs, [trees_are_folders_of_their_own] }
conforms! { lab lab_zfspool_trees, Bed::zfspool, [trees_are_folders_of_their_own] }
