//! Where a request stands in a trace: `traceparent` of the W3C, version 00.

use axum::http::{HeaderMap, HeaderValue};
use uuid::Uuid;

/// A request's trace, its own id in it, and who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) parent: Option<u64>,
    /// Whether who began the trace wants it recorded.
    pub(in super::super) sampled: bool,
}

impl Context {
    /// Continues the trace of a request's headers; where there is none, begins one if that is wanted.
    pub(in super::super) fn of(headers: &HeaderMap, begin: bool) -> Option<Self> {
        // The second half of a random UUID is never zero, which would mean none.
        let span = || Uuid::new_v4().as_u64_pair().1;
        match headers.get("traceparent").and_then(parse) {
            Some((trace, parent, sampled)) => Some(Self { trace, span: span(), parent: Some(parent), sampled }),
            None if begin => Some(Self { trace: Uuid::new_v4().as_u128(), span: span(), parent: None, sampled: true }),
            None => None,
        }
    }

    /// The trace's id as it is written.
    pub(in super::super) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// Trace, caller's span and whether it is sampled, of `00-<32 digits>-<16 digits>-<2 digits>`; later versions may append
/// more.
fn parse(value: &HeaderValue) -> Option<(u128, u64, bool)> {
    let mut parts = value.to_str().ok()?.split('-');
    let mut digits = |count: usize| {
        let part = parts.next()?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (part.len() == count && part.bytes().all(lower)).then_some(part)
    };
    let (version, trace, parent, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, parent, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn of(value: &str) -> Context {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        Context::of(&headers, true).unwrap()
    }

    #[test]
    fn a_trace_is_continued() {
        let context = of(&format!("00-{TRACE}-b7ad6b7169203331-01"));
        assert_eq!((context.trace_id().as_str(), context.parent), (TRACE, Some(0xb7ad_6b71_6920_3331)));
        assert!(context.sampled && context.span != 0);
        assert!(!of(&format!("00-{TRACE}-b7ad6b7169203331-00")).sampled);
        assert_eq!(of(&format!("01-{TRACE}-b7ad6b7169203331-01-more")).trace_id(), TRACE);
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        let zeros = "0".repeat(32);
        for value in [
            "",
            "my text",
            &format!("00-{TRACE}-b7ad6b7169203331"),
            &format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            &format!("ff-{TRACE}-b7ad6b7169203331-01"),
            &format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            &format!("00-{zeros}-b7ad6b7169203331-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
        ] {
            let context = of(value);
            assert!(context.parent.is_none() && context.sampled && context.trace_id() != TRACE, "{value}");
        }
        assert_ne!(of("").trace, of("").trace);
        assert_eq!(Context::of(&HeaderMap::new(), false), None);
    }
}
