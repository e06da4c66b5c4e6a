//! Compiles only as long as nothing below it brings in std: std has a panic handler of its own,
//! and two of them in one program are an error (E0152).
#![no_std]
#![no_main]

#[cfg(feature = "std")]
extern crate std;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

// Something of core has to be used, or nothing of it is looked at.
pub use footbridge_core::worker::Worker;

struct Nothing;

// SAFETY: it never gives out memory, which is its right; so nothing can be given back.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
