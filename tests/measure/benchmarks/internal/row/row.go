// Package row is what the programs of the rows share: a clock, percentiles, and one JSON
// line per metric, in the form of ../../lib.rs.
package row

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
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

// Spin uses the processor for so many nanoseconds.
func Spin(ns int64) {
	for began := Now(); Now()-began < ns; {
	}
}

// Rng is splitmix64: the numbers that our programs draw, too.
type Rng uint64

// Next is the next number.
func (r *Rng) Next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Wakeups is how often the threads of this process slept so far and were woken.
func Wakeups() (sum float64) {
	files, _ := filepath.Glob("/proc/self/task/*/status")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, line := range strings.Split(string(text), "\n") {
			if n, found := strings.CutPrefix(line, "voluntary_ctxt_switches:"); found {
				v, _ := strconv.ParseFloat(strings.TrimSpace(n), 64)
				sum += v
			}
		}
	}
	return sum
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
