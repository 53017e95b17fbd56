//! Why a goroutine waits, as dumps and traces say it: Go's names (`runtime2.go`, `waitReason`).

/// Why a goroutine waits. The names are Go's, as dumps and traces print them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum WaitReason {
    /// It does not.
    Zero,
    /// Receiving from a channel.
    ChanReceive,
    /// Sending to a channel.
    ChanSend,
    /// Receiving from a channel that is no channel: for ever.
    ChanReceiveNil,
    /// Sending to a channel that is no channel: for ever.
    ChanSendNil,
    /// Waiting for one of several channels.
    Select,
    /// Waiting for one of no channels: for ever.
    SelectNoCases,
    /// Waiting for a mutex.
    SyncMutexLock,
    /// Waiting for others to be done.
    SyncWaitGroupWait,
    /// Waiting to read beside other readers.
    SyncRWMutexRLock,
    /// Waiting to write alone.
    SyncRWMutexLock,
    /// Waiting for a condition.
    SyncCondWait,
    /// The first of the stage's own: `Stage::wait_reasons` names it.
    Later0,
    /// The second.
    Later1,
    /// The third.
    Later2,
    /// The fourth.
    Later3,
}

impl WaitReason {
    /// Go's name of the reason.
    pub fn name(self) -> &'static str {
        match self {
            WaitReason::Zero => "",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::ChanReceiveNil => "chan receive (nil chan)",
            WaitReason::ChanSendNil => "chan send (nil chan)",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::SyncMutexLock => "sync.Mutex.Lock",
            WaitReason::SyncWaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::SyncRWMutexRLock => "sync.RWMutex.RLock",
            WaitReason::SyncRWMutexLock => "sync.RWMutex.Lock",
            WaitReason::SyncCondWait => "sync.Cond.Wait",
            later => {
                let n = later as usize - WaitReason::Later0 as usize;
                crate::stage::stage()
                    .wait_reasons
                    .get(n)
                    .copied()
                    .unwrap_or("")
            }
        }
    }

    /// The reason that a G's `waitreason` holds.
    pub fn from_u8(n: u8) -> WaitReason {
        use WaitReason::*;
        const ALL: [WaitReason; 16] = [
            Zero,
            ChanReceive,
            ChanSend,
            ChanReceiveNil,
            ChanSendNil,
            Select,
            SelectNoCases,
            SyncMutexLock,
            SyncWaitGroupWait,
            SyncRWMutexRLock,
            SyncRWMutexLock,
            SyncCondWait,
            Later0,
            Later1,
            Later2,
            Later3,
        ];
        ALL.get(usize::from(n)).copied().unwrap_or(Zero)
    }
}
