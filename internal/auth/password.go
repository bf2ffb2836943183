package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime/debug"

	"github.com/alexedwards/argon2id"
)

// passwordCost is the one of OWASP's argon2id settings, all of the same strength, that
// needs the least memory. More would let a handful of logins, or the root's password at
// a start, outweigh everything else that a gateway keeps in memory. A hash carries its
// own cost, so this can be raised at any time.
var passwordCost = argon2id.Params{Memory: 7 << 10 /* KiB */, Iterations: 5, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// maxPasswordMemory, in KiB, is the most that checking a stored hash may cost.
const maxPasswordMemory = 256 << 10

// Passwords hashes and checks passwords with argon2id, a few at a time: each
// costs 7 MiB while it runs. It is safe for concurrent use.
type Passwords struct{ slots chan struct{} }

// NewPasswords allows concurrent hashes to run at the same time.
func NewPasswords(concurrent int) *Passwords {
	return &Passwords{slots: make(chan struct{}, concurrent)}
}

// Hash returns the hash of a password with a salt of its own, in the PHC form
// "$argon2id$v=19$m=...". It waits for a slot; the error is the context's.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	return argon2id.CreateHash(password, &passwordCost)
}

// hashOfNone is a hash that takes as long to check as any other, and that no password
// has: its key was not computed.
func hashOfNone() string {
	random := make([]byte, passwordCost.SaltLength+passwordCost.KeyLength)
	rand.Read(random)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", passwordCost.Memory, passwordCost.Iterations,
		passwordCost.Parallelism, text(random[:passwordCost.SaltLength]), text(random[passwordCost.SaltLength:]))
}

// Check tells whether the password is the one that was hashed. It waits for a
// slot; the error is the context's, or says that hash is not one of Hash's.
func (p *Passwords) Check(ctx context.Context, password, hash string) (bool, error) {
	if err := checkHash(hash); err != nil {
		return false, err
	}
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer p.release()
	return argon2id.ComparePasswordAndHash(password, hash)
}

// checkHash refuses what argon2id would choke on: it panics for a cost of
// nought, and allocates whatever the hash asks for.
func checkHash(hash string) error {
	params, _, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		return fmt.Errorf("password hash: %w", err)
	}
	if params.Iterations < 1 || params.Parallelism < 1 || params.Memory > maxPasswordMemory || len(key) < 16 {
		return fmt.Errorf("password hash: %w: cost out of bounds", argon2id.ErrInvalidHash)
	}
	return nil
}

func (p *Passwords) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// release gives the slot back, and the memory of the hash with it: the collector
// would let as much again grow beside it before it looked.
func (p *Passwords) release() {
	debug.FreeOSMemory()
	<-p.slots
}
