//! What the allocator and the kernel offer beyond Rust's interface to them. The only file of this crate with `unsafe`.
#![allow(
    unsafe_code,
    reason = "malloc_trim has no safe wrapper, and madvise can have none"
)]

use std::fs;

use super::mapped;

/// Gives whole free pages of all heaps back to the system.
pub(super) fn give_back() {
    // SAFETY: takes no pointer, and locks each heap by itself while it works on it.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the program's code and constants out of memory. What is used comes back with its next use.
pub(super) fn unmap_code() {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for range in mapped::clean(&smaps) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: every page of the range is one of a file, was never written and cannot be, so the kernel puts the same
        // content back on the next access. An error changes nothing.
        unsafe {
            libc::madvise(start, range.len(), libc::MADV_DONTNEED);
        }
    }
}
