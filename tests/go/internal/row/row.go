// Package row is what the programs of the rows share: a clock, percentiles, and one JSON
// line per metric, in the form of ../../../src/bench.rs.
package row

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

var start = time.Now()

// Now is the time since the program's start, in nanoseconds.
func Now() int64 { return time.Since(start).Nanoseconds() }

// Percentile is the nearest-rank percentile of sorted samples.
func Percentile(sorted []float64, q float64) float64 {
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

type line struct {
	Bench  string  `json:"bench"`
	Metric string  `json:"metric"`
	Unit   string  `json:"unit"`
	Procs  int     `json:"procs"`
	Min    float64 `json:"min"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
	N      int     `json:"n"`
}

// Emit prints the line of one metric. It needs at least one sample.
func Emit(bench, metric, unit string, samples ...float64) {
	sorted := slices.Sorted(slices.Values(samples))
	sum := 0.0
	for _, x := range sorted {
		sum += x
	}
	n := len(sorted)
	err := json.NewEncoder(os.Stdout).Encode(line{
		bench, metric, unit, runtime.GOMAXPROCS(0),
		sorted[0], Percentile(sorted, 0.5), Percentile(sorted, 0.99), sorted[n-1], sum / float64(n), n,
	})
	if err != nil {
		panic(err)
	}
}
