//! The wire format of protocol buffers, as far as a foreign file needs it: the fields of a message, one after the other.
//!
//! Nothing is copied and nothing is allocated, so a length that lies is found before it costs anything. Groups, which
//! were dropped from the format in 2008, are refused.

/// One field: its number and what it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
}

/// A value as the wire has it; what it means depends on the field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// What is wrong with a message, for the end of a sentence.
pub(super) type Result<T> = std::result::Result<T, String>;

impl<'a> Field<'a> {
    /// A string or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        if let Value::Bytes(bytes) = self.value { Ok(bytes) } else { Err(self.unexpected("bytes")) }
    }

    pub(super) fn text(self) -> Result<&'a str> {
        let number = self.number;
        std::str::from_utf8(self.bytes()?).map_err(|error| format!("field {number}: expected UTF-8, {error}"))
    }

    /// An `int32` or an enumeration: negative numbers are written as 64 bits.
    pub(super) fn int(self) -> Result<i64> {
        if let Value::Varint(value) = self.value { Ok(value as i64) } else { Err(self.unexpected("a number")) }
    }

    pub(super) fn float(self) -> Result<f32> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.unexpected("a float")),
        }
    }

    fn unexpected(self, expected: &str) -> String {
        let got = match self.value {
            Value::Varint(_) => "a number",
            Value::Fixed64 => "8 bytes",
            Value::Bytes(_) => "bytes",
            Value::Fixed32(_) => "4 bytes",
        };
        format!("field {}: expected {expected}, got {got}", self.number)
    }
}

/// The fields of one message, until its end or its first fault.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>> {
    let tag = varint(rest)?;
    let number = tag >> 3;
    if number == 0 {
        return Err("a field has the number 0".to_owned());
    }
    let at = |message: String| format!("field {number}: {message}");
    let value = match tag & 7 {
        0 => Value::Varint(varint(rest).map_err(at)?),
        1 => take(rest, 8).map(|_| Value::Fixed64).map_err(at)?,
        2 => {
            let length = varint(rest).map_err(at)?;
            Value::Bytes(take(rest, length).map_err(at)?)
        }
        5 => {
            let bytes = take(rest, 4).map_err(at)?;
            Value::Fixed32([bytes[0], bytes[1], bytes[2], bytes[3]])
        }
        wire => return Err(at(format!("wire type {wire} is not known"))),
    };
    Ok(Field { number, value })
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (taken, left) = split.ok_or_else(|| format!("expected {length} bytes, got {}", rest.len()))?;
    *rest = left;
    Ok(taken)
}

/// Seven bits a byte, the lowest first; ten bytes hold 64 bits.
fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first().ok_or("a number is cut off")?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is longer than 10 bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(message: &[u8]) -> Result<Vec<Field<'_>>> {
        fields(message).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = [
            &[0x08, 0x96, 0x01][..],
            &[0x12, 0x02, b'h', b'i'],
            &[0x1d, 0, 0, 0x80, 0x3f],
            &[0x21, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xc0, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ]
        .concat();
        let fields = all(&message).unwrap();
        assert_eq!(fields.iter().map(|field| field.number).collect::<Vec<_>>(), [1, 2, 3, 4, 40]);
        assert_eq!(fields[0].int(), Ok(150));
        assert_eq!(fields[1].text(), Ok("hi"));
        assert_eq!(fields[2].float(), Ok(1.0));
        assert_eq!(fields[3].value, Value::Fixed64);
        assert_eq!(fields[4].int(), Ok(-1));
        assert_eq!(fields[1].int(), Err("field 2: expected a number, got bytes".to_owned()));
        assert_eq!(fields[3].bytes(), Err("field 4: expected bytes, got 8 bytes".to_owned()));
    }

    #[test]
    fn faults_are_named() {
        for (message, says) in [
            (&[0x80_u8][..], "a number is cut off"),
            (&[0x08], "field 1: a number is cut off"),
            (&[0xff; 11], "a number is longer than 10 bytes"),
            (&[0x00, 0x01], "a field has the number 0"),
            (&[0x0b], "field 1: wire type 3 is not known"),
            (&[0x12, 0x05, b'h', b'i'], "field 2: expected 5 bytes, got 2"),
            (&[0x1d, 1, 2], "field 3: expected 4 bytes, got 2"),
            (
                &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                "field 2: expected 18446744073709551615 bytes, got 0",
            ),
        ] {
            assert_eq!(all(message), Err(says.to_owned()));
        }
        let not_text = all(&[0x12, 0x01, 0xff]).unwrap()[0].text();
        assert!(not_text.unwrap_err().starts_with("field 2: expected UTF-8"));
    }

    proptest! {
        #[test]
        fn any_bytes_end(message in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(fields(&message).count() <= message.len());
        }
    }
}
