//! Tiles: registers of 16 rows of 16 cells, and instructions that add the product of two to a third (AMX).
//!
//! [`product`] has the loops, once, over the instructions as a trait; the processor's own are in `arch/x86_64/amx.rs`, and
//! [`emulated`] does the same in plain Rust.
#![allow(unsafe_code, reason = "tiles are loaded from and stored to memory by address")]

mod emulated;
mod product;

pub(super) use self::emulated::Emulated;
pub(super) use self::product::multiply;

/// Rows that a tile has at most, and cells of each.
const SIDE: usize = 16;
/// Tiles of `x`; those of sums are the first four.
const X: [u8; 2] = [4, 5];
/// Tiles of weights.
const W: [u8; 2] = [6, 7];

/// The instructions, each of which does what Intel's manual (volume 2) says; tiles have numbers from 0 to 7.
pub(super) trait Tiles {
    /// `ldtilecfg`: gives all tiles their shape, and fills them with zeros.
    ///
    /// # Safety
    /// - `release` follows in the same thread.
    unsafe fn configure(&mut self, config: &Config);

    /// `tilerelease`: nothing of the tiles is left to be kept for the thread.
    ///
    /// # Safety
    /// - Nobody needs what the tiles hold.
    unsafe fn release(&mut self);

    /// `tilezero`.
    ///
    /// # Safety
    /// - Tiles are configured.
    unsafe fn zero<const TILE: u8>(&mut self);

    /// `tileloadd`: rows that are `stride` cells apart.
    ///
    /// # Safety
    /// - Tiles are configured, and all of the tile's rows can be read.
    unsafe fn load<const TILE: u8>(&mut self, from: *const u32, stride: usize);

    /// `tilestored`: rows that are `stride` cells apart.
    ///
    /// # Safety
    /// - Tiles are configured, and all of the tile's rows can be written.
    unsafe fn store<const TILE: u8>(&mut self, to: *mut f32, stride: usize);

    /// `tdpbusd`: cells of four int8, those of `x` without a sign; sums are i32.
    ///
    /// # Safety
    /// - Tiles are configured, `SUM` with the rows of `X` and the columns of `W`, which has a row for each cell of `X`.
    unsafe fn add_quads<const SUM: u8, const X: u8, const W: u8>(&mut self);

    /// `tdpbf16ps`: cells of two bfloat16; sums are f32.
    ///
    /// # Safety
    /// - That of `add_quads`.
    unsafe fn add_pairs<const SUM: u8, const X: u8, const W: u8>(&mut self);
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
pub(super) struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Of each tile; there are eight of the sixteen.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

const _: () = assert!(size_of::<Config>() == 64);

impl Config {
    /// Sums and `x` with so many rows, weights with all that there can be.
    fn new(height: usize) -> Self {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill((SIDE * size_of::<u32>()) as u16);
        rows[..8].fill(height as u8);
        for tile in W {
            rows[usize::from(tile)] = SIDE as u8;
        }
        Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
    }
}
