//! An allocator that wipes what is given back to it.
//!
//! Keys and values that are ours are wiped by their types. What libraries copy on the way (the buffers of HTTP and TLS, those
//! of a parser, what a growing `Vec` leaves behind) is out of reach of any type, and all of it goes through the allocator.

use std::alloc::{GlobalAlloc, Layout};

/// An allocator that overwrites every block with zeros before the one below has it back.
pub struct Wiping<A>(A);

impl<A> Wiping<A> {
    /// Wipes what is given back to that allocator.
    pub const fn new(below: A) -> Self {
        Self(below)
    }
}

// SAFETY: every call goes on to the allocator below with the layout that it came with, so what that one promises holds. A block is
// written to only while it is still this program's: before it is given back. `realloc` is made of an allocation, a copy of as
// many bytes as both have, and a deallocation, as `GlobalAlloc` itself does it.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to what the trait asks.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is live and has so many bytes; nobody else may use it any more.
        unsafe {
            wipe(block, layout.size());
            self.0.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The allocator below would move the block and keep what was in the old place.
        // SAFETY: the caller promises that the size is not zero and, rounded up to the alignment, not too large.
        unsafe {
            let other = Layout::from_size_align_unchecked(size, layout.align());
            let moved = self.0.alloc(other);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Overwrites a block so that the compiler does not leave it out, as nobody reads it any more.
///
/// # Safety
/// The block must have so many bytes, and be nobody else's.
#[expect(unsafe_code, reason = "it writes to a block that is about to be given back")]
unsafe fn wipe(block: *mut u8, size: usize) {
    // SAFETY: as the caller promises.
    unsafe { std::ptr::write_bytes(block, 0, size) };
    // What the block's address leads to counts as read here, so the zeros have to be there.
    std::hint::black_box(block);
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::UnsafeCell;

    /// A place for one block, which stays readable after it is given back.
    struct Place(UnsafeCell<[u8; 64]>);

    // SAFETY: a test has one thread.
    #[expect(unsafe_code, reason = "the trait asks for it")]
    unsafe impl Sync for Place {}

    #[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
    // SAFETY: the one block is as large as any that the test asks for.
    unsafe impl GlobalAlloc for &Place {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // The second block is the upper half.
            // SAFETY: it lies within the place.
            unsafe { self.0.get().cast::<u8>().add(if layout.size() > 16 { 32 } else { 0 }) }
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator is called by hand")]
    fn what_is_given_back_is_zeros() {
        let place = Place(UnsafeCell::new([7; 64]));
        let wiping = Wiping::new(&place);
        // SAFETY: nobody writes while the copy is made.
        let now = || unsafe { *place.0.get() };
        let (small, large) = (Layout::new::<[u8; 16]>(), Layout::new::<[u8; 32]>());
        // SAFETY: the blocks are live until they are given back, and the place outlives them.
        unsafe {
            let block = wiping.alloc(small);
            block.write_bytes(1, 16);
            let grown = wiping.realloc(block, small, 32);
            assert_eq!(now()[..16], [0; 16], "the old place is wiped");
            assert_eq!(now()[32..48], [1; 16], "its bytes went along");
            assert_eq!(now()[16..32], [7; 16], "nothing beside it is touched");
            wiping.dealloc(grown, large);
            assert_eq!(now()[32..], [0; 32]);
        }
    }
}
