package replica_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
)

// A bucket that another node has made takes the writes of many clients at once, of which
// the first one makes this node look at its replicas.
func TestManyClientsUseABucketFirst(t *testing.T) {
	inFleet(t, 2, memory.NewLog(), func(t *testing.T, f *fleet) {
		for _, name := range f.names {
			f.servers[name].SetFaults(memory.Faults{Delay: 5 * time.Millisecond})
		}
		other := f.all[1]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 3 {
					name, data := fmt.Sprint("k", i, n), content(100, uint64(i))
					if _, err := other.put(name, data); err != nil {
						t.Errorf("client %d, write %d: %v", i, n, err)
					}
					if got, err := other.get(name); err != nil || string(got) != string(data) {
						t.Errorf("client %d, read %d: %v", i, n, err)
					}
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		f.converge()
		f.equal()
	})
}
