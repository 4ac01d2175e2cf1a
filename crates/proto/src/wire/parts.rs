//! Bytes whose length is not known before, over a connection of which either side may die.
//!
//! ```text
//!   length (4 bytes, big-endian) · a part of the bytes, …  · length 0 · SHA-256 of all (32 bytes)
//! ```
//!
//! A connection that ends without the last two was cut: its reader never takes a part for the whole.

use std::io;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest part.
pub const PART: usize = 1 << 20;

/// The writing side.
pub struct PartWriter<T> {
    to: T,
    sum: Context,
}

impl<T: AsyncWrite + Unpin> PartWriter<T> {
    pub fn new(to: T) -> Self {
        Self {
            to,
            sum: Context::new(&SHA256),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PART) {
            self.sum.update(part);
            self.to.write_u32(part.len() as u32).await?;
            self.to.write_all(part).await?;
        }
        Ok(())
    }

    /// Says that this was all; answers the checksum.
    pub async fn finish(mut self) -> io::Result<[u8; SHA256_OUTPUT_LEN]> {
        let sum = bytes_of(self.sum);
        self.to.write_u32(0).await?;
        self.to.write_all(&sum).await?;
        self.to.flush().await?;
        Ok(sum)
    }
}

/// The reading side.
pub struct PartReader<T> {
    from: T,
    /// How much of the present part has not been read.
    left: usize,
    sum: Option<Context>,
}

impl<T: AsyncRead + Unpin> PartReader<T> {
    pub fn new(from: T) -> Self {
        Self {
            from,
            left: 0,
            sum: Some(Context::new(&SHA256)),
        }
    }

    /// Reads some bytes. 0 is the end of all, after its checksum was found right. `UnexpectedEof`
    /// where the connection ends before.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let Some(sum) = &mut self.sum else {
                return Ok(0);
            };
            self.left = self.from.read_u32().await? as usize;
            if self.left > PART {
                return Err(wrong("a part is too long"));
            }
            if self.left == 0 {
                let found = bytes_of(sum.clone());
                self.sum = None;
                return self.end(found).await;
            }
        }
        let wanted = into.len().min(self.left);
        let count = self.from.read(&mut into[..wanted]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(sum) = &mut self.sum {
            sum.update(&into[..count]);
        }
        self.left -= count;
        Ok(count)
    }

    /// Reads until the buffer is full or all has come; answers how much that is.
    pub async fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read(&mut into[filled..]).await? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    async fn end(&mut self, found: [u8; SHA256_OUTPUT_LEN]) -> io::Result<usize> {
        let mut said = [0; SHA256_OUTPUT_LEN];
        self.from.read_exact(&mut said).await?;
        match said == found {
            true => Ok(0),
            false => Err(wrong(
                "the checksum of what was received is not that of what was sent",
            )),
        }
    }
}

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn bytes_of(sum: Context) -> [u8; SHA256_OUTPUT_LEN] {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(sum.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(bytes: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut writer = PartWriter::new(&mut stream);
        writer.write(bytes).await.unwrap();
        writer.finish().await.unwrap();
        stream
    }

    async fn received(stream: &[u8]) -> io::Result<Vec<u8>> {
        let mut reader = PartReader::new(stream);
        let (mut all, mut some) = (Vec::new(), vec![0; 1000]);
        loop {
            match reader.read(&mut some).await? {
                0 => break,
                count => all.extend_from_slice(&some[..count]),
            }
        }
        // The end stays the end.
        assert_eq!(reader.read(&mut some).await?, 0);
        Ok(all)
    }

    #[tokio::test]
    async fn what_is_sent_is_received() {
        for length in [0, 1, PART, 2 * PART + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            assert_eq!(received(&sent(&bytes).await).await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_changed_is_noticed() {
        let whole = sent(b"all of it").await;
        for length in 0..whole.len() {
            let cut = received(&whole[..length]).await.unwrap_err();
            assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof, "{length}");
        }
        for (at, kind) in [
            (5, io::ErrorKind::InvalidData),
            (0, io::ErrorKind::InvalidData),
        ] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(received(&changed).await.unwrap_err().kind(), kind);
        }
    }
}
