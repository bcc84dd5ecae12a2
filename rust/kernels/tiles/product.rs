//! Products by tiles.
//!
//! Panels of 64 outputs hold what tiles multiply as it is: 16 outputs' cells of 16 steps of `k` are a tile whose rows are a
//! panel's width apart; 16 cells of 16 rows of `x` are one, too.
//!
//! Sums stay in tiles over the whole depth, 16 cells at a time, from the first to the last. An output's order of
//! additions is that of the instruction, whatever the number of rows and whichever tile its row falls in.
//!
//! ```text
//! up to 16 rows, weights are waited for:           more rows, each tile loaded serves two products:
//!   x0 | C0 C1 C2 C3   a panel in one pass           x0 | C0 C1   half a panel at a time
//!                                                    x1 | C2 C3
//! ```

use std::ops::Range;

use super::{Config, SIDE, Tiles, W, X};
use crate::kernels::arch::Vector;
use crate::kernels::epilogue::Tile;
use crate::kernels::gemm::{Out, Panels, Product, WIDEST};

/// Outputs of a panel.
const WIDTH: usize = 4 * SIDE;

/// Rows that are computed together: those of one tile, or of two.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: usize,
    /// How far below the first tile the second one begins, if there is one.
    apart: Option<usize>,
    /// Rows of a tile.
    height: usize,
}

impl Block {
    /// All rows. The time of an instruction is in proportion to the rows of its tiles, and another configuration costs as
    /// much as several products: so tiles have one height, as little as possible, and the last one begins so early that it
    /// is whole. What it has in common with the one before is computed twice, to the same bits.
    fn all(rows: usize) -> impl Iterator<Item = Self> {
        let tiles = rows.div_ceil(SIDE);
        let height = rows.div_ceil(tiles.max(1));
        let first = move |tile: usize| (tile * height).min(rows - height);
        (0..tiles).step_by(2).map(move |tile| {
            let apart = (tile + 1 < tiles).then(|| first(tile + 1) - first(tile));
            Self { first: first(tile), apart, height }
        })
    }

    fn rows(self) -> Range<usize> {
        self.first..self.first + self.apart.unwrap_or(0) + self.height
    }
}

/// Of a depth that is not whole tiles, the last cells, filled up with zeros: they add nothing.
#[repr(align(64))]
struct Rest {
    x: [[u32; SIDE]; 2 * SIDE],
    w: [[u32; WIDTH]; SIDE],
}

/// Sums of a part of a panel.
#[repr(align(64))]
struct Part([f32; 2 * SIDE * WIDEST]);

/// Computes `panels` of a product.
///
/// # Safety
/// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
#[inline(always)]
pub(in crate::kernels) unsafe fn multiply<T: Tiles, V: Vector, const INTEGERS: bool>(
    isa: V::Isa,
    mut tiles: T,
    product: &Product<'_>,
    panels: Range<usize>,
) {
    let Panels { outputs, width, .. } = product.weights;
    assert!(width == WIDTH && INTEGERS == product.weights.integers.is_some());
    let Some(Block { height, .. }) = Block::all(product.rows).next() else { return };
    let mut rest = Rest { x: [[0; SIDE]; 2 * SIDE], w: [[0; WIDTH]; SIDE] };
    let mut part = Part([0.0; 2 * SIDE * WIDEST]);
    let part = Out::new(&mut part.0, WIDEST);
    // SAFETY: they are released below.
    unsafe { tiles.configure(&Config::new(height)) };
    for panel in panels {
        // Sums of a whole panel that nothing follows go to their place at once.
        let at_once = !INTEGERS && product.bias.is_none() && (panel + 1) * WIDTH <= outputs;
        for block in Block::all(product.rows) {
            let to = if at_once { product.out.from(block.first, panel * WIDTH) } else { part };
            // SAFETY: there is room for a panel's outputs of the block's rows; that nobody else has it is the caller's word.
            unsafe { add_up::<T, INTEGERS>(&mut tiles, product, panel, block, &mut rest, to.place()) };
            if !at_once {
                let tile = Tile { panel, first: block.first, rows: block.rows().len(), sums: part };
                // SAFETY: the caller's.
                unsafe { tile.finish::<V, INTEGERS>(isa, product) };
            }
        }
    }
    // SAFETY: all that they held is in memory.
    unsafe { tiles.release() };
}

