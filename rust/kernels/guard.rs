//! For tests: memory that ends where the next byte is forbidden, so that a kernel that reads or writes one number too many
//! ends the process.
#![allow(unsafe_code, reason = "pages and their protection")]

use memmap2::MmapMut;

/// Numbers that end at a forbidden page.
pub(super) struct Guarded {
    map: MmapMut,
    start: usize,
    page: usize,
}

impl Guarded {
    pub(super) fn new(values: &[f32]) -> Self {
        // SAFETY: it has no conditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let bytes = size_of_val(values);
        let inside = bytes.next_multiple_of(page).max(page);
        let mut map = MmapMut::map_anon(inside + page).expect("memory");
        let start = inside - bytes;
        map[start..inside].copy_from_slice(bytemuck::cast_slice(values));
        // SAFETY: the last page is ours, and nobody has a reference into it.
        let done = unsafe { libc::mprotect(map.as_mut_ptr().add(inside).cast(), page, libc::PROT_NONE) };
        assert_eq!(done, 0);
        Self { map, start, page }
    }

    pub(super) fn zeros(count: usize) -> Self {
        Self::new(&vec![0.0; count])
    }

    pub(super) fn numbers(&self) -> &[f32] {
        bytemuck::cast_slice(&self.map[self.start..self.map.len() - self.page])
    }

    pub(super) fn numbers_mut(&mut self) -> &mut [f32] {
        let end = self.map.len() - self.page;
        bytemuck::cast_slice_mut(&mut self.map[self.start..end])
    }

    pub(super) fn cells(&self) -> &[u32] {
        bytemuck::cast_slice(self.numbers())
    }

    pub(super) fn cells_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self.numbers_mut())
    }
}

mod tests {
    use super::super::arch::every;
    use super::super::attention::tests::numbers;
    use super::super::gemm::{Out, Panels, Product};
    use super::super::{Activation, Norm};
    use super::*;
    use crate::types::Dtype;

    const LENGTHS: [usize; 14] = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 130];

    #[test]
    fn rows_stay_inside_of_their_memory() {
        for kernels in every() {
            for length in LENGTHS.into_iter().skip(1) {
                let [weight, bias, update] = [1, 1, 2].map(|rows| Guarded::new(&numbers(rows * length)));
                let norm = Norm { weight: weight.numbers(), bias: bias.numbers(), eps: 1e-6 };
                let mut xs = Guarded::new(&numbers(2 * length));
                kernels.layer_norm(xs.numbers_mut(), norm);
                kernels.add_layer_norm(xs.numbers_mut(), update.numbers(), bias.numbers(), norm);
                kernels.softmax(xs.numbers_mut(), length, 0.5);
                kernels.exponentials(xs.numbers_mut(), length, 0.5);
                kernels.exponentials(&mut xs.numbers_mut()[length..], length, 0.5);
                for activation in [Activation::Gelu, Activation::Tanh, Activation::Mish, Activation::Linear] {
                    kernels.activate(xs.numbers_mut(), activation);
                }
                assert!(xs.numbers().iter().all(|x| x.is_finite()));
            }
        }
    }

    #[test]
    fn narrow_rows_stay_inside_of_their_memory() {
        for kernels in every() {
            for length in LENGTHS.into_iter().skip(1) {
                let xs = Guarded::new(&numbers(3 * length));
                let mut halves = Guarded::zeros(3 * Dtype::Bfloat16.cells(length));
                kernels.narrow(xs.numbers(), length, length, halves.cells_mut());
                let (mut quads, mut factors) = (Guarded::zeros(3 * Dtype::Int8.cells(length)), Guarded::zeros(3));
                kernels.quantize(xs.numbers(), length, quads.cells_mut(), factors.numbers_mut());
                let other = Guarded::new(&numbers(length));
                let mut row = Guarded::zeros(length);
                kernels.interleave(&xs.numbers()[2 * length..], other.numbers(), row.cells_mut());
            }
        }
    }

    #[test]
    fn products_stay_inside_of_their_memory() {
        for kernels in every() {
            let width = kernels.panel_width();
            for (dtype, outputs, depth, rows) in [Dtype::Float32, Dtype::Bfloat16, Dtype::Int8]
                .into_iter()
                .flat_map(|dtype| LENGTHS[1..].iter().map(move |&outputs| (dtype, outputs)))
                .flat_map(|(dtype, outputs)| [1, 3, 17].map(|depth| (dtype, outputs, depth)))
                .flat_map(|(dtype, outputs, depth)| [1, 6, 8].map(|rows| (dtype, outputs, depth, rows)))
            {
                let whole = outputs.next_multiple_of(width);
                let (weights, xs) = (Guarded::zeros(whole * depth), Guarded::zeros(rows * depth));
                let (starts, scales) = (Guarded::zeros(whole), Guarded::zeros(whole));
                let (factors, bias) = (Guarded::zeros(rows), Guarded::new(&numbers(outputs)));
                let mut out = Guarded::zeros(rows * outputs);
                let integers = (dtype == Dtype::Int8).then_some((starts.numbers(), scales.numbers()));
                let product = Product {
                    rows,
                    cells: xs.cells(),
                    stride: depth,
                    factors: factors.numbers(),
                    weights: Panels { cells: weights.cells(), outputs, depth, width, dtype, integers },
                    bias: Some((bias.numbers(), Activation::Linear)),
                    gated: false,
                    out: Out::new(out.numbers_mut(), outputs),
                };
                // SAFETY: there is no other thread.
                unsafe { kernels.multiply(&product, 0..product.weights.count()) };
                assert!(out.numbers().chunks(outputs).all(|row| row == bias.numbers()), "{dtype}");
            }
        }
    }
}
