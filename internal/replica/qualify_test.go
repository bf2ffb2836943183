package replica_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// verdicts is a Qualifier that says what it was told to.
type verdicts struct {
	mu    sync.Mutex
	say   map[string]error
	asked map[string]int
}

func (v *verdicts) qualify(_ context.Context, backend, bucket string) (replica.Quality, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if bucket != testBucket {
		return replica.Quality{}, errors.New("asked about bucket " + bucket)
	}
	v.asked[backend]++
	return replica.Quality{Payload: replica.PayloadSigned}, v.say[backend]
}

func (v *verdicts) set(backend string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.say[backend] = err
}

func withVerdicts(t *testing.T, say map[string]error, do func(r *rig, v *verdicts)) {
	t.Helper()
	inBubble(t, func(_ *testing.T, r *rig) {
		r.close()
		v := &verdicts{say: say, asked: map[string]int{}}
		r.open(func(o *replica.Options) { o.Qualify = v.qualify })
		do(r, v)
	})
}

func TestEachBackendIsQualifiedOnce(t *testing.T) {
	withVerdicts(t, map[string]error{}, func(r *rig, v *verdicts) {
		data := content(600<<10, 1)
		r.mustPut("k", data)
		r.mustGet("k", data)
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("%d objects stand", len(got))
		}
		for _, name := range r.names {
			if v.asked[name] != 1 {
				t.Errorf("%s was asked %d times", name, v.asked[name])
			}
		}
	})
}

// TestUnfitBackend: it gets no body, the others go on, and the status says why.
func TestUnfitBackend(t *testing.T) {
	withVerdicts(t, map[string]error{"b": &replica.Unfit{Reason: "it keeps what is cut"}}, func(r *rig, _ *verdicts) {
		r.mustPut("k", content(600<<10, 1))
		if got := r.stored("b"); len(got) > 0 {
			t.Errorf("the unfit backend holds %v", got)
		}
		st, err := r.set.Status(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range st.Backends {
			if told := strings.Contains(b.Reason, "it keeps what is cut"); told != (b.Name == "b") {
				t.Errorf("%s: reason %q", b.Name, b.Reason)
			}
		}
	})
}

// TestQualifiedLater: a backend that could not be asked is asked again, and
// then gets what it missed.
func TestQualifiedLater(t *testing.T) {
	withVerdicts(t, map[string]error{"b": errors.New("no answer")}, func(r *rig, v *verdicts) {
		r.mustPut("k", content(1000, 1))
		v.set("b", nil)
		deadline := time.Now().Add(10 * time.Minute)
		for len(r.stored("b")) == 0 && time.Now().Before(deadline) {
			time.Sleep(time.Second)
		}
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("%d objects stand", len(got))
		}
	})
}

func TestQualifyEndsWithTheSet(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) {
			o.Qualify = func(ctx context.Context, _, _ string) (replica.Quality, error) {
				<-ctx.Done()
				return replica.Quality{}, context.Cause(ctx)
			}
		})
		if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("k"), Headers: object.Headers{}, Body: newUpload(nil)}); err == nil {
			t.Error("a write to backends that nobody knows")
		}
	})
}
