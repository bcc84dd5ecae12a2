//! Kernels on tensors: our slices against candle's storage.

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result as CandleResult, Storage, Tensor};

use crate::error::{Error, Result};

/// Applies `kernel` to a contiguous f32 tensor, in place.
pub(crate) fn in_place(xs: &Tensor, name: &'static str, kernel: impl Fn(&mut [f32])) -> Result<()> {
    Ok(xs.inplace_op1(&Kernel { name, kernel })?)
}

/// Applies `kernel` to the values of a contiguous f32 tensor, into a new one `[rows, columns]`.
pub(crate) fn map_rows(
    xs: &Tensor,
    rows: usize,
    columns: usize,
    kernel: impl FnOnce(&[f32], &mut [f32]),
) -> Result<Tensor> {
    let mut ys = vec![0.0; rows * columns];
    read(xs, |xs| kernel(xs, &mut ys))?;
    Ok(Tensor::from_vec(ys, (rows, columns), &Device::Cpu)?)
}

/// Shows `reader` the values of a contiguous f32 tensor.
pub(crate) fn read<R>(xs: &Tensor, reader: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = xs.storage_and_layout();
    let (Some((start, end)), Storage::Cpu(CpuStorage::F32(values))) = (layout.contiguous_offsets(), &*storage) else {
        return Err(Error::Backend(format!("expected contiguous f32 rows on the CPU, got {layout:?}")));
    };
    Ok(reader(&values[start..end]))
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

fn contiguous_mut<'a>(xs: &'a mut CpuStorage, layout: &Layout, name: &str) -> CandleResult<&'a mut [f32]> {
    let (Some((start, end)), CpuStorage::F32(values)) = (layout.contiguous_offsets(), xs) else {
        candle_core::bail!("{name}: expected a contiguous f32 tensor, got {layout:?}")
    };
    Ok(&mut values[start..end])
}
