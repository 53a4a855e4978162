//! What the allocator offers beyond Rust's interface to it. The only file of this crate with `unsafe`.
#![allow(unsafe_code, reason = "malloc_trim has no safe wrapper")]

/// Gives whole free pages of all heaps back to the system.
pub(super) fn give_back() {
    // SAFETY: takes no pointer, and locks each heap by itself while it works on it.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}
