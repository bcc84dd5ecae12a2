//! Kernels on tensors: our slices against candle's storage.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result as CandleResult, Tensor};

use crate::error::Result;

/// Applies `kernel` to a contiguous f32 tensor, in place.
pub(crate) fn in_place(xs: &Tensor, name: &'static str, kernel: impl Fn(&mut [f32])) -> Result<()> {
    Ok(xs.inplace_op1(&Kernel { name, kernel })?)
}

/// Applies `kernel` to a contiguous f32 tensor, in place, with a second one beside it.
pub(crate) fn in_place_with(
    xs: &Tensor,
    other: &Tensor,
    name: &'static str,
    kernel: impl Fn(&mut [f32], &[f32]),
) -> Result<()> {
    Ok(xs.inplace_op2(other, &Kernel { name, kernel })?)
}

struct Kernel<F> {
    name: &'static str,
    kernel: F,
}

impl<F: Fn(&mut [f32])> InplaceOp1 for Kernel<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, xs: &mut CpuStorage, layout: &Layout) -> CandleResult<()> {
        (self.kernel)(contiguous_mut(xs, layout, self.name)?);
        Ok(())
    }
}

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for Kernel<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, xs: &mut CpuStorage, layout: &Layout, other: &CpuStorage, beside: &Layout) -> CandleResult<()> {
        let Some((start, end)) = beside.contiguous_offsets() else {
            candle_core::bail!("{}: expected a contiguous tensor, got {beside:?}", self.name)
        };
        (self.kernel)(contiguous_mut(xs, layout, self.name)?, &other.as_slice::<f32>()?[start..end]);
        Ok(())
    }
}

fn contiguous_mut<'a>(xs: &'a mut CpuStorage, layout: &Layout, name: &str) -> CandleResult<&'a mut [f32]> {
    let (Some((start, end)), CpuStorage::F32(values)) = (layout.contiguous_offsets(), xs) else {
        candle_core::bail!("{name}: expected a contiguous f32 tensor, got {layout:?}")
    };
    Ok(&mut values[start..end])
}
