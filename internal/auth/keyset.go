package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// keysFresh is the age from which one caller reads the keys of an issuer anew, while
	// the others go on with what is known.
	keysFresh = 5 * time.Minute
	// keysStale is the age from which nobody goes on with them: so long an issuer may be
	// out of reach, and so long a key that it took back may serve.
	keysStale = time.Hour
	// keysPause is the shortest time between two readings, however many tokens name
	// keys that nobody has, and however often a reading fails.
	keysPause = 10 * time.Second
	// keysCalm is the same while every key that is asked for is known: nobody is to wait
	// often for an issuer that is out of reach.
	keysCalm = time.Minute
	// keysPatience is how long a reading may take.
	keysPatience = 5 * time.Second
	// maxKeySet is the largest key set that is read, in bytes.
	maxKeySet = 256 << 10
)

// ErrIssuer: the keys of an issuer are not known and cannot be read now.
var ErrIssuer = errors.New("the keys of the issuer cannot be read")

// keySet are the public keys of an issuer as this node last read them. It starts no
// goroutine: callers read. It is safe for concurrent use.
type keySet struct {
	url  string
	http *http.Client
	now  func() time.Time

	mu      sync.Mutex // guards what follows; not held while the issuer is asked
	known   map[string]verifyKey
	at      time.Time     // when known was read; zero: never
	tried   time.Time     // when the last reading began
	failed  error         // of the last reading
	reading chan struct{} // closed when the caller who reads has done so; nil: nobody reads
}

// key finds a key by its name. One that is not known is looked for at the issuer, at
// most once in keysPause. ErrToken when the issuer has none of that name, ErrIssuer
// when that cannot be known.
func (k *keySet) key(ctx context.Context, name string) (verifyKey, error) {
	for {
		k.mu.Lock()
		now := k.now()
		key, found := k.known[name]
		age := now.Sub(k.at)
		good := !k.at.IsZero() && age < keysStale
		want := !good || !found || age >= keysFresh
		pause := keysPause
		if found && good {
			pause = keysCalm
		}
		mayRead := k.reading == nil && now.Sub(k.tried) >= pause
		switch {
		case want && mayRead:
			k.reading, k.tried = make(chan struct{}), now
			k.mu.Unlock()
			k.read(ctx, now)
		case found && good:
			k.mu.Unlock()
			return key, nil
		case k.reading != nil:
			wait := k.reading
			k.mu.Unlock()
			select {
			case <-wait:
			case <-ctx.Done():
				return verifyKey{}, context.Cause(ctx)
			}
		default:
			defer k.mu.Unlock()
			if good {
				return verifyKey{}, fmt.Errorf("%w: its issuer has no key of that name", ErrToken)
			}
			return verifyKey{}, fmt.Errorf("%w: %w", ErrIssuer, k.failed)
		}
	}
}

// read asks the issuer. What it does not answer leaves what is known. The caller who
// went away must not take the keys from all others.
func (k *keySet) read(ctx context.Context, began time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysPatience)
	defer cancel()
	known, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.reading)
	k.reading, k.failed = nil, err
	if err == nil {
		k.known, k.at = known, began
	}
}

func (k *keySet) fetch(ctx context.Context) (map[string]verifyKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody) //nolint:gosec // the URL is the configuration's
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.http.Do(req) //nolint:gosec // see above
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", k.url, resp.Status)
	}
	document, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", k.url, err)
	case len(document) > maxKeySet:
		return nil, fmt.Errorf("%s answers more than %d bytes", k.url, maxKeySet)
	}
	known, err := parseKeySet(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.url, err)
	}
	return known, nil
}
