//! `(x - mean) / sqrt(variance + eps) * weight + bias` over each row, with the biased variance.

use super::arch::Vector;

/// The parameters of a layer normalization.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// One factor per column.
    pub weight: &'a [f32],
    /// One summand per column.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

impl Norm<'_> {
    /// The length of a row.
    pub fn width(&self) -> usize {
        self.weight.len()
    }
}

#[inline(always)]
pub(super) fn layer_norm<V: Vector>(isa: V::Isa, xs: &mut [f32], norm: Norm<'_>) {
    for row in xs.chunks_exact_mut(norm.width()) {
        normalize::<V>(isa, row, norm);
    }
}

#[inline(always)]
pub(super) fn add_layer_norm<V: Vector>(isa: V::Isa, xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>) {
    for (row, update) in xs.chunks_exact_mut(norm.width()).zip(update.chunks_exact(norm.width())) {
        add::<V>(isa, row, update, bias);
        normalize::<V>(isa, row, norm);
    }
}

/// `update + bias + row`, rounded twice as the reference's two additions are.
#[inline(always)]
fn add<V: Vector>(isa: V::Isa, row: &mut [f32], update: &[f32], bias: &[f32]) {
    let mut xs = row.chunks_exact_mut(V::LANES);
    let (updates, biases) = (update.chunks_exact(V::LANES), bias.chunks_exact(V::LANES));
    let (update, bias) = (updates.remainder(), biases.remainder());
    for ((x, update), bias) in (&mut xs).zip(updates).zip(biases) {
        (V::load(isa, update) + V::load(isa, bias) + V::load(isa, x)).store(x);
    }
    let x = xs.into_remainder();
    if !x.is_empty() {
        let zero = V::splat(isa, 0.0);
        (V::load_part(update, zero) + V::load_part(bias, zero) + V::load_part(x, zero)).store_part(x);
    }
}

/// Two passes, mean and then the variance of the differences (E[x^2] - mean^2 loses everything where the mean is large).
/// The mean is off by its own rounding, and with it every difference: the second pass measures by how much.
#[inline(always)]
fn normalize<V: Vector>(isa: V::Isa, row: &mut [f32], norm: Norm<'_>) {
    let share = 1.0 / row.len() as f32;
    let (sum, _) = moments::<V>(isa, row, 0.0);
    let mean = sum * share;
    let (sum, squares) = moments::<V>(isa, row, mean);
    let rest = sum * share;
    let variance = (squares * share - rest * rest).max(0.0);

    let factor = V::splat(isa, 1.0 / (variance + norm.eps).sqrt());
    let (mean, rest) = (V::splat(isa, mean), V::splat(isa, rest));
    let mut xs = row.chunks_exact_mut(V::LANES);
    let (weights, biases) = (norm.weight.chunks_exact(V::LANES), norm.bias.chunks_exact(V::LANES));
    let (weight, bias) = (weights.remainder(), biases.remainder());
    for ((x, weight), bias) in (&mut xs).zip(weights).zip(biases) {
        let normal = (V::load(isa, x) - mean - rest) * factor;
        normal.mul_add(V::load(isa, weight), V::load(isa, bias)).store(x);
    }
    let x = xs.into_remainder();
    if !x.is_empty() {
        let normal = (V::load_part(x, mean) - mean - rest) * factor;
        normal.mul_add(V::load_part(weight, mean), V::load_part(bias, mean)).store_part(x);
    }
}

