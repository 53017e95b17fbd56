//! Room for later stages in a G, an M and a P: one word for each stage, and what it leads to.
//! Go's `runtime2.go` has all fields of all mechanisms in the three structures.
//!
//! **The rule.** `ext[0]` of a G, an M or a P is stage 2's, `ext[1]` the next stage's, and so
//! on; a stage writes no word but its own. In it is the address of a block of the stage's own
//! ([`Each`]), made before anything asks for it, where a run begins (`minit` of M0 for each P) or
//! a thread does (`minit` for its M), and never freed, because Gs, Ms and Ps are not. Stage 1
//! reads and writes none of them. So a block stays when an M gets another thread, and its
//! content is that of the last one, until `minit` resets it. A G that is used again keeps its
//! words, too: what a stage puts there it takes away before the goroutine ends.
//!
//! A block may have words of the same kind for rooms of its stage that it must not know
//! ([`Extended`]).
//!
//! Tests: `doors`.

use crate::gmp::{G, M, P};
use crate::throw::throw;
use crate::word::Word;
use std::marker::PhantomData;
use std::sync::atomic::{
    Ordering::{Acquire, Release},
    fence,
};

/// What has words that lead to blocks: a G, an M, a P, or a block.
pub trait Extended {
    /// The words.
    fn ext(&self) -> &[Word];
}

impl Extended for G {
    #[inline]
    fn ext(&self) -> &[Word] {
        &self.ext
    }
}

impl Extended for M {
    #[inline]
    fn ext(&self) -> &[Word] {
        &self.ext
    }
}

impl Extended for P {
    #[inline]
    fn ext(&self) -> &[Word] {
        &self.ext
    }
}

/// A block of type `T` behind a word of every `R`.
pub struct Each<R, T: 'static> {
    word: usize,
    what: PhantomData<fn(&R) -> T>,
}

impl<R: Extended, T: Default + Sync> Each<R, T> {
    /// Blocks behind the word of this number.
    ///
    /// # Safety
    /// Nothing else writes this word of any `R`.
    pub const unsafe fn at(word: usize) -> Each<R, T> {
        let what = PhantomData;
        Each { word, what }
    }

    /// Gives `of` a block, unless it has one, and returns it. One thread at a time: of two, each
    /// might go on with a block of its own.
    pub fn make(&self, of: &R) -> &'static T {
        if let Some(block) = self.find(of) {
            return block;
        }
        let block: &'static T = Box::leak(Box::default());
        // With the one in `find`: a thread that reads the word sees what it leads to.
        fence(Release);
        of.ext()[self.word].set(std::ptr::from_ref(block) as usize);
        block
    }

    /// The block of `of`, if it has one. Async-signal-safe.
    #[inline]
    pub fn find(&self, of: &R) -> Option<&'static T> {
        let address = of.ext()[self.word].get() as *const T;
        fence(Acquire);
        // SAFETY: the word is 0 or was written by `make`, from a reference to a block of this
        // type that is never freed: `at` was promised that nothing else writes it. The fences
        // order the making of the block before our look at it; on x86-64 they cost nothing.
        unsafe { address.as_ref() }
    }

    /// The block of `of`, which has one. Async-signal-safe.
    #[inline]
    pub fn of(&self, of: &R) -> &'static T {
        match self.find(of) {
            Some(block) => block,
            None => no_block(),
        }
    }
}

#[cold]
#[inline(never)]
fn no_block() -> ! {
    throw("a G, M or P that no run of this stage knows")
}