/// Sums of one panel and the rows of a block, to rows that begin at `to.0` and are `to.1` apart.
///
/// # Safety
/// - They can be written.
/// - Tiles are configured for the height of the block.
#[inline(always)]
unsafe fn add_up<T: Tiles, const INTEGERS: bool>(
    tiles: &mut T,
    product: &Product<'_>,
    panel: usize,
    block: Block,
    rest: &mut Rest,
    to: (*mut f32, usize),
) {
    let Panels { cells, depth, integers, .. } = product.weights;
    let (x, stride) = (&product.cells[block.first * product.stride..], product.stride);
    let w = &cells[panel * depth * WIDTH..][..depth * WIDTH];
    assert!(x.len() >= (block.rows().len() - 1) * stride + depth);
    let starts = integers.map(|(starts, _)| starts[panel * WIDTH..][..WIDTH].as_ptr());
    let whole = depth / SIDE * SIDE;
    if whole < depth {
        for (rest, x) in rest.x.iter_mut().zip(x.chunks(stride.max(1))).take(block.rows().len()) {
            rest[..depth - whole].copy_from_slice(&x[whole..depth]);
        }
        rest.w.as_flattened_mut()[..(depth - whole) * WIDTH].copy_from_slice(&w[whole * WIDTH..]);
    }
    let steps = [
        Steps { count: whole / SIDE, x: x.as_ptr(), stride, w: w.as_ptr() },
        Steps { count: usize::from(whole < depth), x: rest.x.as_ptr().cast(), stride: SIDE, w: rest.w.as_ptr().cast() },
    ];
    // SAFETY: steps end where the depth does, or are those of the rest; what is written is the caller's.
    unsafe {
        match block.apart {
            None => one_row::<T, INTEGERS>(tiles, &steps, starts, to),
            Some(apart) => {
                for half in [0, WIDTH / 2] {
                    two_rows::<T, INTEGERS>(tiles, &steps, apart, half, starts, to);
                }
            }
        }
    }
}

/// Runs of tiles along `k`.
struct Steps {
    count: usize,
    x: *const u32,
    /// Cells from a row of `x` to the next.
    stride: usize,
    w: *const u32,
}

impl Steps {
    /// Where the tiles of each step begin.
    fn each(&self) -> impl Iterator<Item = (*const u32, *const u32)> {
        let &Self { count, x, w, .. } = self;
        (0..count).map(move |step| (x.wrapping_add(step * SIDE), w.wrapping_add(step * SIDE * WIDTH)))
    }
}

/// One tile of rows and all four of a panel.
///
/// # Safety
/// - That of [`add_up`], and all steps can be read.
#[inline(always)]
unsafe fn one_row<T: Tiles, const INTEGERS: bool>(
    tiles: &mut T,
    steps: &[Steps; 2],
    starts: Option<*const f32>,
    (to, stride): (*mut f32, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        begin::<T, 0>(tiles, starts, 0);
        begin::<T, 1>(tiles, starts, SIDE);
        begin::<T, 2>(tiles, starts, 2 * SIDE);
        begin::<T, 3>(tiles, starts, 3 * SIDE);
        for steps in steps {
            for (x, w) in steps.each() {
                tiles.load::<{ X[0] }>(x, steps.stride);
                tiles.load::<{ W[0] }>(w, WIDTH);
                add::<T, INTEGERS, 0, { X[0] }, { W[0] }>(tiles);
                tiles.load::<{ W[1] }>(w.wrapping_add(SIDE), WIDTH);
                add::<T, INTEGERS, 1, { X[0] }, { W[1] }>(tiles);
                tiles.load::<{ W[0] }>(w.wrapping_add(2 * SIDE), WIDTH);
                add::<T, INTEGERS, 2, { X[0] }, { W[0] }>(tiles);
                tiles.load::<{ W[1] }>(w.wrapping_add(3 * SIDE), WIDTH);
                add::<T, INTEGERS, 3, { X[0] }, { W[1] }>(tiles);
            }
        }
        tiles.store::<0>(to, stride);
        tiles.store::<1>(to.add(SIDE), stride);
        tiles.store::<2>(to.add(2 * SIDE), stride);
        tiles.store::<3>(to.add(3 * SIDE), stride);
    }
}

/// Two tiles of rows, of which the second begins `apart` rows below the first, and the two of a panel from `column` on.
///
/// # Safety
/// - That of [`one_row`].
#[inline(always)]
unsafe fn two_rows<T: Tiles, const INTEGERS: bool>(
    tiles: &mut T,
    steps: &[Steps; 2],
    apart: usize,
    column: usize,
    starts: Option<*const f32>,
    (to, stride): (*mut f32, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        begin::<T, 0>(tiles, starts, column);
        begin::<T, 1>(tiles, starts, column + SIDE);
        begin::<T, 2>(tiles, starts, column);
        begin::<T, 3>(tiles, starts, column + SIDE);
        for steps in steps {
            for (x, w) in steps.each() {
                tiles.load::<{ X[0] }>(x, steps.stride);
                tiles.load::<{ W[0] }>(w.wrapping_add(column), WIDTH);
                add::<T, INTEGERS, 0, { X[0] }, { W[0] }>(tiles);
                tiles.load::<{ W[1] }>(w.wrapping_add(column + SIDE), WIDTH);
                add::<T, INTEGERS, 1, { X[0] }, { W[1] }>(tiles);
                tiles.load::<{ X[1] }>(x.wrapping_add(apart * steps.stride), steps.stride);
                add::<T, INTEGERS, 2, { X[1] }, { W[0] }>(tiles);
                add::<T, INTEGERS, 3, { X[1] }, { W[1] }>(tiles);
            }
        }
        let (first, second) = (to.add(column), to.add(apart * stride + column));
        tiles.store::<0>(first, stride);
        tiles.store::<1>(first.add(SIDE), stride);
        tiles.store::<2>(second, stride);
        tiles.store::<3>(second.add(SIDE), stride);
    }
}

