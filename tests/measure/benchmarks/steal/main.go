// steal: what ours.rs does. Fork-join fib(40): a goroutine and a wait group for
// each fork down to 20, 17,710 goroutines in all; and the same work without any, for the
// compiler's part. Eight rounds.
package main

import (
	"sync"

	"safepoint/rows/internal/row"
)

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func forked(n int) int {
	if n <= 20 {
		return fib(n)
	}
	var left int
	var join sync.WaitGroup
	join.Add(1)
	go func() {
		left = forked(n - 1)
		join.Done()
	}()
	right := forked(n - 2)
	join.Wait()
	return left + right
}

func main() {
	// fib(36) stands for fib(40) in the sequential part: this many times fewer calls.
	const scale = 331_160_281.0 / 48_315_633.0
	var parallel, sequential []float64
	for range 8 {
		began := row.Now()
		if forked(40) != 102_334_155 {
			panic("forked is wrong")
		}
		joined := row.Now()
		if fib(36) != 14_930_352 {
			panic("fib is wrong")
		}
		ended := row.Now()
		parallel = append(parallel, float64(joined-began)/1e6)
		sequential = append(sequential, float64(ended-joined)/1e6*scale)
	}
	row.Emit("steal", "parallel_fib40", "ms", parallel...)
	row.Emit("steal", "sequential_fib40_scaled_from_fib36", "ms", sequential...)
}
