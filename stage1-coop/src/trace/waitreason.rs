//! Why a goroutine waits, as dumps and traces say it: Go's names (`runtime2.go`, `waitReason`).
//! One line a reason: its name here, Go's name of it, and what it means.
//!
//! Tests: `chan::misuse::a_dump_says_what_each_goroutine_waits_for`, `gotrace`.

macro_rules! wait_reasons {
    ($($reason:ident $name:literal $doc:literal)*) => {
        /// Why a goroutine waits. The names are Go's, as dumps and traces print them.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum WaitReason {
            $(#[doc = $doc] $reason,)*
        }

        const ALL: &[(WaitReason, &str)] = &[$((WaitReason::$reason, $name)),*];
    };
}

wait_reasons! {
    Zero "" "It does not."
    ChanReceive "chan receive" "Receiving from a channel."
    ChanSend "chan send" "Sending to a channel."
    ChanReceiveNil "chan receive (nil chan)" "Receiving from a channel that is no channel: for ever."
    ChanSendNil "chan send (nil chan)" "Sending to a channel that is no channel: for ever."
    Select "select" "Waiting for one of several channels."
    SelectNoCases "select (no cases)" "Waiting for one of no channels: for ever."
    SyncMutexLock "sync.Mutex.Lock" "Waiting for a mutex."
    SyncWaitGroupWait "sync.WaitGroup.Wait" "Waiting for others to be done."
    SyncRWMutexRLock "sync.RWMutex.RLock" "Waiting to read beside other readers."
    SyncRWMutexLock "sync.RWMutex.Lock" "Waiting to write alone."
    SyncCondWait "sync.Cond.Wait" "Waiting for a condition."
    // The stage's own: `Stage::wait_reasons` names them.
    Later0 "" "The stage's first."
    Later1 "" "The stage's second."
    Later2 "" "The stage's third."
    Later3 "" "The stage's fourth."
}

impl WaitReason {
    /// Go's name of the reason.
    pub fn name(self) -> &'static str {
        let n = self as usize;
        match n.checked_sub(WaitReason::Later0 as usize) {
            None => ALL[n].1,
            Some(later) => {
                let names = crate::stage::stage().wait_reasons;
                names.get(later).copied().unwrap_or("")
            }
        }
    }

    /// The reason that a G's `waitreason` holds.
    pub fn from_u8(n: u8) -> WaitReason {
        ALL.get(usize::from(n))
            .map_or(WaitReason::Zero, |all| all.0)
    }
}
