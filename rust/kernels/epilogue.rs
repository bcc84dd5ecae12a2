//! What follows the sums of a tile: integers are scaled, then come bias and activation, in one pass on the way to their place.
//!
//! Apart from the tile itself, for all its heights at once: inlined into each of them, scaling and activations took registers
//! from the sums, and one of them was written to the stack at every step of `k`.
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
        let Panels { outputs, width, .. } = product.weights;
        let column = self.panel * width;
        // SAFETY: the caller's.
        unsafe {
            (self.sums.row(row, 0, width), product.out.row(self.first + row, column, width.min(outputs - column)))
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
            activation::with!(activation, F => finish.rows::<F>());
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
        let Self { isa, tile, product } = *self;
        let Panels { outputs, width, integers, .. } = product.weights;
        let column = tile.panel * width;
        let of_columns = integers.map_or(&[][..], |(_, factors)| &factors[column..][..width]);
        let bias = product.bias.map(|(bias, _)| &bias[column..outputs.min(column + width)]);
        for row in 0..tile.rows {
            let of_row = V::splat(isa, if INTEGERS { product.factors[tile.first + row] } else { 1.0 });
            // SAFETY: the caller's; the slices are gone before the next ones are made.
            let (sums, out) = unsafe { tile.row(product, row) };
            for (first, out) in (0..).step_by(V::LANES).zip(out.chunks_mut(V::LANES)) {
                let mut ys = V::load(isa, &sums[first..][..V::LANES]);
                if INTEGERS {
                    ys = ys.to_floats() * (of_row * V::load(isa, &of_columns[first..][..V::LANES]));
                }
                if let Some(bias) = bias {
                    ys = ys + V::load_some(isa, &bias[first..][..out.len()]);
                }
                F::of(ys).store_some(out);
            }
        }
    }
}
