//! `exp(scale * x - max) / sum` over each row.

use super::arch::{Vector, math};

/// In three passes over a row: largest, exponentials with their sum, quotient.
#[inline(always)]
pub(super) fn softmax<V: Vector>(isa: V::Isa, xs: &mut [f32], cols: usize, scale: f32) {
    // Its exponential is 0: what a row's last vector is filled up with counts neither as largest nor in the sum.
    let none = V::splat(isa, f32::NEG_INFINITY);
    let scale = V::splat(isa, scale);
    for row in xs.chunks_exact_mut(cols) {
        let mut largest = none;
        let chunks = row.chunks_exact(V::LANES);
        let tail = chunks.remainder();
        for chunk in chunks {
            largest = (V::load(isa, chunk) * scale).at_least(largest);
        }
        if !tail.is_empty() {
            largest = (V::load_part(tail, none) * scale).at_least(largest);
        }
        let largest = V::splat(isa, largest.largest());

        let mut sum = V::splat(isa, 0.0);
        let mut chunks = row.chunks_exact_mut(V::LANES);
        for chunk in &mut chunks {
            let exp = math::exp(V::load(isa, chunk) * scale - largest);
            exp.store(chunk);
            sum = sum + exp;
        }
        // The tail stays in its register.
        let mut last = none;
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            last = math::exp(V::load_part(tail, none) * scale - largest);
            sum = sum + last;
        }
        let factor = V::splat(isa, 1.0 / sum.sum());

        let mut chunks = row.chunks_exact_mut(V::LANES);
        for chunk in &mut chunks {
            (V::load(isa, chunk) * factor).store(chunk);
        }
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            (last * factor).store_part(tail);
        }
    }
}
