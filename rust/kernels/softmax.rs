//! `exp(scale * x - max) / sum` over each row.

use super::arch::{Vector, math};

/// In three passes over a row: largest, exponentials with their sum, quotient.
#[inline(always)]
pub(super) fn softmax<V: Vector>(isa: V::Isa, xs: &mut [f32], cols: usize, scale: f32) {
    for row in xs.chunks_exact_mut(cols) {
        let factor = V::splat(isa, 1.0 / exponentials::<V>(isa, row, row.len(), scale));
        let mut chunks = row.chunks_exact_mut(V::LANES);
        for chunk in &mut chunks {
            (V::load(isa, chunk) * factor).store(chunk);
        }
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            (V::load_part(tail, factor) * factor).store_part(tail);
        }
    }
}

/// `exp(scale * x - max)` of the first `count` in place; their sum. Those behind them, up to a whole vector, become 0: some
/// lanes are stored slowly (`Vector::store_part`).
#[inline(always)]
pub(super) fn exponentials<V: Vector>(isa: V::Isa, row: &mut [f32], count: usize, scale: f32) -> f32 {
    // Its exponential is 0: what a row's last vector is filled up with counts neither as largest nor in the sum.
    let none = V::splat(isa, f32::NEG_INFINITY);
    let scale = V::splat(isa, scale);
    let (room, whole) = (row.len(), count / V::LANES * V::LANES);
    let mut largest = none;
    for chunk in row[..whole].chunks_exact(V::LANES) {
        largest = (V::load(isa, chunk) * scale).at_least(largest);
    }
    if whole < count {
        largest = (V::load_part(&row[whole..count], none) * scale).at_least(largest);
    }
    let largest = V::splat(isa, largest.largest());

    let mut sum = V::splat(isa, 0.0);
    for chunk in row[..whole].chunks_exact_mut(V::LANES) {
        let exp = math::exp(V::load(isa, chunk) * scale - largest);
        exp.store(chunk);
        sum = sum + exp;
    }
    if whole < count {
        let exp = math::exp(V::load_part(&row[whole..count], none) * scale - largest);
        exp.store_some(&mut row[whole..room.min(whole + V::LANES)]);
        sum = sum + exp;
    }
    sum.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::kernels::arch::{every, twins};

    /// A row's softmax by every instruction set, which all have to be as close to the twin's as `tolerance`.
    fn check(xs: &[f32], cols: usize, scale: f32, tolerance: f32) -> Vec<f32> {
        let (twin, others) = twins();
        let mut expected = xs.to_vec();
        twin.softmax(&mut expected, cols, scale);
        for (isa, kernels) in others {
            for start in 0..3 {
                let mut got = [&[f32::NAN; 3][..start], xs, &[7.5]].concat();
                kernels.softmax(&mut got[start..start + xs.len()], cols, scale);
                assert_eq!(got[start + xs.len()], 7.5, "{isa} wrote past the end");
                for (got, expected) in got[start..].iter().zip(&expected) {
                    let close = (got - expected).abs() <= tolerance * expected + 2e-38;
                    assert!(close || (got.is_nan() && expected.is_nan()), "{isa}: {got}, not {expected}");
                }
            }
        }
        expected
    }

    proptest! {
        #[test]
        fn every_instruction_set_is_close_to_the_twin(
            (cols, xs) in (1..=70_usize, 1..4_usize)
                .prop_flat_map(|(cols, rows)| (Just(cols), prop::collection::vec(-80.0..80.0_f32, cols * rows))),
            scale in 0.01..2.0_f32,
        ) {
            check(&xs, cols, scale, 1e-6);
        }
    }

    #[test]
    fn room_behind_a_row_changes_nothing_but_zeros() {
        for kernels in every() {
            for count in 1..40 {
                let mut alone: Vec<f32> = (0..count).map(|at| (at * 7 % 11) as f32).collect();
                let mut among = [&alone[..], &[7.5; 40]].concat();
                let sums = [kernels.exponentials(&mut alone, count, 0.3), kernels.exponentials(&mut among, count, 0.3)];
                assert_eq!(sums[0].to_bits(), sums[1].to_bits());
                let (row, behind) = among.split_at(count);
                let zeros = behind.iter().take_while(|&&x| x == 0.0).count();
                assert!(row == alone && zeros < 16 && behind[zeros..].iter().all(|&x| x == 7.5));
            }
        }
    }

    #[test]
    fn one_element_is_certain() {
        assert_eq!(check(&[3.0, -1e30, f32::MAX], 1, 0.5, 0.0), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn minus_infinity_has_no_share() {
        let none = f32::NEG_INFINITY;
        for cols in [2, 5, 8, 9, 16, 17, 40] {
            let mut xs = vec![none; cols];
            (xs[0], xs[cols - 1]) = (1.0, 1.0);
            let shares = check(&xs, cols, 0.125, 0.0);
            assert!(shares[0] == 0.5 && shares[cols - 1] == 0.5 && shares.iter().sum::<f32>() == 1.0);
        }
    }

    #[test]
    fn huge_values_do_not_overflow() {
        assert_eq!(check(&[3e38, -3e38, 3e38, 0.0], 4, 1.0, 0.0), [0.5, 0.0, 0.5, 0.0]);
    }

    #[test]
    fn a_row_without_an_answer_is_nan_and_the_next_is_not() {
        for bad in [f32::NAN, f32::INFINITY] {
            for place in [0, 3, 16, 19] {
                let mut xs = [0.0; 40];
                xs[place] = bad;
                let shares = check(&xs, 20, 1.0, 0.0);
                assert!(shares[..20].iter().all(|share| share.is_nan()) && shares[20..] == [0.05; 20]);
            }
        }
        assert!(check(&[f32::NEG_INFINITY; 9], 9, 1.0, 0.0).iter().all(|share| share.is_nan()));
    }
}
