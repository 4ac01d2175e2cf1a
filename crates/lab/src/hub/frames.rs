//! Ethernet frames in QEMU's stream sockets: a length of four bytes, big endian, and the frame.

/// The maximum length of a frame from these cards, including segmentation offload.
const FRAME_BYTES_MAX: usize = 80 * 1024;

/// A hardware address.
pub(super) type Mac = [u8; 6];

/// Bytes received from a card that are not complete frames yet.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<u8>);

impl Inbox {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Takes the complete frames; `None` if the stream is malformed.
    pub(super) fn take(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(header) = self.0.get(at..at + 4) {
            let length = u32::from_be_bytes(header.try_into().ok()?) as usize;
            if length > FRAME_BYTES_MAX {
                return None;
            }
            let Some(frame) = self.0.get(at + 4..at + 4 + length) else {
                break;
            };
            frames.push(frame.to_vec());
            at += 4 + length;
        }
        self.0.drain(..at);
        Some(frames)
    }
}

pub(super) fn destination(frame: &[u8]) -> Option<Mac> {
    frame.get(..6)?.try_into().ok()
}

pub(super) fn source(frame: &[u8]) -> Option<Mac> {
    frame.get(6..12)?.try_into().ok()
}

pub(super) fn ethertype(frame: &[u8]) -> u16 {
    match frame.get(12..14) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

/// Broadcast and multicast.
pub(super) fn is_for_many(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_came_in() {
        let mut wire = Vec::new();
        for length in [60_usize, 0, 1514] {
            wire.extend((length as u32).to_be_bytes());
            wire.extend(vec![7; length]);
        }
        let mut inbox = Inbox::default();
        let mut lengths = Vec::new();
        for part in wire.chunks(17) {
            inbox.add(part);
            lengths.extend(inbox.take().unwrap().iter().map(Vec::len));
        }
        assert_eq!(lengths, [60, 0, 1514]);
        inbox.add(&[0xff; 4]);
        assert!(inbox.take().is_none());
    }
}
