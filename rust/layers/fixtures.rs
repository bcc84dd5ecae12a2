//! Random bricks and inputs for the tests of this room.

use candle_core::{Device, Tensor};
use safetensors::{Dtype, tensor::TensorView};

use super::linear::Linear;
use super::norm::LayerNorm;
use crate::weights::Weights;

/// Numbers from -1 to 1 that are the same in every run (a linear congruential generator).
pub(super) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

pub(super) fn tensor(seed: u64, rows: usize, columns: usize) -> Tensor {
    Tensor::from_vec(numbers(seed, rows * columns), (rows, columns), &Device::Cpu).unwrap()
}

pub(super) fn linear(seed: u64, rows: usize, columns: usize) -> Linear {
    Linear::new(tensor(seed, rows, columns), numbers(seed + 1, rows))
}

pub(super) fn norm(seed: u64, width: usize) -> LayerNorm {
    LayerNorm::new(numbers(seed, width), numbers(seed + 1, width), 1e-5)
}

/// A checkpoint of these tensors, by name and shape.
pub(super) fn mapped(tensors: &[(&str, &[usize], &[f32])]) -> Weights {
    let views = tensors.iter().map(|(name, shape, values)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values)).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    Weights::open(folder.path()).unwrap()
}

pub(super) fn assert_close(ours: &Tensor, theirs: &Tensor, tolerance: f32) {
    assert_eq!(ours.dims(), theirs.dims());
    let (ours, theirs) = (values(ours), values(theirs));
    for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() <= tolerance, "element {at}: {a} against {b}");
    }
}

fn values(xs: &Tensor) -> Vec<f32> {
    xs.flatten_all().unwrap().to_vec1().unwrap()
}
