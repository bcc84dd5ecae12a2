//! float32 arithmetic of the reference, which is numpy's: the order of additions is part of the result.

/// Turns one token's logits into probabilities: `exp(x - max) / sum`.
///
/// A NaN, a `+inf` or nothing but `-inf` makes every probability NaN, as in numpy; so a row is NaN as a whole or not
/// at all.
pub(super) fn softmax(logits: &[f32], scores: &mut Vec<f32>) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, |max, x| if x > max || x.is_nan() { x } else { max });
    scores.clear();
    scores.extend(logits.iter().map(|x| (x - max).exp()));
    let sum = pairwise_sum(scores);
    for score in scores {
        *score /= sum;
    }
}

/// `1 / (1 + exp(-x))`; 1 from about 17 upwards and 0 below about -88.7.
pub(super) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Position of the first maximum; NaN counts as the largest value. 0 for an empty slice.
pub(super) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        let largest = values[best];
        if value > largest || (value.is_nan() && !largest.is_nan()) {
            best = index;
        }
    }
    best
}

/// The sum of neighbouring values in the order of numpy's `pairwise_sum`, to the bit.
///
/// Fewer than 8 values are added one by one; up to 128 go into 8 running sums, which are added as a tree, and the rest
/// follows one by one; more are halved at a multiple of 8.
pub(super) fn pairwise_sum(values: &[f32]) -> f32 {
    if values.len() < 8 {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if values.len() > 128 {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (blocks, tail) = values.as_chunks::<8>();
    let mut r = [0.0; 8];
    for block in blocks {
        for (sum, value) in r.iter_mut().zip(block) {
            *sum += value;
        }
    }
    let tree = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    tail.iter().fold(tree, |sum, value| sum + value)
}

/// The mean without the NaN members (`numpy.nanmean`); NaN when nothing is left.
pub(super) fn nan_mean(values: &[f32]) -> f32 {
    let count = values.iter().filter(|value| !value.is_nan()).count();
    let sum = if count == values.len() {
        pairwise_sum(values)
    } else {
        // A NaN becomes 0 and keeps its place, so that the other values meet in the same order.
        let zeroed: Vec<f32> = values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        pairwise_sum(&zeroed)
    };
    sum / count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x[i] = ((i * 7919) % 1000) / 1000` in float32, and the bits of `x.sum()` in numpy 2.5.5.
    #[test]
    fn sums_have_numpys_bits() {
        for (n, bits) in NUMPY_SUMS {
            let values: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1000) as f32 / 1000.0).collect();
            assert_eq!(pairwise_sum(&values).to_bits(), bits, "{n} values");
        }
    }

    const NUMPY_SUMS: [(usize, u32); 10] = [
        (1, 0x0000_0000),
        (7, 0x4089_9169),
        (8, 0x4097_6c8b),
        (9, 0x40a2_b020),
        (17, 0x410f_be76),
        (100, 0x4244_3333),
        (128, 0x427e_872c),
        (129, 0x4280_872b),
        (300, 0x4316_2666),
        (1000, 0x43f9_c000),
    ];

    #[test]
    fn the_first_maximum_wins_and_nan_is_larger() {
        assert_eq!(argmax(&[0.1, 0.7, 0.7]), 1);
        assert_eq!(argmax(&[0.1, f32::NAN, 0.7, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn a_row_is_nan_as_a_whole() {
        let mut scores = Vec::new();
        for bad in [&[1.0, f32::NAN, 2.0][..], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY; 3]] {
            softmax(bad, &mut scores);
            assert!(scores.iter().all(|score| score.is_nan()), "{bad:?} -> {scores:?}");
        }
        softmax(&[f32::NEG_INFINITY, 0.0, f32::MIN], &mut scores);
        assert_eq!(scores, [0.0, 1.0, 0.0]);
        softmax(&[], &mut scores);
        assert!(scores.is_empty());
    }

    #[test]
    fn means_skip_nan() {
        assert_eq!(nan_mean(&[0.25, f32::NAN, 0.75]), 0.5);
        assert!(nan_mean(&[f32::NAN]).is_nan());
        assert!(nan_mean(&[]).is_nan());
    }

    #[test]
    fn sigmoid_saturates() {
        assert_eq!([sigmoid(20.0), sigmoid(-120.0), sigmoid(0.0)], [1.0, 0.0, 0.5]);
        assert_eq!([sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)], [1.0, 0.0]);
    }
}
