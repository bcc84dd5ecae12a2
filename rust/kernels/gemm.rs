//! `y = x Wᵀ` with packed weights: blocking and packing once, for every type of number and every instruction set.
//!
//! Both operands are rows of *cells* of 32 bits: one f32, two bf16, or four int8. A cell of `x` is spread over a vector
//! and multiplied with a vector of cells of `W`; what an instruction does with the two is all that differs.
//!
//! Every output is one chain of additions over `k`, from the first to the last, in one lane of one accumulator. That
//! order does not depend on the number of rows, on the tile a row falls in, on the batch, or on the number of threads:
//! a row has the same bits alone and among others. `k` is never split over threads.
//!
//! ```text
//! W, packed: panels of PANEL outputs      one tile: ROWS x PANEL accumulators in registers
//!   [ k=0: o0 o1 … o63 | k=1: o0 … ]        for k: load PANEL cells of W, spread ROWS cells of x, multiply-add
//! ```

use std::marker::PhantomData;
use std::ops::Range;

use super::Activation;
use super::arch::Vector;
use super::epilogue::Tile;
use super::micro::Micro;
use crate::types::Dtype;

/// Cells of `k` that are worked off at a time: with [`ROW_BYTES`] it keeps a panel's part (256 KiB with 64 outputs) and
/// the rows' part in the second-level cache.
const K_BLOCK: usize = 1024;
/// Bytes of `x` that are worked off at a time.
const ROW_BYTES: usize = 512 * 1024;

/// A packed matrix as the product sees it.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    /// Panel after panel, each `depth` times `width` cells.
    pub cells: &'a [u32],
    /// Rows of the matrix; the last panel may have fewer than `width`.
    pub outputs: usize,
    /// Cells of a row.
    pub depth: usize,
    /// Outputs of a panel.
    pub width: usize,
    /// What a cell holds, here and in `x`.
    pub dtype: Dtype,
    /// Of int8: what the sum of each output starts with (the bits of an i32) and its factor; for whole panels.
    pub integers: Option<(&'a [f32], &'a [f32])>,
}

impl Panels<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }
}

/// One product, ready to be shared out by panels.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    /// Rows of `x`.
    pub rows: usize,
    /// `x`, rows of `stride` cells of which the first `weights.depth` count.
    pub cells: &'a [u32],
    pub stride: usize,
    /// Of int8: each row's factor.
    pub factors: &'a [f32],
    pub weights: Panels<'a>,
    /// Added at the end, and the activation after it.
    pub bias: Option<(&'a [f32], Activation)>,
    /// Whether the first half of each panel is activated and multiplied with the second one, and so has half as many
    /// columns; then there is a bias, for whole panels.
    pub gated: bool,
    pub out: Out<'a>,
}

impl Product<'_> {
    /// The same of some of its rows.
    pub(super) fn of(self, rows: Range<usize>) -> Self {
        let cells = &self.cells[rows.start * self.stride..];
        let factors = self.factors.get(rows.clone()).unwrap_or_default(); // none but of int8
        Self { rows: rows.len(), cells, factors, out: self.out.from(rows.start, 0), ..self }
    }

    /// The columns of `out` that belong to a panel: fewer for the last one.
    #[inline(always)]
    pub(super) fn columns(&self, panel: usize) -> Range<usize> {
        let Panels { outputs, width, .. } = self.weights;
        let (width, outputs) = if self.gated { (width / 2, self.out.columns) } else { (width, outputs) };
        panel * width..outputs.min((panel + 1) * width)
    }
}

/// Rows of f32 whose columns are written by several threads, each its own.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    _borrowed: PhantomData<&'a mut [f32]>,
}

#[allow(unsafe_code)]
// SAFETY: it is a `&mut [f32]` that threads share column by column; `Out::row` says what keeps them apart.
unsafe impl Send for Out<'_> {}
#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    /// Rows of `stride`.
    pub(super) fn new(values: &'a mut [f32], stride: usize) -> Self {
        let rows = values.len().checked_div(stride).unwrap_or(0);
        Self { start: values.as_mut_ptr(), rows, columns: stride, stride, _borrowed: PhantomData }
    }

    /// Its rows and columns from these on.
    #[inline(always)]
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        debug_assert!(row <= self.rows && column <= self.columns);
        let start = self.start.wrapping_add(row * self.stride + column);
        Self { start, rows: self.rows - row, columns: self.columns - column, ..self }
    }

    /// Where it begins, and how far apart rows are, for instructions that write several rows.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn place(self) -> (*mut f32, usize) {
        (self.start, self.stride)
    }

    /// `width` columns of a row.
    ///
    /// # Safety
    /// - No other slice of these columns of this row is alive.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub(super) unsafe fn row(self, row: usize, column: usize, width: usize) -> &'a mut [f32] {
        debug_assert!(row < self.rows && column + width <= self.columns);
        // SAFETY: inside of the slice that `new` was given; that nobody else has it is the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride + column), width) }
    }
}

