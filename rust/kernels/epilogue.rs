//! What follows the sums of a tile: integers are scaled, then come bias and activation, in one pass on the way to their place.
//!
//! Apart from the tile itself, for all its heights at once: inlined into each of them, scaling and activations took registers
//! from the sums, and one of them was written to the stack at every step of `k`. To ask for the lines of their place while
//! sums are computed (`prefetchw`) gained nothing (1.01 of the time with 35 rows, Zen 4).
#![allow(unsafe_code, reason = "threads share the output by columns")]

use super::Activation;
use super::activation::{self, Function};
use super::arch::Vector;
use super::gemm::{Out, Panels, Product};

/// Sums of some rows and one panel.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub panel: usize,
    /// Row of the product that is the tile's first.
    pub first: usize,
    pub rows: usize,
    /// As many rows of a whole panel, which nobody else uses.
    pub sums: Out<'a>,
}

impl<'a> Tile<'a> {
    /// The sums of a row, and where they belong: fewer in the last panel.
    ///
    /// # Safety
    /// - No other slice of these is alive.
    #[inline(always)]
    unsafe fn row(self, product: &Product<'a>, row: usize) -> (&'a mut [f32], &'a mut [f32]) {
        let columns = product.columns(self.panel);
        // SAFETY: the caller's.
        unsafe {
            let out = product.out.row(self.first + row, columns.start, columns.len());
            (self.sums.row(row, 0, product.weights.width), out)
        }
    }

    /// Brings what there is so far from its place.
    ///
    /// # Safety
    /// - That of [`Kernels::multiply`](super::arch::Kernels::multiply).
    #[inline(always)]
    pub(super) unsafe fn resume(self, product: &Product<'a>) {
        for row in 0..self.rows {
            // SAFETY: the caller's; the slices are gone before the next ones are made.
            let (sums, out) = unsafe { self.row(product, row) };
            sums[..out.len()].copy_from_slice(out);
        }
    }

    /// Leaves what there is so far at its place.
    ///
    /// # Safety
    /// - That of [`Kernels::multiply`](super::arch::Kernels::multiply).
    #[inline(always)]
    pub(super) unsafe fn suspend(self, product: &Product<'a>) {
        for row in 0..self.rows {
            // SAFETY: as above.
            let (sums, out) = unsafe { self.row(product, row) };
            out.copy_from_slice(&sums[..out.len()]);
        }
    }

    /// Brings sums that are whole to their place; whether they are integers is `INTEGERS`.
    ///
    /// # Safety
    /// - That of [`Kernels::multiply`](super::arch::Kernels::multiply).
    #[inline(always)]
    pub(super) unsafe fn finish<V: Vector, const INTEGERS: bool>(self, isa: V::Isa, product: &Product<'a>) {
        let activation = product.bias.map_or(Activation::Linear, |(_, activation)| activation);
        let finish = Finish::<V, INTEGERS> { isa, tile: self, product };
        // SAFETY: the caller's.
        unsafe {
            if product.gated {
                activation::with!(activation, F => finish.gated::<F>());
            } else {
                activation::with!(activation, F => finish.rows::<F>());
            }
        }
    }
}

struct Finish<'a, V: Vector, const INTEGERS: bool> {
    isa: V::Isa,
    tile: Tile<'a>,
    product: &'a Product<'a>,
}

impl<V: Vector, const INTEGERS: bool> Finish<'_, V, INTEGERS> {
    /// # Safety
    /// - That of [`Tile::finish`].
    #[inline(always)]
    unsafe fn rows<F: Function>(&self) {
        let Self { tile, product, .. } = *self;
        let (of_columns, bias) = self.of_panel();
        for row in 0..tile.rows {
            let of_row = self.of_row(row);
            // SAFETY: the caller's; the slices are gone before the next ones are made.
            let (sums, out) = unsafe { tile.row(product, row) };
            for (first, out) in (0..).step_by(V::LANES).zip(out.chunks_mut(V::LANES)) {
                let ys = self.scaled(sums, first, of_row, of_columns);
                F::of(self.biased(ys, first, out.len(), bias)).store_some(out);
            }
        }
    }

    /// # Safety
    /// - That of [`Tile::finish`].
    #[inline(always)]
    unsafe fn gated<F: Function>(&self) {
        let Self { tile, product, .. } = *self;
        let (of_columns, bias) = self.of_panel();
        let half = product.weights.width / 2;
        for row in 0..tile.rows {
            let of_row = self.of_row(row);
            // SAFETY: as above.
            let (sums, out) = unsafe { tile.row(product, row) };
            for (first, out) in (0..).step_by(V::LANES).zip(out.chunks_mut(V::LANES)) {
                let ys = self.scaled(sums, first, of_row, of_columns);
                let gates = self.scaled(sums, half + first, of_row, of_columns);
                let gates = self.biased(gates, half + first, V::LANES, bias);
                (F::of(self.biased(ys, first, V::LANES, bias)) * gates).store_some(out);
            }
        }
    }

    /// Factors and biases of the panel's columns, where there are any.
    #[inline(always)]
    fn of_panel(&self) -> (&[f32], Option<&[f32]>) {
        let Panels { width, integers, .. } = self.product.weights;
        let column = self.tile.panel * width;
        let factors = integers.map_or(&[][..], |(_, factors)| &factors[column..][..width]);
        (factors, self.product.bias.map(|(bias, _)| &bias[column..bias.len().min(column + width)]))
    }

    #[inline(always)]
    fn of_row(&self, row: usize) -> V {
        V::splat(self.isa, if INTEGERS { self.product.factors[self.tile.first + row] } else { 1.0 })
    }

    #[inline(always)]
    fn scaled(&self, sums: &[f32], first: usize, of_row: V, of_columns: &[f32]) -> V {
        let ys = V::load(self.isa, &sums[first..][..V::LANES]);
        if INTEGERS { ys.to_floats() * (of_row * V::load(self.isa, &of_columns[first..][..V::LANES])) } else { ys }
    }

    #[inline(always)]
    fn biased(&self, ys: V, first: usize, count: usize, bias: Option<&[f32]>) -> V {
        match bias {
            Some(bias) => ys + V::load_some(self.isa, &bias[first..][..count]),
            None => ys,
        }
    }
}