/// The sums of `x - shift` and of its square. Four chains of each: in one, every addition waits for the one before, and
/// the norm takes 1.8 times as long with AVX2 and 1.4 with AVX-512 (Zen 5, 768 columns).
#[inline(always)]
fn moments<V: Vector>(isa: V::Isa, row: &[f32], shift: f32) -> (f32, f32) {
    let shift = V::splat(isa, shift);
    let zero = V::splat(isa, 0.0);
    let (mut sums, mut squares) = ([zero; 4], [zero; 4]);
    let groups = row.chunks_exact(4 * V::LANES);
    let rest = groups.remainder();
    for group in groups {
        for ((chunk, sum), square) in group.chunks_exact(V::LANES).zip(&mut sums).zip(&mut squares) {
            let x = V::load(isa, chunk) - shift;
            *sum = *sum + x;
            *square = x.mul_add(x, *square);
        }
    }
    let chunks = rest.chunks_exact(V::LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        let x = V::load(isa, chunk) - shift;
        sums[0] = sums[0] + x;
        squares[0] = x.mul_add(x, squares[0]);
    }
    if !tail.is_empty() {
        let x = V::load_part(tail, shift) - shift;
        sums[1] = sums[1] + x;
        squares[1] = x.mul_add(x, squares[1]);
    }
    let total = |chains: [V; 4]| ((chains[0] + chains[1]) + (chains[2] + chains[3])).sum();
    (total(sums), total(squares))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Norm;
    use crate::kernels::arch::{Kernels, twins};

    /// Both norms by every instruction set against the twin, each from three places in memory.
    fn check(xs: &[f32], bias: &[f32], update: &[f32], norm: Norm<'_>, tolerance: f32) {
        let (twin, others) = twins();
        for update in [None, Some(update)] {
            let run = |kernels: &dyn Kernels, xs: &mut [f32]| match update {
                None => kernels.layer_norm(xs, norm),
                Some(update) => kernels.add_layer_norm(xs, update, bias, norm),
            };
            let mut expected = xs.to_vec();
            run(twin, &mut expected);
            for &(isa, kernels) in &others {
                let results = [0, 1, 3].map(|start| {
                    let mut got = [&[f32::NAN; 3][..start], xs, &[7.5]].concat();
                    run(kernels, &mut got[start..start + xs.len()]);
                    assert_eq!(got.pop(), Some(7.5), "{isa} wrote past the end");
                    got.split_off(start)
                });
                assert!(results[0] == results[1] && results[0] == results[2], "{isa}: the place matters");
                for (index, (got, expected)) in results[0].iter().zip(&expected).enumerate() {
                    let error = (got - expected).abs();
                    assert!(error <= tolerance * expected.abs().max(1.0), "{isa}, {index}: {got}, not {expected}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_is_close_to_the_twin(
            (width, xs, update) in (1..=150_usize, 1..4_usize).prop_flat_map(|(width, rows)| {
                let numbers = || prop::collection::vec(-4.0..4.0_f32, width * rows);
                (Just(width), numbers(), numbers())
            }),
            weight in prop::collection::vec(-2.0..2.0_f32, 150),
            biases in prop::collection::vec(-2.0..2.0_f32, 300),
        ) {
            let norm = Norm { weight: &weight[..width], bias: &biases[..width], eps: 1e-5 };
            check(&xs, &biases[150..][..width], &update, norm, 4e-6);
        }
    }

    #[test]
    fn a_mean_of_200_deviations_costs_no_digits() {
        for width in [8, 23, 768, 1000] {
            let xs: Vec<_> = (0..width).map(|index| 200.0 + (index * 7919 % 1009) as f32 / 291.0 - 1.73).collect();
            let ones = vec![1.0; width];
            let zeros = vec![0.0; width];
            check(&xs, &zeros, &zeros, Norm { weight: &ones, bias: &zeros, eps: 1e-12 }, 2e-6);
        }
    }

    #[test]
    fn a_constant_row_is_the_bias() {
        for (isa, kernels) in twins().1 {
            for value in [0.0, 0.1, 1234.567, -1e20] {
                let mut xs = [value; 37];
                kernels.layer_norm(&mut xs, Norm { weight: &[3.0; 37], bias: &[0.5; 37], eps: 1e-5 });
                assert_eq!(xs, [0.5; 37], "{isa}: {value}");
            }
        }
    }

    #[test]
    fn nan_spoils_its_own_row_only() {
        let (twin, others) = twins();
        for kernels in others.into_iter().map(|other| other.1).chain([twin]) {
            let mut xs: Vec<_> = (0..60).map(|index| index as f32).collect();
            xs[19] = f32::NAN;
            kernels.layer_norm(&mut xs, Norm { weight: &[1.0; 20], bias: &[0.0; 20], eps: 1e-5 });
            assert!(xs[..20].iter().all(|x| x.is_nan()) && xs[20..].iter().all(|x| x.is_finite()));
        }
    }
}
