//! Trees of packages: made behind the answer, and when an environment needs one.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hearth_image::{InProcess, PackageError, Reader, Unpacked, Unpacker, Wanted};
use hearth_types::limits::JUDGED_ZIP_BYTES;

use super::*;

/// Reads while its disk has room, and counts.
#[derive(Default, Debug)]
struct Disk {
    is_full: AtomicBool,
    reads: AtomicUsize,
}

impl Reader for Disk {
    fn read(&self, zip: &[u8], wanted: Wanted<'_>) -> Result<Unpacked, PackageError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_full.load(Ordering::SeqCst) {
            let cause = io::ErrorKind::StorageFull.into();
            return Err(PackageError::Disk { what: "writing a file".into(), cause });
        }
        InProcess.read(zip, wanted)
    }
}

/// A house whose packages are unpacked to this disk.
fn house_on(disk: &Arc<Disk>) -> House {
    let mut house = House::new();
    let unpacker = Unpacker::new(house.folder.path().join("disk"), Arc::clone(disk) as _).unwrap();
    house.trees = Arc::new(Trees::new(Arc::new(unpacker), Arc::clone(&house.blobs) as _));
    house.with_new_control(Installed::default())
}

/// What no deflating makes small.
fn large() -> Bytes {
    let mut state = 1_u32;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 24) as u8 % 90)
    });
    zip(&random.take(2 * JUDGED_ZIP_BYTES).collect::<String>())
}

#[tokio::test]
async fn a_small_package_is_answered_for_before_its_tree_is_made() {
    let disk = Arc::new(Disk { is_full: true.into(), ..Disk::default() });
    let house = house_on(&disk);
    house.created("f").await;
    assert_eq!((&house.configuration("f").await["State"], disk.reads.load(Ordering::SeqCst)), (&"Active".into(), 0));

    let digest = CodeDigest::of(&zip("one"));
    let why = house.trees.there(&digest).await.unwrap_err().to_string();
    assert!(why.contains(&digest.to_string()) && why.contains("writing a file"), "{why}");
    disk.is_full.store(false, Ordering::SeqCst);
    house.trees.there(&digest).await.unwrap();
}

#[tokio::test]
async fn a_large_package_is_refused_where_it_cannot_be_unpacked() {
    let disk = Arc::new(Disk { is_full: true.into(), ..Disk::default() });
    let house = house_on(&disk);
    house.created("f").await;
    let error = house.update_code(code_of("f", large())).await.unwrap_err();
    assert_eq!((error.kind.status, disk.reads.load(Ordering::SeqCst)), (500, 1));
    assert_eq!(house.blobs.list().await.unwrap(), [CodeDigest::of(&zip("one"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_many_need_is_made_once() {
    let disk = Arc::<Disk>::default();
    let house = house_on(&disk);
    house.created("f").await;
    let need = || {
        let trees = Arc::clone(&house.trees);
        tokio::spawn(async move { trees.there(&CodeDigest::of(&zip("one"))).await })
    };
    for needed in [(); 20].map(|()| need()) {
        needed.await.unwrap().unwrap();
    }
    assert_eq!(disk.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_package_that_is_no_zip_is_refused_without_a_reader() {
    let disk = Arc::<Disk>::default();
    let house = house_on(&disk);
    house.created("f").await;
    let mut broken = zip("two").to_vec();
    *broken.last_mut().unwrap() ^= 1;
    let error = house.update_code(code_of("f", broken.into())).await.unwrap_err();
    assert_eq!((error.kind.status, disk.reads.load(Ordering::SeqCst)), (400, 0));
}