/// Every row of a tile of sums starts with the same 16 numbers: rows that are no distance apart.
///
/// # Safety
/// - That of [`Tiles::load`].
#[inline(always)]
unsafe fn begin<T: Tiles, const SUM: u8>(tiles: &mut T, starts: Option<*const f32>, column: usize) {
    // SAFETY: the caller's.
    unsafe {
        match starts {
            Some(starts) => tiles.load::<SUM>(starts.add(column).cast(), 0),
            None => tiles.zero::<SUM>(),
        }
    }
}

/// # Safety
/// - That of [`Tiles::add_quads`].
#[inline(always)]
unsafe fn add<T: Tiles, const INTEGERS: bool, const SUM: u8, const X: u8, const W: u8>(tiles: &mut T) {
    // SAFETY: the caller's.
    unsafe {
        if INTEGERS {
            tiles.add_quads::<SUM, X, W>();
        } else {
            tiles.add_pairs::<SUM, X, W>();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Emulated;
    use super::*;
    use crate::kernels::{bf16, int8};
    use crate::types::Dtype;

    /// Cells of numbers that are not rounded any more; of int8, of any.
    fn cells(dtype: Dtype, seed: u32, count: usize) -> Vec<u32> {
        let any = (0..count as u32).map(|at| (at + seed).wrapping_mul(0x9e37_79b9));
        any.map(|cell| if dtype == Dtype::Int8 { cell } else { cell & 0x807f_807f | 0x3f00_3f00 }).collect()
    }

    /// Sums of every row of one panel, by the loops over tiles.
    fn sums(product: &Product<'_>, panel: usize) -> Vec<[f32; WIDTH]> {
        let mut sums = vec![[f32::NAN; WIDTH]; product.rows];
        let mut rest = Rest { x: [[0; SIDE]; 2 * SIDE], w: [[0; WIDTH]; SIDE] };
        let mut tiles = Emulated::default();
        for block in Block::all(product.rows) {
            let to = (sums[block.rows()].as_mut_ptr().cast(), WIDTH);
            // SAFETY: the slice is as long as the block is high.
            unsafe {
                tiles.configure(&Config::new(block.height));
                match product.weights.dtype {
                    Dtype::Int8 => add_up::<_, true>(&mut tiles, product, panel, block, &mut rest, to),
                    _ => add_up::<_, false>(&mut tiles, product, panel, block, &mut rest, to),
                }
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_definition(rows in 1_usize..70, depth in 0_usize..50, apart in 0_usize..9) {
            for dtype in [Dtype::Int8, Dtype::Bfloat16] {
                let (x, w) = (cells(dtype, 1, rows * (depth + apart)), cells(dtype, 7, 2 * depth * WIDTH));
                let starts: Vec<_> = (0..2 * WIDTH as u32).map(|at| f32::from_bits(at * 977)).collect();
                let integers = (dtype == Dtype::Int8).then_some((&starts[..], &starts[..]));
                let weights = Panels { cells: &w, outputs: 2 * WIDTH, depth, width: WIDTH, dtype, integers };
                let (stride, out) = (depth + apart, Out::new(&mut [], 1));
                let product =
                    Product { rows, cells: &x, stride, factors: &[], weights, bias: None, gated: false, out };
                for (row, sums) in sums(&product, 1).iter().enumerate() {
                    for (output, &sum) in sums.iter().enumerate() {
                        let pairs = (0..depth).map(|k| (x[row * stride + k], w[(depth + k) * WIDTH + output]));
                        if dtype == Dtype::Int8 {
                            let products = pairs.map(|(x, w)| {
                                let (w, x) = int8::widen(w, x);
                                w.iter().zip(x).map(|(w, x)| w * x).sum::<i32>()
                            });
                            let exact = starts[WIDTH + output].to_bits() as i32 + products.sum::<i32>();
                            prop_assert_eq!(sum.to_bits() as i32, exact, "row {}, output {}", row, output);
                        } else {
                            let exact: f64 = pairs.flat_map(|(x, w)| {
                                let products = bf16::widen(x).into_iter().zip(bf16::widen(w));
                                products.map(|(x, w)| f64::from(x) * f64::from(w))
                            }).sum();
                            let close = (f64::from(sum) - exact).abs() < 1e-6 * (depth + 1) as f64;
                            prop_assert!(close, "row {}, output {}: {}, not {}", row, output, sum, exact);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_cover_all_rows_with_tiles_of_one_height() {
        assert!(Block::all(0).next().is_none());
        for rows in 1..700 {
            let blocks: Vec<_> = Block::all(rows).collect();
            let mut next = 0;
            for block in &blocks {
                assert!(block.height <= SIDE && block.height == blocks[0].height);
                assert!(block.first <= next && block.rows().end > next, "{rows} rows: {block:?}");
                assert!(block.apart.is_none_or(|apart| apart <= block.height));
                next = block.rows().end;
            }
            assert_eq!(next, rows);
        }
    }
}
