//! The running program as the loader has laid it out: what the map of unsafe points is read from.
//! Where its segments are, the loader says; where two functions of the C library are, the linker
//! does. No file is opened: a program that was replaced on the disk is still this one.
//!
//! Tests: `unsafe_points`.

use crate::safepoint::decode::{Program, Why, Words};
use stage2_sysmon::rt::arch::gotext_bounds;
use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::ops::Range;

/// This program, in memory.
pub struct Loaded {
    segments: Vec<Segment>,
    eh_frame_hdr: Option<u64>,
    errno: u64,
    /// 0 in a program that is linked statically: it has no such function.
    tls_get_addr: u64,
}

/// A part of the program that can be read.
struct Segment {
    range: Range<u64>,
    /// Nothing writes there.
    constant: bool,
}

unsafe extern "C" {
    static safepoint_lab_int3: u8;
}

impl Loaded {
    /// Asks the loader.
    pub fn here() -> Loaded {
        let mut this = Loaded {
            segments: Vec::new(),
            eh_frame_hdr: None,
            errno: libc::__errno_location as *const () as u64,
            // SAFETY: searches for a name, which ends with a zero.
            tls_get_addr: unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__tls_get_addr".as_ptr()) }
                as u64,
        };
        // SAFETY: the callback gets `this` back while this call lasts.
        unsafe { libc::dl_iterate_phdr(Some(object), (&raw mut this).cast()) };
        this
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| s.range.contains(&address))
    }

    /// Whether `address` is the second half of a stub that has the loader look for its function:
    /// where the function's address will be, the stub's own is until then.
    fn is_lazy(&self, address: u64) -> bool {
        const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        const PUSH: u8 = 0x68;
        let bytes = self.bytes(address);
        bytes.strip_prefix(ENDBR64).unwrap_or(bytes).first() == Some(&PUSH)
    }
}

/// Called for each object of the process. Keeps the one that `gotext` is in, and ends the walk.
unsafe extern "C" fn object(info: *mut libc::dl_phdr_info, _: usize, this: *mut c_void) -> c_int {
    // SAFETY: the loader's own description of an object, and what `here` has passed on.
    let (info, this) = unsafe { (&*info, &mut *this.cast::<Loaded>()) };
    // SAFETY: that many headers are there.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let segments = headers
        .iter()
        .filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_R != 0);
    this.segments = segments
        .map(|h| {
            let start = info.dlpi_addr + h.p_vaddr;
            Segment {
                range: start..start + h.p_memsz,
                constant: h.p_flags & libc::PF_W == 0,
            }
        })
        .collect();
    let index = headers.iter().find(|h| h.p_type == libc::PT_GNU_EH_FRAME);
    this.eh_frame_hdr = index.map(|h| info.dlpi_addr + h.p_vaddr);
    c_int::from(this.segment(this.gotext().start).is_some())
}

impl Program for Loaded {
    fn gotext(&self) -> Range<u64> {
        let (start, stop) = gotext_bounds();
        start as u64..stop as u64
    }

    fn eh_frame_hdr(&self) -> Option<u64> {
        self.eh_frame_hdr
    }

    fn bytes(&self, address: u64) -> &[u8] {
        let Some(segment) = self.segment(address).filter(|s| s.constant) else {
            return &[];
        };
        // SAFETY: the segment is mapped for reading as long as the program runs, and it is none
        // that the program could write to.
        unsafe {
            let left = segment.range.end - address;
            std::slice::from_raw_parts(address as *const u8, left as usize)
        }
    }

    fn function(&self, address: u64) -> Option<Why> {
        if address == self.errno {
            Some(Why::Errno)
        } else if address == self.tls_get_addr {
            Some(Why::TlsGetAddr)
        } else {
            None
        }
    }

    fn slot(&self, address: u64) -> Option<Why> {
        let whole = address.checked_add(7)?;
        if address % 8 != 0 || !self.segment(address)?.range.contains(&whole) {
            return None;
        }
        // SAFETY: the eight bytes are mapped for reading. They may be a variable that another
        // thread writes; then what is read is no function's address, whatever it is.
        let word = unsafe { (address as *const u64).read_volatile() };
        match self.function(word) {
            None if self.is_lazy(word) => Some(Why::NotBound),
            why => why,
        }
    }

    fn words(&self) -> Words {
        let (g, locks, mallocing): (i64, i64, i64);
        // SAFETY: three constants, which the linker fills in.
        unsafe {
            asm!(
                "mov {}, offset go_tls_g@tpoff",
                "mov {}, offset go_tls_locks@tpoff",
                "mov {}, offset go_tls_mallocing@tpoff",
                out(reg) g, out(reg) locks, out(reg) mallocing,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        Words::new(g, locks, mallocing)
    }

    fn clock(&self) -> u64 {
        (&raw const safepoint_lab_int3) as u64
    }
}