/// Whether so many rows of so many cells stay in the cache while panel after panel is multiplied with them.
pub(super) fn stays(rows: usize, depth: usize) -> bool {
    depth <= K_BLOCK && rows * depth * size_of::<u32>() <= ROW_BYTES
}

/// Rows of the tallest tile. With 8 rows, which pass over a panel twice, tiles of 12 rows and half a panel took 1.8 times as
/// long.
const ROWS: usize = 6;
/// Cells of a line of memory.
const LINE: usize = 16;
/// How far ahead a tile's own panel is fetched: 8 KiB with 64 outputs. 4 to 16 KiB took as long.
const STEPS_AHEAD: usize = 32;
/// Outputs of the widest panel.
pub(super) const WIDEST: usize = 64;

/// Computes `panels` of a product with tiles of `VECTORS` vectors side by side, of a panel's `PANEL`: half of them, where
/// there are no more outputs.
///
/// # Safety
/// - That of [`Kernels::multiply`](super::arch::Kernels::multiply).
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn multiply<M: Micro, const PANEL: usize, const VECTORS: usize>(
    isa: <M::Lanes as Vector>::Isa,
    product: &Product<'_>,
    panels: Range<usize>,
) {
    let Panels { depth: cells, width, outputs, integers, .. } = product.weights;
    // Where columns are half of the outputs, sums have no place to wait at.
    let steps = if product.gated { 1 } else { cells.div_ceil(K_BLOCK).max(1) };
    let depth = cells.div_ceil(steps).max(1);
    let tall = (ROW_BYTES / (4 * depth)).max(ROWS) / ROWS * ROWS;
    let mut scratch = [0.0; WIDEST * ROWS];
    let scratch = Out::new(&mut scratch, WIDEST);
    for top in (0..product.rows).step_by(tall) {
        // Rows are shared out evenly over the tiles: 8 are 4 and 4, not 6 and 2.
        let rows = tall.min(product.rows - top);
        let tiles = rows.div_ceil(ROWS);
        for step in 0..steps {
            let k = step * depth..cells.min((step + 1) * depth);
            let (starts, ends) = (step == 0, step + 1 == steps);
            let plain = !ends || integers.is_none() && product.bias.is_none();
            for panel in panels.clone() {
                for tile in 0..tiles {
                    let rows = top + tile * rows / tiles..top + (tile + 1) * rows / tiles;
                    let ahead = Ahead::new(product, panel, tile, tiles, &k);
                    let place = Place { panel, first: rows.start, k: k.clone(), starts, ahead };
                    // Whole vectors of sums that nothing follows go to their place at once.
                    let at_once = plain && panel * width + M::Lanes::LANES * VECTORS <= outputs;
                    let to = if at_once { product.out.from(rows.start, panel * width) } else { scratch };
                    let tile = Tile { panel, first: rows.start, rows: rows.len(), sums: scratch };
                    // SAFETY: the caller's; the scratch memory is ours alone.
                    unsafe {
                        if !starts {
                            tile.resume(product);
                        }
                        match (rows.len(), place.ahead.few) {
                            (1, _) => accumulate::<M, 1, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            (2, _) => accumulate::<M, 2, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            (3, _) => accumulate::<M, 3, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            (4, true) => accumulate::<M, 4, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            (4, false) => accumulate::<M, 4, PANEL, VECTORS, false>(isa, product, place, scratch, to),
                            (5, true) => accumulate::<M, 5, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            (5, false) => accumulate::<M, 5, PANEL, VECTORS, false>(isa, product, place, scratch, to),
                            (_, true) => accumulate::<M, ROWS, PANEL, VECTORS, true>(isa, product, place, scratch, to),
                            _ => accumulate::<M, ROWS, PANEL, VECTORS, false>(isa, product, place, scratch, to),
                        }
                        if at_once {
                            continue;
                        }
                        match (ends, integers.is_some()) {
                            (false, _) => tile.suspend(product),
                            (true, false) => tile.finish::<M::Lanes, false>(isa, product),
                            (true, true) => tile.finish::<M::Lanes, true>(isa, product),
                        }
                    }
                }
            }
        }
    }
}

/// What a tile fetches with every step of `k`, so that memory and arithmetic are busy at the same time.
struct Ahead {
    /// Cells of the next panel from here on.
    next: *const u32,
    /// So many of them with every step.
    stride: usize,
    /// Whether it is one of so few tiles that a line with every step would not be the whole panel.
    few: bool,
    /// Whether the tile's own panel is fetched, too, [`STEPS_AHEAD`].
    own: bool,
}

