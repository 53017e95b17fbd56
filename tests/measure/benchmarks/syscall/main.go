// syscall: what ours.rs does. What entering and leaving a system call costs
// beside the call itself, and how a P comes out of a call that blocks.
package main

import (
	"syscall"
	"unsafe"

	"safepoint/rows/internal/row"
)

const (
	rounds = 4_001
	per    = 1_000
)

func pair() {
	var with, raw, own []float64
	for range rounds {
		began := row.Now()
		for range per {
			syscall.Syscall(syscall.SYS_GETPPID, 0, 0, 0)
		}
		between := row.Now()
		for range per {
			syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
		}
		end := row.Now()
		with = append(with, float64(between-began)/per)
		raw = append(raw, float64(end-between)/per)
		own = append(own, float64(2*between-began-end)/per)
	}
	row.Emit("syscall_pair", "raw_getppid", "ns", raw[1:]...)
	row.Emit("syscall_pair", "getppid", "ns", with[1:]...)
	row.Emit("syscall_pair", "own_cost", "ns", own[1:]...)
	// Go has one form only, the newer. Both of ours are compared with it.
	row.Emit("syscall_pair_wired", "getppid", "ns", with[1:]...)
	row.Emit("syscall_pair_wired", "own_cost", "ns", own[1:]...)
}

// handoff: a goroutine makes another one ready and blocks in read(2). Nobody but the system
// monitor can give the only P to the other one, which notes when it runs, computes for 50
// µs, and lets the first go on by writing into the pipe. It writes without the runtime's
// knowledge: else the first one could take the P out of that call. The second channel sees
// to it that the first one begins a new turn only when the other is off the P.
func handoff(name string, turns int, compute int64) {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	kick, ack := make(chan bool, 1), make(chan bool)
	var blocks, writes int64
	var out, back []float64
	go func() {
		one := []byte{1}
		for range kick {
			out = append(out, float64(row.Now()-blocks)/1e3)
			row.Spin(50_000)
			writes = row.Now()
			syscall.RawSyscall(syscall.SYS_WRITE, uintptr(pipe[1]), uintptr(unsafe.Pointer(&one[0])), 1)
			ack <- true
		}
	}()
	random := row.Rng(1)
	buffer := make([]byte, 1)
	for range turns {
		if compute > 0 {
			row.Spin(compute + int64(random.Next()%10_000_000))
		}
		kick <- true
		blocks = row.Now()
		if n, err := syscall.Read(pipe[0], buffer); n != 1 || err != nil {
			panic("read")
		}
		back = append(back, float64(row.Now()-writes)/1e3)
		<-ack
	}
	close(kick)
	row.Emit(name, "handoff", "us", out[1:]...)
	row.Emit(name, "return", "us", back[1:]...)
}

func main() {
	pair()
	// One after the other: the monitor looks every 20 µs.
	handoff("syscall_hot", 3001, 0)
	// After 25 to 35 ms of computing, when it looks every 10 ms.
	handoff("syscall_cold", 101, 25_000_000)
}
