//! What one cell of 32 bits holds, and the arithmetic of a whole vector of them: all that differs from product to product.

use std::marker::PhantomData;

use super::arch::Vector;

/// Multiplies vectors of cells and adds up. Sums are lanes of 32 bits too, f32 or i32.
pub(super) trait Micro {
    /// Vectors of cells and of sums; operators of f32 mean something only where they hold f32.
    type Lanes: Vector;

    /// Whether sums are i32, which the product has to scale.
    const INTEGERS: bool = false;

    /// `sum + x * w`, lane by lane.
    fn add_product(sum: Self::Lanes, x: Self::Lanes, w: Self::Lanes) -> Self::Lanes;
}

/// A cell is one f32.
pub(super) struct Single<V>(PhantomData<V>);

impl<V: Vector> Micro for Single<V> {
    type Lanes = V;

    #[inline(always)]
    fn add_product(sum: V, x: V, w: V) -> V {
        x.mul_add(w, sum)
    }
}

/// A cell is two bfloat16, the upper halves of f32: each is widened where it is.
pub(super) struct Halves<V>(PhantomData<V>);

impl<V: Vector> Micro for Halves<V> {
    type Lanes = V;

    #[inline(always)]
    fn add_product(sum: V, x: V, w: V) -> V {
        let sum = x.lower_halves().mul_add(w.lower_halves(), sum);
        x.upper_halves().mul_add(w.upper_halves(), sum)
    }
}