impl Ahead {
    /// The next panel is fetched evenly while all tiles of this one are computed (0.87 of the time with 32 rows, and again with
    /// 8). Fetches get lost where memory can't keep up, so the first of few tiles asks for its own panel once more (0.9 with 8
    /// rows, Zen 4).
    fn new(product: &Product<'_>, panel: usize, tile: usize, tiles: usize, k: &Range<usize>) -> Self {
        let Panels { cells, depth, width, .. } = product.weights;
        let (few, stride) = (tiles * LINE <= width, width.div_ceil(tiles));
        let next = (panel + 1) * depth * width + k.start * width + tile * k.len() * stride;
        let (next, stride) = match cells.get(next..) {
            Some(next) if !next.is_empty() => (next.as_ptr(), stride),
            _ => (cells.as_ptr(), 0),
        };
        Self { next, stride, few, own: few && tile == 0 }
    }
}

/// Where in the product a tile lies.
struct Place {
    panel: usize,
    first: usize,
    k: Range<usize>,
    /// Whether `k` is the first part: nothing is there to go on with.
    starts: bool,
    ahead: Ahead,
}

/// The sums of a tile of `COUNT` rows, on top of those in `scratch` unless it starts. Loops and no closures: a closure that
/// is not inlined could not use the instructions. Whether it is one of `FEW` tiles is known to the compiler, as a branch
/// with every step costs many tiles 1.02. Many fetch into the first-level cache, where nothing gets lost (0.97 of the time
/// with 32 rows, Zen 4); few, with several lines at every step, would wait for it (1.3 with 8 rows).
///
/// # Safety
/// - That of [`multiply`], and nobody else uses `scratch` and, of `into`, the first `COUNT` rows' first vectors.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn accumulate<M: Micro, const COUNT: usize, const PANEL: usize, const VECTORS: usize, const FEW: bool>(
    isa: <M::Lanes as Vector>::Isa,
    product: &Product<'_>,
    place: Place,
    scratch: Out<'_>,
    into: Out<'_>,
) {
    let (lanes, used) = (M::Lanes::LANES, M::Lanes::LANES * VECTORS);
    let Panels { cells, depth, width, integers, .. } = product.weights;
    assert!(width == lanes * PANEL && used <= width && width <= WIDEST && M::INTEGERS == integers.is_some());
    let (column, k, ahead) = (place.panel * width, place.k, place.ahead);
    let panel = &cells[place.panel * depth * width..][k.start * width..k.end * width];
    let mut rows: [&[u32]; COUNT] = [&[]; COUNT];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = &product.cells[(place.first + index) * product.stride..][k.clone()];
    }

    let mut begin = [M::Lanes::splat(isa, 0.0); VECTORS];
    if let Some((starts, _)) = integers {
        for (begin, starts) in begin.iter_mut().zip(starts[column..][..used].chunks_exact(lanes)) {
            *begin = M::Lanes::load(isa, starts);
        }
    }
    let mut sums = [begin; COUNT];
    if !place.starts {
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's; the slice is gone before the next one is made.
            let so_far = unsafe { scratch.row(row, 0, used) };
            for (sum, lanes) in sums.iter_mut().zip(so_far.chunks_exact(lanes)) {
                *sum = M::Lanes::load(isa, lanes);
            }
        }
    }

    for k in 0..k.len() {
        for line in (0..if FEW { width } else { LINE }).step_by(LINE) {
            M::Lanes::fetch::<FEW>(isa, ahead.next.wrapping_add(k * ahead.stride + line));
            if FEW && ahead.own {
                M::Lanes::fetch::<FEW>(isa, panel.as_ptr().wrapping_add((k + STEPS_AHEAD) * width + line));
            }
        }
        // SAFETY: the panel has `width` cells for each `k`.
        let mut w = [unsafe { M::Lanes::load_cells(isa, panel.as_ptr().add(k * width)) }; VECTORS];
        for (vector, w) in w.iter_mut().enumerate().skip(1) {
            // SAFETY: as above.
            *w = unsafe { M::Lanes::load_cells(isa, panel.as_ptr().add(k * width + vector * lanes)) };
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: every row has a cell for each `k`.
            let x = unsafe { M::Lanes::spread_cell(isa, row.as_ptr().add(k)) };
            for (sum, &w) in sums.iter_mut().zip(&w) {
                *sum = M::add_product(*sum, x, w);
            }
        }
    }

    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: as above.
        let row = unsafe { into.row(row, 0, used) };
        for (sum, lanes) in sums.iter().zip(row.chunks_exact_mut(lanes)) {
            sum.store(lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Packed;
    use crate::kernels::arch::{Kernels, every, twins};

    /// Numbers of either sign, no two rows alike.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7_919 + seed * 104_729) % 10_007) as f32 / 5_003.5 - 1.0).collect()
    }

    /// `x Wᵀ + b` by one instruction set; `x` starts `shift` elements into its buffer.
    fn product(
        kernels: &'static dyn Kernels,
        dtype: Dtype,
        xs: &[f32],
        w: &[f32],
        inputs: usize,
        shift: usize,
    ) -> Vec<f32> {
        let (rows, outputs) = (xs.len() / inputs, w.len() / inputs);
        let fill = |row: usize, values: &mut [f32]| {
            values.copy_from_slice(&w[row * inputs..][..inputs]);
            Ok::<_, ()>(())
        };
        let packed = Packed::pack_for(kernels, dtype, outputs, inputs, fill).unwrap();
        let bias = numbers(5, outputs);
        let (mut cells, mut factors) = (vec![0; rows * packed.panels().depth], vec![0.0; rows]);
        match dtype {
            Dtype::Float32 => cells.copy_from_slice(bytemuck::cast_slice(xs)),
            Dtype::Bfloat16 => kernels.narrow(xs, inputs, inputs, &mut cells),
            Dtype::Int8 => kernels.quantize(xs, inputs, &mut cells, &mut factors),
        }
        let cells = [&vec![u32::MAX; shift], &cells[..]].concat();
        // A column on either side, which must stay as it is.
        let mut out = vec![7.5; rows * (outputs + 2)];
        let product = Product {
            rows,
            cells: &cells[shift..],
            stride: packed.panels().depth,
            factors: &factors,
            weights: packed.panels(),
            bias: Some((&bias, Activation::Linear)),
            gated: false,
            out: Out::new(&mut out, outputs + 2).from(0, 1),
        };
        #[allow(unsafe_code)]
        // SAFETY: there is no other thread.
        unsafe {
            kernels.multiply(&product, 0..packed.panels().count());
        }
        for row in out.chunks(outputs + 2) {
            assert!(row[0] == 7.5 && row[outputs + 1] == 7.5, "wrote beside its columns");
        }
        out.chunks(outputs + 2).flat_map(|row| row[1..=outputs].to_vec()).collect()
    }

    fn check(rows: usize, inputs: usize, outputs: usize, shift: usize) {
        check_dtype(Dtype::Float32, rows, inputs, outputs, shift);
        check_dtype(Dtype::Bfloat16, rows, inputs, outputs, shift);
        check_dtype(Dtype::Int8, rows, inputs, outputs, shift);
    }

    fn check_dtype(dtype: Dtype, rows: usize, inputs: usize, outputs: usize, shift: usize) {
        let (mut xs, mut w) = (numbers(1, rows * inputs), numbers(2, outputs * inputs));
        // Numbers that are not rounded any more: the products are exact, so the sums have to be as good as float32's.
        for x in xs.iter_mut().chain(&mut w) {
            match dtype {
                Dtype::Float32 => {}
                Dtype::Bfloat16 => *x = half::bf16::from_f32(*x).to_f32(),
                Dtype::Int8 => *x = (*x * 127.0).round(),
            }
        }
        if dtype == Dtype::Int8 {
            xs.chunks_mut(inputs).chain(w.chunks_mut(inputs)).for_each(|row| row[0] = 127.0);
        }
        let bias = numbers(5, outputs);
        let (twin, others) = twins();
        for (name, kernels) in others.into_iter().map(|(isa, kernels)| (isa.name(), kernels)).chain([("twin", twin)]) {
            let got = product(kernels, dtype, &xs, &w, inputs, shift);
            for row in 0..rows {
                let x = &xs[row * inputs..][..inputs];
                for output in 0..outputs {
                    let terms = x.iter().zip(&w[output * inputs..]).map(|(x, w)| f64::from(*x) * f64::from(*w));
                    let exact = terms.sum::<f64>() + f64::from(bias[output]);
                    let got = f64::from(got[row * outputs + output]);
                    let close = 1e-6 * (inputs + 1) as f64 + 1e-5 * exact.abs();
                    assert!((got - exact).abs() < close, "{name}, {dtype}: {got}, not {exact}");
                }
                let alone = product(kernels, dtype, x, &w, inputs, 0);
                assert_eq!(
                    alone[..],
                    got[row * outputs..][..outputs],
                    "{name}, {dtype}: row {row} alone has other bits"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_instruction_set_gives_the_product(
            rows in 1_usize..20, inputs in 1_usize..70, outputs in 1_usize..140, shift in 0_usize..17,
        ) {
            check(rows, inputs, outputs, shift);
        }
    }

    #[test]
    fn blocks_of_k_and_of_rows_change_nothing() {
        check(7, 2 * K_BLOCK + 5, 66, 1);
        check(ROW_BYTES / 4 / 1_000 + 9, 1_000, 3, 0);
    }

    #[test]
    fn nothing_is_fine() {
        for kernels in every() {
            assert!(product(kernels, Dtype::Float32, &[], &[1.0, 2.0], 2, 0).is_empty());
        }
    }
}
