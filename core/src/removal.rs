//! How much is taken away at once, and whether that is too much to happen unasked (invariant 6).
//!
//! One rule for both ends: the source guards objects of a kind with it, a site guards its services. Must not know what
//! is counted.

/// Fewer than so many are never too much: in a small world half of everything goes in one ordinary change.
pub const FLOOR: usize = 5;

/// What goes of one sort of thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many go.
    pub gone: usize,
    /// How many there were.
    pub of: usize,
}

impl Removal {
    /// Says whether it is at least [`FLOOR`] and more than a share, in percent, of all.
    pub fn is_mass(self, percent: u8) -> bool {
        self.gone >= FLOOR && self.gone.saturating_mul(100) > self.of.saturating_mul(usize::from(percent))
    }

    /// Returns the share that goes, in percent, rounded up; 0 of 0 is 0.
    pub fn percent(self) -> usize {
        self.gone.saturating_mul(100).div_ceil(self.of.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{FLOOR, Removal};

    #[test]
    fn a_removal_is_mass_above_floor_and_share() {
        let cases = [
            (0, 0, 50, false),
            (4, 4, 1, false),
            (FLOOR, 10, 50, false),
            (FLOOR, 9, 50, true),
            (6, 10, 50, true),
            (99, 100, 99, false),
            (100, 100, 99, true),
            (100, 100, 100, false),
            (6, 600, 1, false),
            (7, 600, 1, true),
        ];
        for (gone, of, percent, expected) in cases {
            assert_eq!(Removal { gone, of }.is_mass(percent), expected, "{gone} of {of} at {percent} %");
        }
        assert_eq!(Removal { gone: 1, of: 3 }.percent(), 34);
    }
}
