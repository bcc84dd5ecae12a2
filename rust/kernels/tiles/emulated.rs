//! The tile instructions in plain Rust: the fallback of nothing, but what loops and packing are tested with on every
//! machine, and what a processor's own are compared with before they are used.
//!
//! After Intel's manual, volume 2. Modelled are configured shapes, with zeros outside of them, the order of additions,
//! and that products of bfloat16 take and give 0 for subnormal numbers. Not modelled are faults, which are panics here,
//! and the bits of NaN.

use super::{Config, SIDE, Tiles};
use crate::kernels::{bf16, int8};

/// Eight tiles.
#[derive(Default)]
pub(in crate::kernels) struct Emulated([Tile; 8]);

#[derive(Default, Clone, Copy)]
struct Tile {
    rows: usize,
    /// Cells of a row.
    columns: usize,
    cells: [[u32; SIDE]; SIDE],
}

impl Emulated {
    fn tile(&mut self, number: u8) -> &mut Tile {
        let tile = &mut self.0[usize::from(number)];
        assert!(tile.rows > 0 && tile.columns > 0, "tile {number} is not configured");
        tile
    }

    /// `add(sum, x, w)` for the cells of each row of `x` and each column of `w`, cell after cell; `add` sees them all.
    fn add(&mut self, [sum, x, w]: [u8; 3], add: impl Fn(u32, &mut dyn Iterator<Item = (u32, u32)>) -> u32) {
        assert!(sum != x && sum != w && x != w, "one tile twice: {sum}, {x}, {w}");
        let [x, w] = [x, w].map(|number| *self.tile(number));
        let sum = self.tile(sum);
        assert!(sum.rows == x.rows && sum.columns == w.columns && x.columns == w.rows, "shapes that do not match");
        for (sums, x) in sum.cells.iter_mut().zip(x.cells).take(sum.rows) {
            for (column, sum) in sums.iter_mut().enumerate().take(sum.columns) {
                *sum = add(*sum, &mut x.into_iter().zip(w.cells.iter().map(|row| row[column])).take(w.rows));
            }
        }
    }
}

impl Tiles for Emulated {
    unsafe fn configure(&mut self, config: &Config) {
        assert!(config.palette == 1 && config.start_row == 0 && config.reserved == [0; 14]);
        for ((tile, &rows), &bytes) in self.0.iter_mut().zip(&config.rows).zip(&config.row_bytes) {
            assert!(usize::from(rows) <= SIDE && usize::from(bytes) <= SIDE * 4, "a tile too large");
            *tile = Tile { rows: usize::from(rows), columns: usize::from(bytes) / 4, ..Tile::default() };
        }
        assert!(config.rows[8..] == [0; 8] && config.row_bytes[8..] == [0; 8]);
    }

    unsafe fn release(&mut self) {
        *self = Self::default();
    }

    unsafe fn zero<const TILE: u8>(&mut self) {
        self.tile(TILE).cells = Tile::default().cells;
    }

    unsafe fn load<const TILE: u8>(&mut self, from: *const u32, stride: usize) {
        let tile = self.tile(TILE);
        tile.cells = Tile::default().cells;
        for (row, cells) in tile.cells.iter_mut().enumerate().take(tile.rows) {
            // SAFETY: the caller says that the rows can be read.
            let from = unsafe { std::slice::from_raw_parts(from.add(row * stride), tile.columns) };
            cells[..tile.columns].copy_from_slice(from);
        }
    }

    unsafe fn store<const TILE: u8>(&mut self, to: *mut f32, stride: usize) {
        let tile = self.tile(TILE);
        for (row, cells) in tile.cells.iter().enumerate().take(tile.rows) {
            // SAFETY: the caller says that the rows can be written.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(row * stride).cast::<u32>(), tile.columns) };
            to.copy_from_slice(&cells[..tile.columns]);
        }
    }

    unsafe fn add_quads<const SUM: u8, const X: u8, const W: u8>(&mut self) {
        self.add([SUM, X, W], |sum, cells| {
            cells.fold(sum, |sum, (x, w)| {
                let (w, x) = int8::widen(w, x);
                let products = w.iter().zip(x).map(|(w, x)| w * x).sum::<i32>();
                sum.wrapping_add(products as u32)
            })
        });
    }

