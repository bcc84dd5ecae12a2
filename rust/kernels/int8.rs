//! Rows of f32 as cells of four int8, and a factor for the row: `x ≈ factor * q` with `q` from -127 to 127.
//!
//! Weights are held as they are. What they are multiplied with is held as `q` plus a shift, as the instruction wants it; a
//! sum that starts with `-shift Σ w` is `Σ q w` at its end. Integers are exact: every instruction set gives the same bits,
//! in any order.

/// The shift where one operand has no sign: x86, and the plain twin.
pub(super) const UNSIGNED: i32 = 128;
/// The shift where both have one: Arm.
#[cfg_attr(not(any(test, target_arch = "aarch64")), expect(dead_code, reason = "of another architecture"))]
pub(super) const SIGNED: i32 = 0;
/// The largest `q`.
const LARGEST: f32 = 127.0;
/// 1.5 * 2^23: added to a number below 2^22 it leaves the nearest integer (ties to even) in the lower bits.
const ROUNDS: f32 = 12_582_912.0;

/// Longest rows: no sum of so many products leaves 32 bits.
pub(super) const MOST_INPUTS: usize = (i32::MAX as usize) / (255 * 127);

/// Cells of a row of so many numbers; the last one is filled up with what stands for 0.
pub(super) fn cells(numbers: usize) -> usize {
    numbers.div_ceil(4)
}

/// Turns rows of `inputs` numbers into rows of cells of `q + shift`, and gives the factor of each row: its largest number
/// divided by 127. A row that holds NaN or infinity has such a factor.
#[inline(always)]
pub(super) fn quantize(xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32], shift: i32) {
    for ((row, out), factor) in xs.chunks_exact(inputs).zip(rows.chunks_exact_mut(cells(inputs))).zip(factors) {
        let (scale, inverse) = range(row);
        *factor = scale;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        let (bytes, rest) = bytes.split_at_mut(inputs);
        for (byte, x) in bytes.iter_mut().zip(row) {
            *byte = ((x * inverse + (ROUNDS + shift as f32)).to_bits() & 0xff) as u8;
        }
        rest.fill(shift as u8);
    }
}

/// Turns the weights of one output into cells, and gives their factor and what sums start with where the other operand is
/// shifted.
pub(super) fn quantize_weights(row: &[f32], out: &mut [u32], shift: i32) -> (f32, i32) {
    let (scale, inverse) = range(row);
    let bytes: &mut [i8] = bytemuck::cast_slice_mut(out);
    bytes.fill(0);
    let mut sum = 0;
    for (byte, x) in bytes.iter_mut().zip(row) {
        *byte = ((x * inverse + ROUNDS).to_bits() & 0xff) as i8;
        sum += i32::from(*byte);
    }
    (scale, -shift * sum)
}

/// What a row's integers are to be multiplied with, and the numbers to become integers.
#[inline(always)]
fn range(row: &[f32]) -> (f32, f32) {
    // By their bits, as NaN and infinity are then larger than all others.
    let largest = row.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max);
    let largest = f32::from_bits(largest);
    // A row that is next to nothing has no inverse below infinity; its integers are 0.
    (largest / LARGEST, if largest < 1e-36 { 0.0 } else { LARGEST / largest })
}

/// The numbers of a cell of weights, and of one without a sign of what they are multiplied with.
pub(super) fn widen(w: u32, x: u32) -> ([i32; 4], [i32; 4]) {
    (w.to_le_bytes().map(|w| i32::from(w as i8)), x.to_le_bytes().map(i32::from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The row that cells and factor stand for.
    fn restored(cells: &[u32], inputs: usize, factor: f32, shift: i32) -> Vec<f32> {
        let bytes = cells.iter().flat_map(|cell| cell.to_le_bytes());
        assert!(bytes.clone().skip(inputs).all(|byte| i32::from(byte) == shift), "the rest does not stand for 0");
        // Without a shift a byte has its sign in its highest bit; with one it has none.
        let integer = |byte: u8| if shift == SIGNED { i32::from(byte as i8) } else { i32::from(byte) - shift };
        bytes.take(inputs).map(|byte| integer(byte) as f32 * factor).collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back_within_half_a_step(
            row in prop::collection::vec(-1e3_f32..1e3, 1..70), power in -30_i32..30,
        ) {
            let row: Vec<f32> = row.iter().map(|x| x * 2.0_f32.powi(power)).collect();
            for shift in [UNSIGNED, SIGNED] {
                let (mut out, mut factors) = (vec![0; cells(row.len())], [0.0]);
                quantize(&row, row.len(), &mut out, &mut factors, shift);
                for (x, back) in row.iter().zip(restored(&out, row.len(), factors[0], shift)) {
                    prop_assert!((x - back).abs() <= factors[0] * 0.501, "{} became {}", x, back);
                }
                let (factor, start) = quantize_weights(&row, &mut out, shift);
                prop_assert_eq!(factor, factors[0]);
                let sum: i32 = out.iter().flat_map(|&cell| widen(cell, 0).0).sum();
                prop_assert_eq!(start, -shift * sum);
            }
        }
    }

    #[test]
    fn what_is_not_finite_shows_in_the_factor() {
        let mut out = [0; 1];
        for (row, nan) in [([1.0, f32::NAN, 3.0], true), ([f32::INFINITY, f32::NAN, 0.0], true)] {
            let mut factors = [0.0];
            quantize(&row, 3, &mut out, &mut factors, UNSIGNED);
            assert_eq!(factors[0].is_nan(), nan);
        }
        let mut factors = [0.0];
        quantize(&[1.0, f32::NEG_INFINITY, 0.0], 3, &mut out, &mut factors, UNSIGNED);
        assert_eq!(factors[0], f32::INFINITY);
    }

    #[test]
    fn nothing_is_zero() {
        for row in [[0.0, -0.0, 0.0], [1e-45, 0.0, -1e-40]] {
            let (mut out, mut factors) = ([0; 1], [1.0]);
            quantize(&row, 3, &mut out, &mut factors, UNSIGNED);
            assert!(factors[0] < 1e-38);
            assert_eq!(out, [u32::from_le_bytes([128; 4])]);
        }
    }
}
