//! `Position`: how far a node has followed the stream.

use crate::bytes::{Reader, put_text, sign, verified};
use crate::engine::{StreamInfo, StreamMessage};

/// The last message that a node has applied, and the stream that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) created: i128,
    pub(crate) last: StreamMessage,
    /// The stream has lost messages that this node had applied. It still has to tell the others.
    pub(crate) owes_loss: bool,
}

const VERSION: u8 = 1;

impl Position {
    /// The end of the stream.
    pub(crate) fn end_of(info: &StreamInfo) -> Self {
        Self { created: info.created, last: info.last.clone(), owes_loss: false }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.owes_loss)];
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.last.sequence.to_le_bytes());
        put_text(&mut out, &self.last.id);
        sign(&mut out);
        out
    }

    /// Returns `None` for a position that this version did not write: the node then flushes
    /// everything.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(verified(bytes)?);
        if reader.byte()? != VERSION {
            return None;
        }
        let owes_loss = reader.byte()? != 0;
        let created = i128::from_le_bytes(reader.take(16)?.try_into().ok()?);
        let last = StreamMessage { sequence: reader.number64()?, id: reader.text()? };
        reader.is_empty().then_some(Self { created, last, owes_loss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip_and_damage_is_noticed() {
        let last = StreamMessage { sequence: 7, id: "a-1-2".to_owned() };
        let position = Position { created: -5, last, owes_loss: true };
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes), Some(position));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Position::decode(&bytes), None);
        }
        assert_eq!(Position::decode(b""), None);
    }
}
