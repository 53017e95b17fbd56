// many: what ours.rs does. A million goroutines wait on one channel: making them,
// until all wait, the memory of each, and waking all; twice, in fresh memory and in used.
package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"safepoint/rows/internal/row"
)

const goroutines = 1_000_000

// status is a line of /proc/self/status, in bytes.
func status(key string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(l, key); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			return kib * 1024
		}
	}
	return 0
}

func round(name string) {
	rss, tables := status("VmRSS:"), status("VmPTE:")
	gate := make(chan struct{})
	var waiting atomic.Int64
	var wg sync.WaitGroup
	wg.Add(goroutines)
	began := row.Now()
	for range goroutines {
		go func() {
			waiting.Add(1)
			<-gate
			wg.Done()
		}()
	}
	made := row.Now()
	for waiting.Load() < goroutines {
		runtime.Gosched()
	}
	blocked := row.Now()
	rss, tables = status("VmRSS:")-rss, status("VmPTE:")-tables
	opened := row.Now()
	close(gate)
	wg.Wait()
	ended := row.Now()

	emit := func(metric, unit string, total float64) {
		row.Emit("many_"+name, metric, unit, total/goroutines)
	}
	emit("create_ns_each", "ns", float64(made-began))
	emit("blocked_ns_each", "ns", float64(blocked-began))
	if name == "cold" {
		emit("rss_bytes_each", "B", rss)
		emit("page_table_bytes_each", "B", tables)
	}
	emit("wake_all_ns_each", "ns", float64(ended-opened))
}

func main() {
	round("cold")
	round("warm")
}
