//! Checksums of files, as their publishers give them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use aws_lc_rs::digest::{self, Context};
use md5::{Digest, Md5};
use model::text::hex;
use serde::{Deserialize, Serialize};

use crate::StorageError;

/// Read at a time; all that a file of any length takes of memory.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// What a file's content must come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: ChecksumAlgorithm,
    /// Hexadecimal, in either case.
    pub expected: String,
}

/// A sum under way.
pub enum Hasher {
    /// Not safe against forgery, but many publishers offer nothing else.
    Md5(Md5),
    Sha(Context),
}

impl Hasher {
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let sha = match algorithm {
            ChecksumAlgorithm::Md5 => return Self::Md5(Md5::new()),
            ChecksumAlgorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ChecksumAlgorithm::Sha224 => &digest::SHA224,
            ChecksumAlgorithm::Sha256 => &digest::SHA256,
            ChecksumAlgorithm::Sha384 => &digest::SHA384,
            ChecksumAlgorithm::Sha512 => &digest::SHA512,
        };
        Self::Sha(Context::new(sha))
    }

    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(data),
            Self::Sha(sha) => sha.update(data),
        }
    }

    /// In lower case hexadecimal.
    pub fn finish(self) -> String {
        match self {
            Self::Md5(md5) => hex(&md5.finalize()),
            Self::Sha(sha) => hex(sha.finish().as_ref()),
        }
    }
}

impl Checksum {
    /// Holds a file against the sum. Blocks for as long as reading it takes.
    pub fn check(&self, file: &File) -> io::Result<Result<(), StorageError>> {
        let found = sum(file, self.algorithm)?;
        if found.eq_ignore_ascii_case(self.expected.trim()) {
            return Ok(Ok(()));
        }
        let expected = self.expected.clone();
        Ok(Err(StorageError::WrongChecksum { found, expected }))
    }
}

fn sum(file: &File, algorithm: ChecksumAlgorithm) -> io::Result<String> {
    let mut hasher = Hasher::new(algorithm);
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        match file.read_at(&mut chunk, offset)? {
            0 => return Ok(hasher.finish()),
            read => {
                hasher.update(&chunk[..read]);
                offset += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// What `md5sum`, `sha1sum`, … print of "abc"; RFC 1321 and FIPS 180-4 have them as examples.
    const OF_ABC: [(ChecksumAlgorithm, &str); 6] = [
        (ChecksumAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (
            ChecksumAlgorithm::Sha1,
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        (
            ChecksumAlgorithm::Sha224,
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            ChecksumAlgorithm::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            ChecksumAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            ChecksumAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];

    #[test]
    fn all_algorithms_of_the_schema() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        for (algorithm, expected) in OF_ABC {
            let right = Checksum {
                algorithm,
                expected: expected.to_uppercase(),
            };
            right.check(&file).unwrap().unwrap();
            let wrong = Checksum {
                algorithm,
                expected: "00".into(),
            };
            let error = wrong.check(&file).unwrap().unwrap_err();
            let text = format!("checksum mismatch: got '{expected}' != expect '00'");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_file_of_several_chunks() {
        let mut file = tempfile::tempfile().unwrap();
        let million = vec![b'a'; 1_000_000];
        file.write_all(&million).unwrap();
        let found = sum(&file, ChecksumAlgorithm::Sha1).unwrap();
        assert_eq!(found, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}
