//! AMX: the tile instructions themselves, and whether they may be used.
//!
//! Each is one `asm!`, since their intrinsics are not stable. Tiles keep what they hold from one to the next: the compiler
//! uses none of its own, and nobody else in the thread runs between `configure` and `release`.

use std::arch::asm;
use std::arch::x86_64::_xgetbv;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::avx512::{Avx512, Level};
use super::cpuid;
use crate::kernels::arch::Kernels;
use crate::kernels::gemm::{Out, Panels, Product, WIDEST};
use crate::kernels::tiles::{Config, Emulated, Tiles};
use crate::types::Dtype;

/// Exists only where tiles are [`usable`].
#[derive(Clone, Copy)]
pub(super) struct Hardware(());

/// Whether this process has them; why not, if the processor does.
pub(super) fn usable() -> Result<bool, &'static str> {
    static USABLE: OnceLock<Result<bool, String>> = OnceLock::new();
    let usable = USABLE.get_or_init(|| if has_instructions() { permitted().map(|()| true) } else { Ok(false) });
    usable.as_ref().copied().map_err(String::as_str)
}

/// AMX-TILE, AMX-INT8 and AMX-BF16, which have come together so far.
fn has_instructions() -> bool {
    const BITS: u32 = 1 << 24 | 1 << 25 | 1 << 22;
    cpuid(0).eax >= 7 && cpuid(7).edx & BITS == BITS
}

fn permitted() -> Result<(), String> {
    // The state of tiles is kept by the system only where it has set both of its bits in XCR0.
    const STATES: u64 = 1 << 17 | 1 << 18;
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: the features of this function are those of the instruction, and there is always a register 0.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: looked for first; that the system enables it belongs to it.
    if !is_x86_feature_detected!("xsave") || unsafe { states() } & STATES != STATES {
        return Err("not enabled by the system".to_owned());
    }
    let vectors = Avx512::detect(Level::Vnni).ok_or("no AVX-512 VNNI beside it")?;
    request().map_err(|why| format!("permission refused by the kernel: {why}"))?;
    // SAFETY: a sample's outputs are its own.
    let by_tiles = |product: &Product<'_>, panels| unsafe { vectors.tiled(Hardware(()), product, panels) };
    if Sample::new(17, 19, 70).agrees(*vectors, by_tiles) { Ok(()) } else { Err("it gives wrong results".to_owned()) }
}

/// Asks for the state of tiles: a permission for the whole process, also for threads that run already, inherited by forks
/// and lost with `exec`. A thread's first tile instruction then makes the room in which its state is kept.
/// (Documentation/arch/x86/xstate.rst of the kernel, which has it since 5.16.)
#[cfg(target_os = "linux")]
fn request() -> Result<(), String> {
    const ARCH_GET_XCOMP_PERM: libc::c_ulong = 0x1022;
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const TILE_DATA: libc::c_ulong = 18;
    let mut states = 0_u64;
    // SAFETY: the first changes nothing but what the process may do, the second writes to `states` alone.
    let done = unsafe {
        libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0
            && libc::syscall(libc::SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &raw mut states) == 0
    };
    let error = std::io::Error::last_os_error();
    match done {
        true if states >> TILE_DATA & 1 == 1 => Ok(()),
        true => Err("it is not among those that were granted".to_owned()),
        // What the kernel would save there together with it has no room.
        false if error.raw_os_error() == Some(libc::ENOSPC) => {
            Err("a thread's stack for signals is too small".to_owned())
        }
        false => Err(error.to_string()),
    }
}

#[cfg(not(target_os = "linux"))]
fn request() -> Result<(), String> {
    Err("it is asked for on Linux alone".to_owned())
}

