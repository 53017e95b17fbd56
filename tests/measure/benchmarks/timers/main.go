// timers: what ours.rs does. 100,000 goroutines sleep once, for 1 to 100 ms; then
// 10,000 sleep 20 times.
package main

import (
	"sync"
	"time"

	"safepoint/rows/internal/row"
)

const (
	rounds = 6
	once   = 100_000
	many   = 10_000
	times  = 20
)

// late sleeps, and returns by how many microseconds too long it was.
func late(d time.Duration) float64 {
	began := row.Now()
	time.Sleep(d)
	return float64(row.Now()-began-int64(d)) / 1e3
}

func main() {
	random := row.Rng(1)
	sleeps := make([]time.Duration, once)
	for i := range sleeps {
		sleeps[i] = time.Duration(1_000_000 + random.Next()%99_000_001)
	}
	var total, lates []float64
	for range rounds {
		of := make([]float64, once)
		var all sync.WaitGroup
		all.Add(once)
		began := row.Now()
		for i := range once {
			go func() {
				of[i] = late(sleeps[i])
				all.Done()
			}()
		}
		all.Wait()
		total = append(total, float64(row.Now()-began)/1e6)
		lates = append(lates, of...)
	}
	steady := make([]float64, many*times)
	var all sync.WaitGroup
	all.Add(many)
	for i := range many {
		go func() {
			for k := range times {
				steady[i*times+k] = late(sleeps[i*times%once+k])
			}
			all.Done()
		}()
	}
	all.Wait()
	row.Emit("timers", "total", "ms", total[1:]...)
	row.Emit("timers", "late", "us", lates[once:]...)
	row.Emit("timers_steady", "late", "us", steady...)
}
