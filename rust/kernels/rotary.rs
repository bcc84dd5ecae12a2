//! Queries and keys are turned by their places: halves `x` and `y` of a row to `x cos - y sin` and `y cos + x sin`.

use super::arch::Vector;

/// Rows of `width` numbers, each `stride` after the one before, by `turns`, of each row the cosines of half a row, then the
/// sines. Rounded after every operation, as in the reference: all instruction sets give the same bits.
#[inline(always)]
pub(super) fn rotate<V: Vector>(
    isa: V::Isa,
    xs: &[f32],
    width: usize,
    stride: usize,
    turns: &[f32],
    turned: &mut [f32],
) {
    let half = width / 2;
    for ((xs, turns), turned) in xs.chunks(stride).zip(turns.chunks_exact(width)).zip(turned.chunks_exact_mut(width)) {
        let (xs, ys) = xs[..width].split_at(half);
        let (cosines, sines) = turns.split_at(half);
        let (turned_xs, turned_ys) = turned.split_at_mut(half);
        for first in (0..half).step_by(V::LANES) {
            let lanes = first..half.min(first + V::LANES);
            let (x, y) = (V::load_some(isa, &xs[lanes.clone()]), V::load_some(isa, &ys[lanes.clone()]));
            let (cos, sin) = (V::load_some(isa, &cosines[lanes.clone()]), V::load_some(isa, &sines[lanes.clone()]));
            (x * cos - y * sin).store_some(&mut turned_xs[lanes.clone()]);
            (y * cos + x * sin).store_some(&mut turned_ys[lanes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::arch::twins;

    #[test]
    fn every_instruction_set_has_the_bits_of_the_twin() {
        let (twin, others) = twins();
        for width in [2, 6, 16, 64, 70] {
            let (rows, stride) = (3, width + 5);
            let xs: Vec<f32> = (0..rows * stride).map(|at| (at * 37 % 101) as f32 / 10.0 - 5.0).collect();
            let angles = (0..rows * width).map(|at| (at * 7 % 23) as f32 / 5.0);
            let turns: Vec<f32> = angles.map(f32::cos).collect();
            let mut expected = vec![f32::NAN; rows * width];
            twin.rotate(&xs, width, stride, &turns, &mut expected);
            let half = width / 2;
            let (x, y) = (xs[stride + half - 1], xs[stride + width - 1]);
            let (cos, sin) = (turns[width + half - 1], turns[2 * width - 1]);
            assert_eq!(expected[width + half - 1], x * cos - y * sin);
            assert_eq!(expected[2 * width - 1], y * cos + x * sin);
            for &(isa, kernels) in &others {
                let mut got = vec![f32::NAN; rows * width];
                kernels.rotate(&xs, width, stride, &turns, &mut got);
                assert_eq!(got, expected, "{isa}, {width}");
            }
        }
    }
}
