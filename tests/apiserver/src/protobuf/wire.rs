//! The wire format of protobuf: numbered fields.

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) payload: Payload<'a>,
}

/// What a field holds. Fixed-width numbers do not occur in what is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, in order; none if it is malformed.
pub(super) fn fields_of(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (tag, rest) = varint(bytes)?;
        let (payload, rest) = match tag & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                (Payload::Varint(value), rest)
            }
            1 => (Payload::Other, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let (taken, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Payload::Bytes(taken), rest)
            }
            5 => (Payload::Other, rest.get(4..)?),
            _ => return None,
        };
        fields.push(Field {
            number: tag >> 3,
            payload,
        });
        bytes = rest;
    }
    Some(fields)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_are_refused() {
        assert_eq!(
            fields_of(&[0x08, 0x96, 0x01]),
            Some(vec![Field {
                number: 1,
                payload: Payload::Varint(150)
            }])
        );
        for malformed in [&[0x08][..], &[0x0A, 5, 1], &[0xFF; 12], &[0x0B]] {
            assert_eq!(fields_of(malformed), None);
        }
    }
}
