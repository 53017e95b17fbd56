// yield: what ours.rs does. Two goroutines give way in turn, 10,000 times each;
// nanoseconds per Gosched. 1,000 rounds after one that is thrown away.
package main

import (
	"runtime"
	"sync"

	"safepoint/rows/internal/row"
)

const (
	rounds = 1001
	per    = 10_000
)

func main() {
	samples := make([]float64, 0, rounds)
	for range rounds {
		var both sync.WaitGroup
		both.Add(2)
		began := row.Now()
		for range 2 {
			go func() {
				for range per {
					runtime.Gosched()
				}
				both.Done()
			}()
		}
		both.Wait()
		samples = append(samples, float64(row.Now()-began)/(2*per))
	}
	row.Emit("yield", "ns_per_gosched", "ns", samples[1:]...)
}
