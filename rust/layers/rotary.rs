//! Places as angles: of a query or key at place `p`, the columns `k` and `k + width / 2` are turned by `p * theta^(-2k / width)`
//! (Su et al. 2021, arXiv:2104.09864, in the layout of halves).

use std::sync::{Arc, PoisonError, RwLock};

/// Places for which there is room at first.
const PLACES: usize = 512;

/// Cosines and sines of all places up to the farthest that was met: in float32, as angles are that they are made from, since
/// the reference rounds there, and an angle of thousands has few digits behind its point.
#[derive(Debug)]
pub struct Rotary {
    /// Of half a head's columns.
    frequencies: Vec<f32>,
    turns: RwLock<Arc<[f32]>>,
}

impl Rotary {
    /// For heads of `width` columns, an even number.
    pub fn new(theta: f64, width: usize) -> Self {
        let frequency = |column: usize| 1.0 / theta.powf(f64::from(2.0 * column as f32 / width as f32)) as f32;
        Self { frequencies: (0..width / 2).map(frequency).collect(), turns: RwLock::new(Arc::new([])) }
    }

    /// `[places, width]`, at least `longest` places: of each the cosines, then the sines.
    pub(super) fn reach(&self, longest: usize) -> Arc<[f32]> {
        let width = 2 * self.frequencies.len();
        let turns = Arc::clone(&self.turns.read().unwrap_or_else(PoisonError::into_inner));
        if turns.len() >= longest * width {
            return turns;
        }
        let places = longest.next_power_of_two().max(PLACES);
        let turns: Arc<[f32]> = (0..places).flat_map(|place| self.of(place)).collect();
        *self.turns.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&turns);
        turns
    }

    fn of(&self, place: usize) -> impl Iterator<Item = f32> {
        let angle = move |frequency: &f32| f64::from(place as f32 * frequency);
        let cosines = self.frequencies.iter().map(move |frequency| libm::cos(angle(frequency)) as f32);
        cosines.chain(self.frequencies.iter().map(move |frequency| libm::sin(angle(frequency)) as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_grow_with_the_place_and_slower_with_the_column() {
        let rotary = Rotary::new(100.0, 4);
        let turns = rotary.reach(3);
        // Frequencies 1 and 1/10.
        let expected = [2.0_f32.cos(), 0.2_f32.cos(), 2.0_f32.sin(), 0.2_f32.sin()];
        for (got, expected) in turns[8..12].iter().zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{got}, not {expected}");
        }
        assert_eq!(turns[..4], [1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn more_places_leave_the_first_as_they_were() {
        let rotary = Rotary::new(10_000.0, 6);
        let few = rotary.reach(1);
        let many = rotary.reach(PLACES + 1);
        assert!(many.len() >= (PLACES + 1) * 6 && many[..few.len()] == few[..]);
        assert_eq!(rotary.reach(7), many);
    }
}
