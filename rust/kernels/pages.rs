//! Memory on pages of its own: for what is large, and may grow. An allocator keeps what is given back, in each of its
//! arenas; a server's threads had four times the memory that was in use.

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use memmap2::MmapMut;

/// Numbers of four bytes, zero to begin with, at the beginning of a page; they go back to the system when it is dropped.
#[derive(Default)]
pub struct Pages {
    /// None before anything was asked for.
    map: Option<MmapMut>,
    count: usize,
}

impl Pages {
    /// Room for `count` numbers, on large pages where the system has them: a pass over all weights would miss the table
    /// of small ones at every step.
    ///
    /// # Panics
    /// Where an allocation would abort: there is no memory.
    pub fn zeroed(count: usize) -> Self {
        let map = MmapMut::map_anon((count * size_of::<u32>()).max(1)).expect("memory");
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // only advice: without it, it is slower
        Self { map: Some(map), count }
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All numbers, as f32 or as bits.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        self.map.as_ref().map_or(&[], |map| cast_slice(&map[..self.count * size_of::<u32>()]))
    }

    /// The same, to be written.
    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        self.map.as_mut().map_or(&mut [], |map| cast_slice_mut(&mut map[..self.count * size_of::<u32>()]))
    }

    /// So many numbers to be written over, on new pages if there are not as many.
    pub fn first<T: Pod>(&mut self, count: usize) -> &mut [T] {
        if self.count < count {
            *self = Self::zeroed(count);
        }
        &mut self.as_mut_slice()[..count]
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pages[{}]", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_when_more_is_asked_for() {
        let mut pages = Pages::default();
        for (asked, count) in [(0, 0), (5, 5), (3, 5), (5_000_000, 5_000_000), (6, 5_000_000)] {
            let first = pages.first::<f32>(asked);
            assert_eq!(first.len(), asked);
            first.fill(1.5);
            assert_eq!(pages.count(), count);
            assert!(pages.as_slice::<u32>()[..asked].iter().all(|bits| *bits == 1.5_f32.to_bits()));
        }
    }
}
