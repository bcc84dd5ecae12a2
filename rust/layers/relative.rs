//! Attention by distance, as DeBERTa-v2 has it: beside `q·k`, how a query suits the distance to its key, and how a key
//! suits the distance to its query (He et al. 2021, arXiv:2006.03654, 3.1).

use crate::kernels::{Columns, Scores};

/// Which row of the relative embeddings stands for a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distances {
    /// Rows for either direction; the table has twice as many.
    pub span: usize,
    /// Distances up to half of this have a row each, longer ones share rows, the more the longer they are; `None` = each has
    /// its own.
    pub buckets: Option<usize>,
    /// The distance at which the last row is reached.
    pub farthest: usize,
}

impl Distances {
    /// The row of `query - key`; what lies too far takes the last one.
    fn row(self, distance: isize) -> usize {
        let (span, bucket) = (self.span as isize, self.bucket(distance));
        (bucket + span).clamp(0, 2 * span - 1) as usize
    }

    /// As the reference's `make_log_bucket_position`.
    fn bucket(self, distance: isize) -> isize {
        let (Some(buckets), far) = (self.buckets, distance.unsigned_abs()) else { return distance };
        let middle = buckets / 2;
        if far <= middle {
            return distance;
        }
        let (middle_, far) = (middle as f64, far as f64);
        let shared = (far / middle_).ln() / ((self.farthest as f64 - 1.0) / middle_).ln() * (middle_ - 1.0);
        distance.signum() * (middle as isize + shared.ceil() as isize)
    }
}

/// The relative embeddings as one layer's queries and keys meet them. They do not depend on the input.
#[derive(Debug)]
pub struct Relative {
    /// Which row stands for which distance.
    pub distances: Distances,
    /// Columns of a row.
    pub hidden: usize,
    /// What queries meet, `[2 * span, hidden]`.
    pub keys: Option<Vec<f32>>,
    /// What keys meet, `[2 * span, hidden]`.
    pub queries: Option<Vec<f32>>,
}

/// The rows that sequences up to a length can reach.
pub(super) struct Reached<'a> {
    relative: &'a Relative,
    /// The first of them.
    first: usize,
    /// For each distance `key - query`, from the longest before to the longest behind, its row counted from the first.
    index: Vec<u32>,
}

impl Relative {
    pub(super) fn reach(&self, longest: usize) -> Reached<'_> {
        let longest = longest as isize;
        let first = self.distances.row(1 - longest);
        let index = (1 - longest..longest).map(|behind| (self.distances.row(-behind) - first) as u32).collect();
        Reached { relative: self, first, index }
    }
}

impl Reached<'_> {
    pub(super) fn scores(&self) -> Scores<'_> {
        let Relative { hidden, keys, queries, .. } = self.relative;
        let [keys, queries] = [keys, queries].map(|values| {
            let values = &values.as_ref()?[self.first * hidden..];
            Some(Columns { values, stride: *hidden, first: 0 })
        });
        Scores::Relative { keys, queries, index: &self.index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3: Distances = Distances { span: 256, buckets: Some(256), farthest: 512 };

    #[test]
    fn distances_share_rows_as_in_the_reference() {
        let expected = [(128, 128), (131, 131), (132, 131), (133, 132), (200, 169), (256, 192), (300, 207), (511, 255)];
        for (distance, bucket) in expected {
            assert_eq!(V3.bucket(distance), bucket, "{distance}");
            assert_eq!(V3.bucket(-distance), -bucket, "{distance}");
        }
        assert_eq!((V3.row(0), V3.row(-511), V3.row(2_000), V3.row(-2_000)), (256, 1, 511, 0));
        assert_eq!(Distances { buckets: None, ..V3 }.row(300), 511);
    }

    #[test]
    fn only_rows_in_reach_take_part() {
        let relative = Relative { distances: V3, hidden: 1, keys: None, queries: None };
        let reached = relative.reach(3);
        assert_eq!((reached.first, &reached.index[..]), (254, &[4, 3, 2, 1, 0][..]));
    }
}
