//! What scores have beside the product of query and key: terms of the distance between them.

use crate::kernels::{PackedRows, Scores};
use crate::types::Dtype;

/// Which row of a table of distances stands for `query - key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distances {
    /// The row of distance 0.
    pub zero: usize,
    /// Rows of the table; what lies too far takes the first or the last.
    pub rows: usize,
    /// Distances up to half of this have a row each, longer ones share rows, the more the longer they are; `None` = each
    /// has its own.
    pub buckets: Option<usize>,
    /// The distance at which the last bucket is reached.
    pub farthest: usize,
}

impl Distances {
    fn row(self, distance: isize) -> usize {
        (self.bucket(distance) + self.zero as isize).clamp(0, self.rows as isize - 1) as usize
    }

    /// As `make_log_bucket_position` of the reference.
    fn bucket(self, distance: isize) -> isize {
        let (Some(buckets), far) = (self.buckets, distance.unsigned_abs()) else { return distance };
        let middle = buckets / 2;
        if far <= middle {
            return distance;
        }
        let (half, far) = (middle as f64, far as f64);
        let shared = (far / half).ln() / ((self.farthest as f64 - 1.0) / half).ln() * (half - 1.0);
        distance.signum() * (middle as isize + shared.ceil() as isize)
    }
}

/// The bucket of T5 and `MPNet` for `key - query`, of 32: 16 for either direction, 8 of them for one distance each, the
/// others for ranges that grow up to 128 (Raffel et al. 2020, 2.1).
fn t5_bucket(distance: isize) -> usize {
    let far = distance.unsigned_abs().min(128);
    // 8 * log16(far / 8), rounded down, in whole numbers.
    let shared = (1..8).filter(|power| (far as u64).pow(8) >= 1 << (24 + 4 * power)).count();
    (if distance > 0 { 16 } else { 0 }) + if far < 8 { far } else { 8 + shared }
}

/// Buckets of [`Relative::Bias`].
pub const T5_BUCKETS: usize = 32;

/// A network's terms of the distance.
#[derive(Debug)]
pub enum Relative {
    /// Rows that queries and keys meet: how a query suits the distance to its key, and how a key suits the distance to its
    /// query (He et al. 2021, arXiv:2006.03654, 3.1).
    Rows {
        /// Which row stands for which distance.
        distances: Distances,
        /// What queries meet, the last row first: from key to key, the distance behind the query becomes smaller.
        keys: Option<PackedRows>,
        /// What keys meet, the last row first.
        queries: Option<PackedRows>,
    },
    /// A number for each of T5's buckets and each head, `[32, heads]`.
    Bias(Vec<f32>),
}

/// The terms of sequences up to a length.
pub(super) enum Reached<'a> {
    Rows {
        keys: Option<&'a PackedRows>,
        queries: Option<&'a PackedRows>,
        /// For each `key - query`, from the longest before to the longest behind, its row.
        index: Vec<u32>,
    },
    /// `[heads, distances]`.
    Table(Vec<f32>),
}

impl Relative {
    /// Of tables `[rows, hidden]`, of what queries and of what keys meet.
    pub fn rows(distances: Distances, tables: [Option<&[f32]>; 2], hidden: usize, heads: usize, dtype: Dtype) -> Self {
        let packed = |table: &[f32]| {
            let reversed: Vec<f32> = table.chunks_exact(hidden).rev().flatten().copied().collect();
            PackedRows::pack(&reversed, hidden, heads, dtype)
        };
        let [keys, queries] = tables.map(|table| table.map(packed));
        Self::Rows { distances, keys, queries }
    }

    /// Of each pair of a query and a key.
    pub(super) fn products(&self) -> usize {
        match self {
            Self::Rows { keys, queries, .. } => usize::from(keys.is_some()) + usize::from(queries.is_some()),
            Self::Bias(_) => 0,
        }
    }

    pub(super) fn reach(&self, longest: usize) -> Reached<'_> {
        let behind = 1 - longest as isize..longest as isize;
        match self {
            Self::Rows { distances, keys, queries } => {
                let row = |behind: isize| (distances.rows - 1 - distances.row(-behind)) as u32;
                Reached::Rows { keys: keys.as_ref(), queries: queries.as_ref(), index: behind.map(row).collect() }
            }
            Self::Bias(table) => {
                let heads = table.len() / T5_BUCKETS;
                let of_head = |head| behind.clone().map(move |behind| table[t5_bucket(behind) * heads + head]);
                Reached::Table((0..heads).flat_map(of_head).collect())
            }
        }
    }
}

impl Reached<'_> {
    pub(super) fn scores(&self) -> Scores<'_> {
        match self {
            Self::Rows { keys, queries, index } => Scores::Relative { keys: *keys, queries: *queries, index },
            Self::Table(table) => Scores::Table(table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3: Distances = Distances { zero: 256, rows: 512, buckets: Some(256), farthest: 512 };

    #[test]
    fn distances_share_rows_as_in_deberta() {
        let expected = [(128, 128), (131, 131), (132, 131), (133, 132), (200, 169), (256, 192), (300, 207), (511, 255)];
        for (distance, bucket) in expected {
            assert_eq!(V3.bucket(distance), bucket, "{distance}");
            assert_eq!(V3.bucket(-distance), -bucket, "{distance}");
        }
        assert_eq!((V3.row(0), V3.row(-511), V3.row(2_000), V3.row(-2_000)), (256, 1, 511, 0));
        assert_eq!(Distances { buckets: None, ..V3 }.row(300), 511);
    }

    #[test]
    fn distances_share_buckets_as_in_mpnet() {
        let before =
            [(0, 0), (7, 7), (8, 8), (11, 8), (12, 9), (15, 9), (16, 10), (22, 10), (23, 11), (31, 11), (32, 12)];
        let far = [(45, 12), (46, 13), (63, 13), (64, 14), (90, 14), (91, 15), (127, 15), (128, 15), (9_000, 15)];
        for (distance, bucket) in before.into_iter().chain(far) {
            assert_eq!(t5_bucket(-distance), bucket, "{distance} before");
            assert_eq!(t5_bucket(distance), bucket + if distance > 0 { 16 } else { 0 }, "{distance} behind");
        }
    }

    #[test]
    fn rows_ascend_from_key_to_key() {
        let relative = Relative::rows(V3, [Some(&vec![0.0; 512]), None], 1, 1, Dtype::Float32);
        let Reached::Rows { index, .. } = relative.reach(3) else { panic!("rows") };
        assert_eq!(index, [253, 254, 255, 256, 257]);
    }
}
