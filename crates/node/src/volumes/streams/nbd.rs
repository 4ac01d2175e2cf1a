//! A client of an export of QEMU's. Protocol: `doc/proto.md` of the Network Block Device project.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// `NBDMAGIC` and `IHAVEOPT`.
const GREETING: (u64, u64) = (0x4e42_444d_4147_4943, 0x4948_4156_454f_5054);
/// Fixed newstyle, without zeros after the answer.
const FLAGS: u32 = 0b11;
const EXPORT_NAME: u32 = 1;

const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

#[derive(Debug, Clone, Copy)]
enum Order {
    Read = 0,
    Write = 1,
    Flush = 3,
}

pub(super) struct Nbd {
    socket: UnixStream,
    bytes: u64,
    orders: u64,
}

impl Nbd {
    /// Opens an export.
    pub(super) async fn greet(mut socket: UnixStream, export: &str) -> io::Result<Self> {
        let greeting = (socket.read_u64().await?, socket.read_u64().await?);
        if greeting != GREETING {
            return Err(wrong("it is no server of NBD"));
        }
        let _flags = socket.read_u16().await?;
        socket.write_u32(FLAGS).await?;
        socket.write_u64(GREETING.1).await?;
        socket.write_u32(EXPORT_NAME).await?;
        socket.write_u32(export.len() as u32).await?;
        socket.write_all(export.as_bytes()).await?;
        let bytes = socket.read_u64().await?;
        let _flags = socket.read_u16().await?;
        Ok(Self {
            socket,
            bytes,
            orders: 0,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.order(Order::Read, offset, length).await?;
        self.reply().await?;
        let mut bytes = vec![0; length];
        self.socket.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    pub(super) async fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.order(Order::Write, offset, bytes.len()).await?;
        self.socket.write_all(bytes).await?;
        self.reply().await
    }

    /// Returns once all that was written is on the disk.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.order(Order::Flush, 0, 0).await?;
        self.reply().await
    }

    async fn order(&mut self, order: Order, offset: u64, length: usize) -> io::Result<()> {
        self.orders += 1;
        self.socket.write_u32(REQUEST).await?;
        self.socket.write_u16(0).await?;
        self.socket.write_u16(order as u16).await?;
        self.socket.write_u64(self.orders).await?;
        self.socket.write_u64(offset).await?;
        self.socket.write_u32(length as u32).await
    }

    async fn reply(&mut self) -> io::Result<()> {
        let magic = self.socket.read_u32().await?;
        let error = self.socket.read_u32().await?;
        let order = self.socket.read_u64().await?;
        if magic != REPLY || order != self.orders {
            return Err(wrong("the server of NBD answers out of order"));
        }
        match error {
            0 => Ok(()),
            // They are the numbers that Linux has.
            number => Err(io::Error::from_raw_os_error(number as i32)),
        }
    }
}

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
