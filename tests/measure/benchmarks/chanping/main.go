// chanping: what ours.rs does. A number goes through one channel without a
// buffer and comes back, one higher, through another; nanoseconds per round trip. A round is
// 5,000 trips; 1,000 rounds after one that is thrown away.
package main

import "safepoint/rows/internal/row"

const (
	rounds = 1001
	per    = 5000
)

func main() {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v + 1
		}
	}()
	samples := make([]float64, 0, rounds)
	for range rounds {
		began := row.Now()
		for i := range per {
			there <- i
			if v := <-back; v != i+1 {
				panic("wrong echo")
			}
		}
		samples = append(samples, float64(row.Now()-began)/per)
	}
	close(there)
	row.Emit("chan_pingpong", "ns_round_trip", "ns", samples[1:]...)
}
