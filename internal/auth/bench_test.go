package auth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// BenchmarkAuthenticate is all that users add to a GET: proof and authorization,
// with 10,000 users of 3 keys each that all come by turns.
func BenchmarkAuthenticate(b *testing.B) {
	n := newNode(memory.NewLog())
	type key struct {
		id     string
		secret sigv4.Secret
	}
	var keys []key
	for i := range 10_000 {
		u := alice()
		u.Login = fmt.Sprintf("user%05d", i)
		u.AllowedBuckets, u.AllowedExtensions = clerk().AllowedBuckets, clerk().AllowedExtensions
		if _, err := n.accounts.Create(b.Context(), u, ""); err != nil {
			b.Fatal(err)
		}
		for range 3 {
			k, secret, err := n.accounts.NewKey(b.Context(), u.Login, time.Time{})
			if err != nil {
				b.Fatal(err)
			}
			keys = append(keys, key{k.ID, secret})
		}
	}
	v := auth.NewVerifier(n.directory, time.Now)
	for _, bm := range []struct {
		name string
		keys []key
	}{{"one key", keys[:1]}, {"30000 keys", keys}} {
		b.Run(bm.name, func(b *testing.B) {
			requests := 0
			for b.Loop() {
				b.StopTimer()
				k := bm.keys[requests*7919%len(bm.keys)]
				requests++
				r := get(b, k.id, k.secret, time.Now(), nil)
				b.StartTimer()
				who, err := v.Verify(r)
				if err != nil {
					b.Fatal(err)
				}
				if err := auth.Authorize(who.User, auth.Access{Operation: s3.GetObject, Bucket: "photos", Key: "a/b.txt"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
