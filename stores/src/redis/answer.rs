//! What answers say. One that fits no question of ours is an error like any other.

use ::redis::Value;
use bytes::Bytes;

use crate::{
    KeyValueError, StoreLimits, Usage,
    key_value::{KeyPage, Swap},
    limits,
    quota::{self, Change},
};

/// What became of an increment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// It was done.
    Is(i64),
    /// There is no integer, or the sum is none of 64 bits.
    NotAnInteger,
    /// The sum has more bytes, namely these, than a value may have.
    TooLong(usize),
}

/// The error for what no server of this kind answers.
pub(crate) fn nonsense() -> KeyValueError {
    KeyValueError::Unavailable("it gave an answer to another question".to_owned())
}

/// The answer of a script that writes, unless that refused to let a Store grow beyond `limits`.
pub(crate) fn unless_refused(answer: Value, limits: StoreLimits) -> Result<Value, KeyValueError> {
    let Value::Array(parts) = &answer else {
        return Ok(answer);
    };
    let [
        Value::Int(9),
        Value::Int(keys),
        Value::Int(bytes),
        Value::Int(added),
        Value::Int(grown),
    ] = parts.as_slice()
    else {
        return Ok(answer);
    };
    let held = Usage {
        keys: number(*keys)?,
        bytes: number(*bytes)?,
    };
    let change = Change {
        keys: *added,
        bytes: *grown,
    };
    quota::check(held, change, limits)?;
    Err(nonsense())
}

pub(crate) fn value(answer: Value) -> Result<Option<Bytes>, KeyValueError> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        _ => Err(nonsense()),
    }
}

/// Values of `asked` keys.
pub(crate) fn values(answer: Value, asked: usize) -> Result<Vec<Option<Bytes>>, KeyValueError> {
    match answer {
        Value::Array(values) if values.len() == asked => values.into_iter().map(value).collect(),
        Value::Int(bytes) => {
            limits::check_call_bytes(usize::try_from(bytes).unwrap_or(usize::MAX))?;
            Err(nonsense())
        }
        _ => Err(nonsense()),
    }
}

pub(crate) fn truth(answer: Value) -> Result<bool, KeyValueError> {
    match answer {
        Value::Int(number) => Ok(number != 0),
        _ => Err(nonsense()),
    }
}

pub(crate) fn page(answer: Value) -> Result<KeyPage, KeyValueError> {
    let [Value::Int(more), Value::Array(keys)] = parts(answer)? else {
        return Err(nonsense());
    };
    let key = |key| match key {
        Value::BulkString(bytes) => String::from_utf8(bytes)
            .map_err(|_| KeyValueError::Unavailable("its data is damaged".to_owned())),
        _ => Err(nonsense()),
    };
    Ok(KeyPage {
        keys: keys.into_iter().map(key).collect::<Result<_, _>>()?,
        more: more != 0,
    })
}

pub(crate) fn sum(answer: Value) -> Result<Sum, KeyValueError> {
    if let Value::Array(parts) = &answer {
        match parts.as_slice() {
            [Value::Int(0), Value::BulkString(sum)] => {
                let sum = std::str::from_utf8(sum)
                    .ok()
                    .and_then(|sum| sum.parse().ok());
                return sum.map(Sum::Is).ok_or_else(nonsense);
            }
            [Value::Int(1)] => return Ok(Sum::NotAnInteger),
            [Value::Int(2), Value::Int(bytes)] => {
                return Ok(Sum::TooLong(usize::try_from(*bytes).unwrap_or(usize::MAX)));
            }
            _ => {}
        }
    }
    Err(nonsense())
}

pub(crate) fn swap(answer: Value) -> Result<Swap, KeyValueError> {
    match answer {
        Value::Array(parts) if parts == [Value::Int(1)] => Ok(Swap::Done),
        answer => {
            let [Value::Int(0), current] = parts(answer)? else {
                return Err(nonsense());
            };
            Ok(Swap::Lost {
                current: value(current)?,
            })
        }
    }
}

pub(crate) fn usage(answer: Value) -> Result<Usage, KeyValueError> {
    let [Value::Int(keys), Value::Int(bytes)] = parts(answer)? else {
        return Err(nonsense());
    };
    Ok(Usage {
        keys: number(keys)?,
        bytes: number(bytes)?,
    })
}

fn number(number: i64) -> Result<u64, KeyValueError> {
    u64::try_from(number).map_err(|_| nonsense())
}

fn parts(answer: Value) -> Result<[Value; 2], KeyValueError> {
    match answer {
        Value::Array(parts) => parts.try_into().map_err(|_| nonsense()),
        _ => Err(nonsense()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_other_questions_are_errors() {
        for answer in [
            Value::Okay,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Int(7)]),
            Value::Array(vec![Value::Int(0), Value::Okay]),
            Value::Array(vec![Value::Int(-1), Value::Int(-1)]),
        ] {
            assert!(value(answer.clone()).is_err());
            assert!(values(answer.clone(), 3).is_err());
            assert!(truth(answer.clone()).is_err());
            assert!(page(answer.clone()).is_err());
            assert!(sum(answer.clone()).is_err());
            assert!(swap(answer.clone()).is_err());
            assert!(usage(answer).is_err());
        }
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let answer = |added, grown| Value::Array([9, 4, 90, added, grown].map(Value::Int).to_vec());
        let limits = StoreLimits {
            keys: Some(4),
            bytes: Some(100),
            ..StoreLimits::default()
        };
        let refused = |answer| unless_refused(answer, limits).unwrap_err().to_string();
        assert!(refused(answer(1, 5)).contains("5 keys"));
        assert!(refused(answer(0, 11)).contains("101 bytes"));
        assert_eq!(refused(answer(0, 0)), nonsense().to_string());
        let done = Value::Array(vec![Value::Int(1)]);
        assert_eq!(unless_refused(done.clone(), limits), Ok(done));
    }

    #[test]
    fn a_key_that_is_no_text_is_damage() {
        let key = Value::BulkString(vec![0xff]);
        let error = page(Value::Array(vec![Value::Int(0), Value::Array(vec![key])])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store is unavailable: its data is damaged"
        );
    }
}
