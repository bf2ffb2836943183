package sigv4

import (
	"fmt"
	"sync"
)

// maxDerived bounds how many derived keys a Keyring has ready for use, of some hundred
// bytes each, and maxKept how many it remembers, of a hundred. A deployment needs one per
// access key, region and day.
const (
	maxDerived = 4096
	maxKept    = 1 << 16
)

// Keyring verifies requests and remembers the signing keys that it derived,
// which saves four HMACs of the five that a request costs. A key enters only
// with a signature that was right: a stranger can fill it with nothing. It is
// safe for concurrent use, and never prints what it holds.
type Keyring struct {
	decoy Secret
	mu    sync.RWMutex // guards what follows
	keys  map[derivation]*macKey
	kept  map[derivation][]byte // what keys are made of; all of keys and more
}

// derivation is what a signing key is derived from.
type derivation struct {
	secret       Secret
	date, region string
}

// NewKeyring returns an empty Keyring. decoy is a secret that is nobody's: it
// is remembered for a day and region as soon as any other one is, so that to
// verify against it takes as long as against a real one.
func NewKeyring(decoy Secret) *Keyring {
	return &Keyring{decoy: decoy, keys: map[derivation]*macKey{}, kept: map[derivation][]byte{}}
}

// Format shows nothing of the keys, whatever the verb.
func (k *Keyring) Format(f fmt.State, _ rune) { fmt.Fprint(f, "keyring") }

// Verify is q.Verify(secret).
func (k *Keyring) Verify(q *Request, secret Secret) error {
	if q.v2 { // which derives no key
		return q.verifyV2(secret)
	}
	d := derivation{secret, q.date, q.Region}
	key, known := k.ready(d)
	if err := q.verify(key); err != nil {
		return err
	}
	if !known {
		k.remember(d, key)
	}
	return nil
}

// ready finds a key that is remembered, or derives it.
func (k *Keyring) ready(d derivation) (key *macKey, known bool) {
	k.mu.RLock()
	key, known = k.keys[d]
	bytes := k.kept[d]
	k.mu.RUnlock()
	switch {
	case known:
		return key, true
	case bytes != nil:
		return &macKey{bytes: bytes}, false
	}
	return signingKey(d.secret, d.date, d.region), false
}

// remember adds a key and the decoy's of the same day and region. What is full starts
// afresh: what is in use comes back with the next request.
func (k *Keyring) remember(d derivation, key *macKey) {
	decoy := derivation{k.decoy, d.date, d.region}
	decoyKey, _ := k.ready(decoy)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= maxDerived {
		clear(k.keys)
	}
	if len(k.kept) >= maxKept {
		clear(k.kept)
	}
	k.keys[d], k.keys[decoy] = key, decoyKey
	k.kept[d], k.kept[decoy] = key.bytes, decoyKey.bytes
}
