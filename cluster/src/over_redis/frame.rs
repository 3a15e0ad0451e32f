//! A message on the bus: who sent it, what it is about, what it says.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::{NodeIdentity, bus::Message};

/// Nodes of two adjacent versions talk to each other: what one does not know, it leaves alone.
const FORMAT: u8 = 1;

pub(super) fn packed(node: &NodeIdentity, topic: &str, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(21 + node.name.len() + topic.len() + payload.len());
    frame.put_u8(FORMAT);
    frame.put_slice(node.instance.as_bytes());
    for text in [node.name.as_str(), topic] {
        let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        frame.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        frame.put_slice(text);
    }
    frame.put_slice(payload);
    frame.freeze()
}

/// The run of a node that sent it, and the message; `None` for what is no message.
pub(super) fn unpacked(mut frame: Bytes) -> Option<(Uuid, Message)> {
    if frame.try_get_u8().ok()? != FORMAT {
        return None;
    }
    let mut instance = [0; 16];
    frame.try_copy_to_slice(&mut instance).ok()?;
    let mut text = || {
        let len = usize::from(frame.try_get_u16().ok()?);
        let text = (frame.len() >= len).then(|| frame.split_to(len))?;
        Some(std::str::from_utf8(&text).ok()?.into())
    };
    let (from, topic) = (text()?, text()?);
    Some((Uuid::from_bytes(instance), Message { from, topic, payload: frame }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(name in ".{0,40}", topic in ".{0,40}", payload: Vec<u8>) {
            let node = NodeIdentity::new(name);
            let (instance, message) = unpacked(packed(&node, &topic, &payload)).unwrap();
            prop_assert_eq!(instance, node.instance);
            prop_assert_eq!((&*message.from, &*message.topic), (node.name.as_str(), topic.as_str()));
            prop_assert_eq!(&message.payload[..], &payload[..]);
        }

        #[test]
        fn nothing_that_comes_along_is_a_panic(frame: Vec<u8>) {
            let mut known = vec![FORMAT];
            known.extend_from_slice(&frame);
            let _ = (unpacked(frame.into()), unpacked(known.into()));
        }
    }
}
