// spawn: what ours.rs does. A goroutine is made, runs, says that it is done, and
// ends; in batches of 1,000 and one at a time.
package main

import (
	"sync"

	"safepoint/rows/internal/row"
)

// each spawns batches of goroutines, waits for each batch, and returns the nanoseconds that
// one goroutine took.
func each(batches, batch int) float64 {
	var wg sync.WaitGroup
	began := row.Now()
	for range batches {
		wg.Add(batch)
		for range batch {
			go func() { wg.Done() }()
		}
		wg.Wait()
	}
	return float64(row.Now()-began) / float64(batches*batch)
}

func repeat(rounds, batches, batch int) []float64 {
	samples := make([]float64, rounds)
	for i := range samples {
		samples[i] = each(batches, batch)
	}
	return samples[1:]
}

func main() {
	together := repeat(3001, 1, 1000)
	alone := repeat(1001, 1000, 1)
	row.Emit("spawn", "ns_each_batch1000", "ns", together...)
	row.Emit("spawn", "ns_each_batch1", "ns", alone...)
}
