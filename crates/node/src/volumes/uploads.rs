//! Uploads under way: files that another process fills, until a task takes them over.
//!
//! ```text
//!   open() ──► file ── claim() ──► a task's, by its id ── forget()
//!                │
//!                └ closed before it was claimed ──► forgotten, and with it the file
//! ```
//!
//! Such a file has no name, so that whatever dies — the client, the api, this agent — nothing
//! is left of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Error, ErrorKind, StorageId};
use sys::UploadFile;
use tokio::task::JoinSet;

/// Uploads that may be under way at a time.
const OPEN: usize = 64;

#[derive(Default)]
pub struct Uploads {
    open: Arc<Mutex<HashMap<String, Upload>>>,
    watchers: Mutex<JoinSet<()>>,
}

struct Upload {
    file: UploadFile,
    storage: StorageId,
    is_claimed: bool,
}

impl Uploads {
    /// Keeps a file until it is claimed or closed. `id` must be one that cannot be guessed: a caller
    /// who knows it may claim the file.
    pub fn open(&self, id: String, storage: StorageId, file: UploadFile) -> Result<(), Error> {
        let mut open = lock(&self.open);
        if open.len() >= OPEN {
            let text = format!("{OPEN} uploads are under way, try again later");
            return Err(Error::new(ErrorKind::Busy, text));
        }
        let upload = Upload {
            file: file.clone(),
            storage,
            is_claimed: false,
        };
        open.insert(id.clone(), upload);
        drop(open);
        let open = self.open.clone();
        let mut watchers = lock(&self.watchers);
        while watchers.try_join_next().is_some() {}
        watchers.spawn(async move {
            if let Err(error) = file.closed().await {
                tracing::error!(%error, "an upload cannot be watched");
            }
            let mut open = lock(&open);
            if open.get(&id).is_some_and(|upload| !upload.is_claimed) {
                open.remove(&id);
            }
        });
        Ok(())
    }

    /// From now on the file is kept until it is forgotten.
    pub fn claim(&self, id: &str, storage: &StorageId) -> Result<(), Error> {
        match lock(&self.open).get_mut(id) {
            Some(upload) if upload.storage == *storage && !upload.is_claimed => {
                upload.is_claimed = true;
                Ok(())
            }
            _ => Err(gone()),
        }
    }

    pub fn get(&self, id: &str) -> Result<UploadFile, Error> {
        lock(&self.open)
            .get(id)
            .map(|upload| upload.file.clone())
            .ok_or_else(gone)
    }

    pub fn forget(&self, id: &str) {
        lock(&self.open).remove(id);
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }
}

fn gone() -> Error {
    Error::unavailable("the uploaded file is not here any more; the node agent may have restarted")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    fn file() -> (UploadFile, OwnedFd) {
        UploadFile::new(OwnedFd::from(tempfile::tempfile().unwrap())).unwrap()
    }

    async fn emptied(uploads: &Uploads) {
        let emptied = async {
            while uploads.count() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), emptied)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_is_returned_unclaimed_is_forgotten() {
        let uploads = Uploads::default();
        let local: StorageId = "local".parse().unwrap();
        let ((first, given), (second, kept)) = (file(), file());
        uploads.open("a".into(), local.clone(), first).unwrap();
        uploads.open("b".into(), local.clone(), second).unwrap();
        assert!(uploads.claim("b", &"other".parse().unwrap()).is_err());
        uploads.claim("b", &local).unwrap();
        assert!(uploads.claim("b", &local).is_err(), "it is claimed once");
        drop((given, kept));
        let only_b = async {
            while uploads.get("a").is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), only_b)
            .await
            .unwrap();
        assert!(uploads.get("b").is_ok());
        uploads.forget("b");
        emptied(&uploads).await;
    }
}
