// prologue: what ours.rs does. fib(40), whose 331,160,281 calls each look at
// the stack guard; nanoseconds per call. Five rounds.
package main

import "safepoint/rows/internal/row"

const calls = 331_160_281

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func main() {
	var samples []float64
	for range 5 {
		began := row.Now()
		if fib(40) != 102_334_155 {
			panic("fib is wrong")
		}
		samples = append(samples, float64(row.Now()-began)/calls)
	}
	row.Emit("prologue", "ns_per_call_fib40", "ns", samples...)
}
