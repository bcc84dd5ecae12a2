//! Rows of f32 as cells of two bfloat16 each: the upper half of an f32, rounded to the nearest, ties to even.

/// Cells of a row of so many numbers; the last one may hold one number and a zero.
pub(super) fn cells(numbers: usize) -> usize {
    numbers.div_ceil(2)
}

/// Turns rows of `inputs` numbers, each `stride` after the one before, into rows of cells, the first of two numbers in the
/// lower half.
#[inline(always)]
pub(super) fn narrow(xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) {
    for (row, out) in rows.chunks_exact_mut(cells(inputs)).enumerate() {
        let (pairs, rest) = xs[row * stride..][..inputs].as_chunks::<2>();
        for (cell, &[low, high]) in out.iter_mut().zip(pairs) {
            *cell = round(low) | round(high) << 16;
        }
        if let ([last], Some(cell)) = (rest, out.last_mut()) {
            *cell = round(*last);
        }
    }
}

/// Turns two rows into one of cells, the first row's numbers in the lower halves.
#[inline(always)]
pub(super) fn interleave(low: &[f32], high: &[f32], out: &mut [u32]) {
    for ((cell, &low), &high) in out.iter_mut().zip(low).zip(high) {
        *cell = round(low) | round(high) << 16;
    }
}

/// The bits of the nearest bfloat16. NaN stays NaN, what is too large becomes infinite.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

/// The two numbers of a cell.
pub(super) fn widen(cell: u32) -> [f32; 2] {
    [f32::from_bits(cell << 16), f32::from_bits(cell & 0xffff_0000)]
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::kernels::arch::every;

    #[test]
    fn rounding_is_that_of_the_half_crate() {
        let special = [0.0, -0.0, 1e-45, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY];
        let many = (0..=u32::MAX).step_by(65_521).map(f32::from_bits);
        for x in special.into_iter().chain(many) {
            let got = f32::from_bits(round(x) << 16);
            let expected = bf16::from_f32(x).to_f32();
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{x:e}: {got:e}");
        }
    }

    #[test]
    fn every_instruction_set_rounds_alike() {
        let special = [0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        let many = (0..=u32::MAX).step_by(65_521).map(f32::from_bits).filter(|x| !x.is_subnormal());
        let xs: Vec<f32> = special.into_iter().chain(many).collect();
        for kernels in every() {
            for inputs in (1..100).chain([511, 512, 767]) {
                let (stride, depth) = (inputs + 3, cells(inputs));
                let count = xs.len() / stride;
                let (mut expected, mut got) = (vec![0; count * depth], vec![7; count * depth + 1]);
                narrow(&xs, inputs, stride, &mut expected);
                kernels.narrow(&xs, inputs, stride, &mut got[..count * depth]);
                assert_eq!(got.pop(), Some(7), "wrote past the end");
                assert_eq!(got, expected, "{inputs} numbers in a row");
            }
        }
    }

    #[test]
    fn what_is_too_small_for_a_product_may_become_nothing() {
        for kernels in every() {
            let (xs, mut row) = ([1e-40, -1e-40], [7]);
            kernels.narrow(&xs, 2, 2, &mut row);
            assert!(row[0] == round(xs[0]) | round(xs[1]) << 16 || row[0] == 0x8000_0000, "{:x}", row[0]);
        }
    }

    #[test]
    fn an_odd_row_ends_with_a_zero() {
        let mut rows = [u32::MAX; 4];
        narrow(&[1.0, 2.0, 3.0, 9.0, -1.0, 0.5, 0.0], 3, 4, &mut rows);
        assert_eq!(rows.map(widen), [[1.0, 2.0], [3.0, 0.0], [-1.0, 0.5], [0.0, 0.0]]);
        let mut row = [0; 2];
        interleave(&[1.0, 2.0], &[3.0, 4.0], &mut row);
        assert_eq!(row.map(widen), [[1.0, 3.0], [2.0, 4.0]]);
    }
}