    unsafe fn add_pairs<const SUM: u8, const X: u8, const W: u8>(&mut self) {
        self.add([SUM, X, W], |sum, cells| {
            // Those of the lower halves and those of the upper ones, each a chain of its own that begins at 0.
            let mut chains = [0.0; 2];
            for (x, w) in cells {
                for ((chain, x), w) in chains.iter_mut().zip(bf16::widen(x)).zip(bf16::widen(w)) {
                    *chain = flush(flush(x).mul_add(flush(w), *chain));
                }
            }
            flush(flush(f32::from_bits(sum)) + flush(chains[0] + chains[1])).to_bits()
        });
    }
}

/// 0 of the same sign in the place of a subnormal number.
fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0.0_f32.copysign(x) } else { x }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    /// Two rows of two cells, times two rows of cells of which the first column counts, added to `sum`.
    fn add(quads: bool, sum: u32, x: [[u32; 2]; 2], w: [u32; 2]) -> [u32; 2] {
        let mut config = Config::new(2);
        (config.row_bytes[4], config.rows[6]) = (8, 2);
        let w = w.map(|cell| [cell; SIDE]);
        let mut tiles = Emulated::default();
        let mut out = [[0.0_f32; SIDE]; 2];
        // SAFETY: arrays have the rows that are configured; those of `sum` are one.
        unsafe {
            tiles.configure(&config);
            tiles.load::<0>([sum; SIDE].as_ptr(), 0);
            tiles.load::<4>(x.as_ptr().cast(), 2);
            tiles.load::<6>(w.as_ptr().cast(), SIDE);
            if quads {
                tiles.add_quads::<0, 4, 6>();
            } else {
                tiles.add_pairs::<0, 4, 6>();
            }
            tiles.store::<0>(out.as_mut_ptr().cast(), SIDE);
        }
        out.map(|row| row[0].to_bits())
    }

    fn pair(low: f32, high: f32) -> u32 {
        u32::from(bf16::from_f32(low).to_bits()) | u32::from(bf16::from_f32(high).to_bits()) << 16
    }

    #[test]
    fn x_has_no_sign_and_weights_have_one() {
        let x = [[u32::from_le_bytes([255, 1, 0, 128]), 3], [0, u32::from_le_bytes([0, 0, 255, 0])]];
        let w = [u32::from_le_bytes([0x80, 0xff, 77, 1]), u32::from_le_bytes([2, 99, 127, 99])];
        let sums = add(true, 1_000, x, w).map(|sum| sum as i32);
        assert_eq!(sums, [1_000 - 255 * 128 - 1 + 128 + 3 * 2, 1_000 + 255 * 127]);
    }

    #[test]
    fn halves_have_chains_of_their_own_and_the_sum_comes_last() {
        // In one chain 2^24 + 1 - 2^24 + 1 is 1.
        let x = [[pair(4096.0, 1.0), pair(-4096.0, 1.0)], [pair(0.0, 3.0), 0]];
        let w = [pair(4096.0, 1.0); 2];
        let sums = add(false, 16_777_216.0_f32.to_bits(), x, w).map(f32::from_bits);
        assert_eq!(sums, [16_777_218.0, 16_777_220.0]);
    }

    #[test]
    fn subnormal_numbers_are_zero() {
        let tiny = 2.0_f32.powi(-70);
        // A product, then an operand, then the sum to begin with.
        let x = [[pair(tiny, 0.0), pair(f32::from_bits(0x10_0000), 0.0)], [0, 0]];
        let w = [pair(tiny, 0.0), pair(2.0_f32.powi(120), 0.0)];
        assert_eq!(add(false, 0, x, w), [0, 0]);
        assert_eq!(add(false, 0x0010_0000, x, w), [0, 0]);
    }

    #[test]
    #[should_panic(expected = "tile 3 is not configured")]
    fn a_tile_without_a_shape_is_no_tile() {
        // SAFETY: it panics before it does anything.
        unsafe { Emulated::default().zero::<3>() };
    }
}
