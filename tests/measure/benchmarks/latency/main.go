// latency: what ours.rs does. One P; a goroutine that only computes and calls;
// main sleeps 1 ms again and again for 6 s and notes how late it goes on.
package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"safepoint/rows/internal/row"
)

const seconds = 6

var stop atomic.Bool

// With a frame so big that the compiler keeps the check in its prologue.
//
//go:noinline
func step(x uint64) uint64 {
	var room [32]uint64
	room[x&31] = x
	return room[x*7&31] + x + 1
}

func hog() (x uint64) {
	for !stop.Load() {
		x = step(x)
	}
	return x
}

func main() {
	// Without signals: the hog is to be preempted by its checks alone.
	if os.Getenv("GODEBUG") == "" {
		env := append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
		panic(syscall.Exec("/proc/self/exe", os.Args, env))
	}
	result := make(chan uint64)
	go func() { result <- hog() }()
	var late []float64
	// The monitor begins with some fifty short sleeps; they are not what is measured.
	time.Sleep(100 * time.Millisecond)
	before := row.Wakeups()
	for began := row.Now(); row.Now()-began < seconds*1e9; {
		t := row.Now()
		time.Sleep(time.Millisecond)
		late = append(late, float64(row.Now()-t-1e6)/1e3)
	}
	wakeups := (row.Wakeups() - before) / seconds
	stop.Store(true)
	<-result
	row.Emit("latency_call", "late", "us", late[1:]...)
	row.Emit("latency_call", "wakeups_per_s", "1/s", wakeups)
	// Go has one policy only. Both of ours are compared with it.
	row.Emit("latency_call_slice_end", "late", "us", late[1:]...)
	row.Emit("latency_call_slice_end", "wakeups_per_s", "1/s", wakeups)
}