impl Hardware {
    /// # Safety
    /// - Tiles are [`usable`].
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Tiles for Hardware {
    #[inline(always)]
    unsafe fn configure(&mut self, config: &Config) {
        // SAFETY: the instruction exists, and the 64 bytes describe tiles as it wants them.
        unsafe { asm!("ldtilecfg [{}]", in(reg) config, options(nostack, preserves_flags, readonly)) }
    }

    #[inline(always)]
    unsafe fn release(&mut self) {
        // SAFETY: the instruction exists.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }

    #[inline(always)]
    unsafe fn zero<const TILE: u8>(&mut self) {
        // SAFETY: the instruction exists, and the tile is configured.
        unsafe { asm!("tilezero tmm{}", const TILE, options(nostack, preserves_flags, nomem)) }
    }

    #[inline(always)]
    unsafe fn load<const TILE: u8>(&mut self, from: *const u32, stride: usize) {
        // SAFETY: the instruction exists, the tile is configured, and its rows can be read.
        unsafe {
            asm!(
                "tileloadd tmm{}, [{} + {}*1]",
                const TILE, in(reg) from, in(reg) stride * size_of::<u32>(),
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    #[inline(always)]
    unsafe fn store<const TILE: u8>(&mut self, to: *mut f32, stride: usize) {
        // SAFETY: the instruction exists, the tile is configured, and its rows can be written.
        unsafe {
            asm!(
                "tilestored [{} + {}*1], tmm{}",
                in(reg) to, in(reg) stride * size_of::<f32>(), const TILE,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    unsafe fn add_quads<const SUM: u8, const X: u8, const W: u8>(&mut self) {
        // SAFETY: the instruction exists, and the tiles' shapes match.
        unsafe {
            asm!("tdpbusd tmm{}, tmm{}, tmm{}", const SUM, const X, const W, options(nostack, preserves_flags, nomem));
        }
    }

    #[inline(always)]
    unsafe fn add_pairs<const SUM: u8, const X: u8, const W: u8>(&mut self) {
        // SAFETY: the instruction exists, and the tiles' shapes match.
        unsafe {
            asm!("tdpbf16ps tmm{}, tmm{}, tmm{}", const SUM, const X, const W, options(nostack, preserves_flags, nomem));
        }
    }
}

/// From how many rows on tiles multiply int8 faster than vectors do: measured once, for less than a millisecond. Either
/// gives the same bits, so the answer may be another one in every process.
pub(super) fn fewest_rows() -> usize {
    /// Rows that are tried.
    const MOST: usize = 32;
    static FEWEST: OnceLock<usize> = OnceLock::new();
    *FEWEST.get_or_init(|| {
        let (Ok(true), Some(vectors)) = (usable(), Avx512::detect(Level::Vnni)) else { return usize::MAX };
        let mut sample = Sample::new(MOST, 192, WIDEST);
        // SAFETY: a sample's outputs are its own.
        let by_tiles = |product: &Product<'_>, panels| unsafe { vectors.tiled(Hardware(()), product, panels) };
        // SAFETY: as above.
        let by_vectors = |product: &Product<'_>, panels| unsafe { vectors.multiply(product, panels) };
        (1..=MOST).find(|&rows| sample.time(rows, by_tiles) < sample.time(rows, by_vectors)).unwrap_or(usize::MAX)
    })
}

/// A product of any numbers.
struct Sample {
    rows: usize,
    outputs: usize,
    depth: usize,
    x: Vec<u32>,
    w: Vec<u32>,
    starts: Vec<f32>,
    ones: Vec<f32>,
    out: Vec<f32>,
}

impl Sample {
    fn new(rows: usize, depth: usize, outputs: usize) -> Self {
        // As int8 any cells will do; as bfloat16 these are from 0.5 to 2, so that sums have no small differences.
        let cell = |at: u32| at.wrapping_mul(0x9e37_79b9) >> 7 & 0x00ff_00ff | 0x3f00_3f00;
        let cells = |count: usize| (0..count as u32).map(cell);
        let whole = outputs.next_multiple_of(WIDEST);
        Self {
            rows,
            outputs,
            depth,
            x: cells(rows * depth).collect(),
            w: cells(whole * depth).collect(),
            starts: cells(whole).map(f32::from_bits).collect(),
            ones: vec![1.0; whole.max(rows)],
            out: vec![0.0; rows * outputs],
        }
    }

    /// Lets `multiply` compute the outputs of the first rows.
    fn run(&mut self, dtype: Dtype, rows: usize, multiply: impl Fn(&Product<'_>, Range<usize>)) {
        let Self { outputs, depth, x, w, starts, ones, out, .. } = self;
        let integers = (dtype == Dtype::Int8).then_some((&starts[..], &ones[..]));
        let weights = Panels { cells: w, outputs: *outputs, depth: *depth, width: WIDEST, dtype, integers };
        let product = Product {
            rows,
            cells: x,
            stride: *depth,
            factors: ones,
            weights,
            bias: None,
            gated: false,
            out: Out::new(out, *outputs),
        };
        multiply(&product, 0..weights.count());
    }

    /// Whether `multiply` gives what emulated tiles do: int8 to the bit, bfloat16 but for rounding.
    fn agrees(&mut self, vectors: Avx512, multiply: impl Fn(&Product<'_>, Range<usize>)) -> bool {
        // SAFETY: a sample's outputs are its own.
        let emulated = |product: &Product<'_>, panels| unsafe { vectors.tiled(Emulated::default(), product, panels) };
        [(Dtype::Int8, 0.0), (Dtype::Bfloat16, 1e-5)].into_iter().all(|(dtype, close)| {
            self.out.fill(f32::NAN);
            self.run(dtype, self.rows, &multiply);
            let got = self.out.clone();
            self.run(dtype, self.rows, emulated);
            got.iter().zip(&self.out).all(|(got, expected)| (got - expected).abs() <= close * expected.abs())
        })
    }

    /// The shortest of some times that `multiply` takes for int8.
    fn time(&mut self, rows: usize, multiply: impl Fn(&Product<'_>, Range<usize>)) -> Duration {
        let once = |_| {
            let start = Instant::now();
            self.run(Dtype::Int8, rows, &multiply);
            start.elapsed()
        };
        (0..5).map(once).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;

    #[test]
    fn the_comparison_passes_what_is_right_and_nothing_else() {
        let Some(vectors) = Avx512::detect(Level::Vnni) else { return };
        let mut sample = Sample::new(17, 19, 70);
        // SAFETY: a sample's outputs are its own.
        let right = |product: &Product<'_>, panels| unsafe { vectors.multiply(product, panels) };
        assert!(sample.agrees(*vectors, right));
        assert!(!sample.agrees(*vectors, |product, _| right(product, 0..1)), "a panel is missing");
        let moved = |product: &Product<'_>, panels| {
            right(&Product { cells: &product.cells[1..], rows: 16, ..*product }, panels);
        };
        assert!(!sample.agrees(*vectors, moved), "cells are in other places");
    }

    #[test]
    fn tiles_are_there_or_it_is_said_why_not() {
        assert_eq!(usable().is_ok_and(|usable| usable), Isa::available().contains(&Isa::Amx));
        assert_eq!(usable().is_err(), has_instructions() && !Isa::available().contains(&Isa::Amx));
    }
}
