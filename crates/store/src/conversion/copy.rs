//! Copies the content of a store and compares it.

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    Commit, Entry, Key, PageToken, Precondition, Prefix, Read, Revision, Store, StoreError, limits,
    list_all,
};

/// What a store holds at a revision: two with the same count and digest hold the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub entries: u64,
    /// SHA-256 over all keys and values in order.
    pub digest: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the new store is not empty: it has '{0}'")]
    NotEmpty(Key),
    #[error("the new store differs from the old one: {found} of {expected} records, or others")]
    Differs { expected: u64, found: u64 },
}

impl From<ConversionError> for model::Error {
    fn from(error: ConversionError) -> Self {
        match error {
            ConversionError::Store(error) => error.into(),
            ConversionError::NotEmpty(_) => Self::conflict(error.to_string()),
            ConversionError::Differs { .. } => Self::bug(error.to_string()),
        }
    }
}

/// In the target; its value names the conversion, and says whether all has been copied.
const MARK: &str = "system/conversion";

/// In a saved state: what its owner keeps beside the content.
const LABEL: &str = "secret/saved";

fn mark() -> Key {
    Key::new(MARK).expect("a constant that is a key")
}

/// The key of what is kept in a saved state beside its content. It is not copied.
pub fn label() -> Key {
    Key::new(LABEL).expect("a constant that is a key")
}

/// Whether an entry is part of the content. What is bound to a lease ends with its holder's
/// session, and leases stay behind.
fn is_content(entry: &Entry) -> bool {
    entry.lease.is_none() && ![MARK, LABEL].contains(&entry.key.as_str())
}

/// All entries in order, page by page at one revision.
struct Pages<'a> {
    store: &'a dyn Store,
    from: Option<PageToken>,
    is_over: bool,
    revision: Revision,
}

impl<'a> Pages<'a> {
    fn of(store: &'a dyn Store) -> Self {
        Self {
            store,
            from: None,
            is_over: false,
            revision: Revision(0),
        }
    }

    /// The content of the next page.
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let from = self.from.take();
        let page = self.store.list(&Prefix::all(), from, Read::Linear).await?;
        (self.is_over, self.from) = (page.next.is_none(), page.next);
        self.revision = page.revision;
        Ok(Some(page.entries.into_iter().filter(is_content).collect()))
    }
}

/// Summarizes the content of a store at one revision, which is returned.
pub async fn summary(store: &dyn Store) -> Result<(Summary, Revision), StoreError> {
    let (mut pages, mut digest) = (Pages::of(store), Digest::new());
    while let Some(page) = pages.next().await? {
        page.iter().for_each(|entry| digest.add(entry));
    }
    Ok((digest.finish(), pages.revision))
}

/// A summary of entries that are added in order.
struct Digest {
    entries: u64,
    context: Context,
}

impl Digest {
    fn new() -> Self {
        Self {
            entries: 0,
            context: Context::new(&SHA256),
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        for part in [entry.key.as_str().as_bytes(), &entry.value] {
            self.context.update(&(part.len() as u64).to_be_bytes());
            self.context.update(part);
        }
    }

    fn finish(self) -> Summary {
        Summary {
            entries: self.entries,
            digest: self.context.finish().as_ref().to_vec(),
        }
    }
}

/// Copies the content of `from`, which must be sealed, to `to`, and compares the two.
///
/// `to` must be empty or hold what an earlier call with the same `name` left: a part is removed
/// first, a whole copy is only compared. `progress` gets the number of entries that are copied, and of all.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    name: &str,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Summary, ConversionError> {
    let (expected, _) = summary(from).await?;
    let whole = format!("{name}: complete");
    let (marked, _) = to.get(&mark(), Read::Linear).await?;
    match marked {
        Some(mark) if mark.value == whole.as_bytes() => {
            return compared(expected, to).await;
        }
        Some(mark) if mark.value == name.as_bytes() => clear(to).await?,
        _ => claim(to, name).await?,
    }
    let (mut pages, mut copied) = (Pages::of(from), 0);
    while let Some(page) = pages.next().await? {
        for chunk in chunks(page) {
            copied += chunk.len() as u64;
            put_all(to, chunk).await?;
            progress(copied, expected.entries);
        }
    }
    let copied = compared(expected, to).await?;
    to.commit(Commit::new().put(mark(), whole)).await?;
    Ok(copied)
}

/// Writes the content that `from` has at one moment into `to`, which is empty and whose users have not
/// come yet, and compares the two. Works without a majority: then it is the content of this node's
/// copy.
pub async fn save(from: &dyn Store, to: &dyn Store) -> Result<Summary, ConversionError> {
    let (mut entries, _) = list_all(from, &Prefix::all(), Read::Local).await?;
    entries.retain(is_content);
    let mut digest = Digest::new();
    entries.iter().for_each(|entry| digest.add(entry));
    for chunk in chunks(entries) {
        put_all(to, chunk).await?;
    }
    compared(digest.finish(), to).await
}

async fn put_all(to: &dyn Store, chunk: Vec<Entry>) -> Result<(), StoreError> {
    let put = |commit: Commit, entry: Entry| commit.put(entry.key, entry.value);
    let commit = chunk.into_iter().fold(Commit::new(), put);
    to.commit(commit).await.map(drop)
}

async fn compared(expected: Summary, to: &dyn Store) -> Result<Summary, ConversionError> {
    let (found, _) = summary(to).await?;
    match found == expected {
        true => Ok(expected),
        false => Err(ConversionError::Differs {
            expected: expected.entries,
            found: found.entries,
        }),
    }
}

/// Marks an empty store as target.
async fn claim(to: &dyn Store, name: &str) -> Result<(), ConversionError> {
    let page = to.list(&Prefix::all(), None, Read::Linear).await?;
    if let Some(entry) = page.entries.into_iter().next() {
        return Err(ConversionError::NotEmpty(entry.key));
    }
    let commit = Commit::new().when(Precondition::Absent(mark()));
    to.commit(commit.put(mark(), name)).await?;
    Ok(())
}

/// Removes a part of a copy.
async fn clear(to: &dyn Store) -> Result<(), StoreError> {
    let mut pages = Pages::of(to);
    while let Some(page) = pages.next().await? {
        for chunk in page.chunks(limits::WRITES_PER_COMMIT) {
            let delete = |commit: Commit, entry: &Entry| commit.delete(entry.key.clone());
            to.commit(chunk.iter().fold(Commit::new(), delete)).await?;
        }
    }
    Ok(())
}

/// Parts that fit into one commit each.
fn chunks(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut chunks: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let needed = entry.key.as_str().len() + entry.value.len();
        match chunks.last_mut() {
            Some(chunk)
                if chunk.len() < limits::WRITES_PER_COMMIT
                    && bytes + needed <= limits::COMMIT_BYTES =>
            {
                bytes += needed;
                chunk.push(entry);
            }
            _ => {
                bytes = needed;
                chunks.push(vec![entry]);
            }
        }
    }
    chunks
}
