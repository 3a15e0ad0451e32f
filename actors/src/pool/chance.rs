//! Numbers for choices: cheap, the same for the same input, without a generator to share.

use std::hash::{BuildHasher, RandomState};

/// 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number that differs from process to process.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// Scrambles `number`: neighbours become unrelated, none is lost. The finalizer of SplitMix64 (Steele, Lea, Flood:
/// "Fast splittable pseudorandom number generators", 2014).
pub(crate) const fn scrambled(number: u64) -> u64 {
    let number = number.wrapping_add(GOLDEN);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The `step`th of numbers that fill their range as evenly as can be, however many are taken (Weyl's sequence of the
/// golden ratio).
pub(crate) const fn spread(step: u64) -> u64 {
    step.wrapping_mul(GOLDEN)
}

/// `number`, of all numbers, as one below `limit`.
pub(crate) const fn below(limit: u64, number: u64) -> u64 {
    ((limit as u128 * number as u128) >> 64) as u64
}
