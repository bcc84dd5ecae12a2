//! Memory that one batch leaves to the next: fresh pages cost as much as a norm.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use crate::kernels::{Pages, Scratch};

/// Buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub struct Arena {
    spare: RefCell<Vec<Pages>>,
    /// What products keep.
    pub(super) scratch: RefCell<Scratch>,
}

impl Arena {
    /// `length` numbers to be written over: the smallest buffer that is large enough, or else the largest, grown.
    pub(super) fn buffer(&self, length: usize) -> Buffer<'_> {
        let mut spare = self.spare.borrow_mut();
        let enough = spare.iter().enumerate().filter(|(_, buffer)| buffer.count() >= length);
        let smallest = enough.min_by_key(|(_, buffer)| buffer.count());
        let largest = || spare.iter().enumerate().max_by_key(|(_, buffer)| buffer.count());
        let at = smallest.or_else(largest).map(|(at, _)| at);
        let mut pages = at.map(|at| spare.swap_remove(at)).unwrap_or_default();
        pages.first::<f32>(length);
        Buffer { pages, length, spare: &self.spare }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let buffers: usize = self.spare.borrow().iter().map(Pages::count).sum();
        buffers * size_of::<f32>() + self.scratch.borrow().bytes()
    }
}

/// Goes back to its arena when it is dropped.
pub(super) struct Buffer<'a> {
    pages: Pages,
    length: usize,
    spare: &'a RefCell<Vec<Pages>>,
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.pages.as_slice()[..self.length]
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.pages.as_mut_slice()[..self.length]
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.spare.borrow_mut().push(std::mem::take(&mut self.pages));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_do_not_pile_up() {
        let arena = Arena::default();
        for length in [100, 7, 0, 300, 299, 5] {
            let (one, two) = (arena.buffer(length), arena.buffer(2 * length));
            assert_eq!((one.len(), two.len()), (length, 2 * length));
        }
        assert_eq!(arena.spare.borrow().len(), 2);
        assert!((900 * 4..4_000 * 4).contains(&arena.bytes()), "{}", arena.bytes());
    }
}
