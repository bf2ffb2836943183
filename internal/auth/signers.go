package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// signerLife is how long one key signs.
	signerLife = 30 * 24 * time.Hour
	// signerRest is how long a key stays known after it was replaced: longer than
	// any token that it signed.
	signerRest = time.Hour
	// signerShy is how old a key must be before it signs, when there is another
	// one: every node and every reader of the JWKS has met it by then.
	signerShy = time.Minute
	// signersAge is the age from which the keys are read anew for a name that is
	// not among them.
	signersAge = time.Second
)

// signers are the keys that sign tokens, as this node last read them. It is
// safe for concurrent use.
type signers struct {
	store SignerStore
	vault *Vault
	now   func() time.Time

	mu    sync.Mutex // guards what follows; not held while the store is asked
	known Signers
	at    time.Time // when known was read
}

// signer is a key that signs.
type signer struct {
	name    string
	private ed25519.PrivateKey
}

func signerUse(name string) string { return "token signing key " + name }

// load reads the keys; the very first time it makes one.
func (s *signers) load(ctx context.Context) (Signers, error) {
	for {
		at := s.now()
		known, err := s.store.Signers(ctx)
		if err != nil {
			return Signers{}, fmt.Errorf("keys of tokens: %w", err)
		}
		if len(known.Keys) > 0 {
			s.mu.Lock()
			s.known, s.at = known, at
			s.mu.Unlock()
			return known, nil
		}
		if err := s.add(ctx, known); err != nil && !errors.Is(err, ErrConflict) {
			return Signers{}, err
		}
	}
}

// add puts a new key before the others and drops those that nobody needs any
// more. ErrConflict when another node was first.
func (s *signers) add(ctx context.Context, known Signers) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the process would have crashed
	}
	var name [8]byte
	rand.Read(name[:])
	key := SignerKey{ID: hex.EncodeToString(name[:]), Created: s.now().UTC().Truncate(time.Millisecond), Public: public}
	defer s.vault.Storing()()
	key.Sealed = s.vault.Seal(signerUse(key.ID), private.Seed())
	next := Signers{Revision: NewRevision(), Keys: []SignerKey{key}}
	for i, k := range known.Keys {
		if i == 0 || s.now().Sub(known.Keys[i-1].Created) < signerRest {
			next.Keys = append(next.Keys, k)
		}
	}
	if err := s.store.SwapSigners(ctx, known.Revision, &next); err != nil {
		return fmt.Errorf("new key of tokens: %w", err)
	}
	return nil
}

// rotate adds a key when the newest one is old.
func (s *signers) rotate(ctx context.Context) error {
	known, err := s.load(ctx)
	if err != nil || s.now().Sub(known.Keys[0].Created) < signerLife {
		return err
	}
	if err := s.add(ctx, known); err != nil && !errors.Is(err, ErrConflict) {
		return err
	}
	_, err = s.load(ctx)
	return err
}

// keys are those that are known, read if there are none yet, or if they are
// older than age. One caller reads; the others go on with what is known.
func (s *signers) keys(ctx context.Context, age time.Duration) (Signers, error) {
	s.mu.Lock()
	known, now := s.known, s.now()
	if len(known.Keys) > 0 && now.Sub(s.at) < age {
		s.mu.Unlock()
		return known, nil
	}
	s.at = now
	s.mu.Unlock()
	return s.load(ctx)
}

// current is the key that signs now.
func (s *signers) current(ctx context.Context) (signer, error) {
	known, err := s.keys(ctx, signerShy/2)
	if err != nil {
		return signer{}, err
	}
	key := known.Keys[0]
	if len(known.Keys) > 1 && s.now().Sub(key.Created) < signerShy {
		key = known.Keys[1]
	}
	seed, err := s.vault.Open(signerUse(key.ID), key.Sealed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return signer{}, fmt.Errorf("key %s of tokens: %w", key.ID, ErrSealed)
	}
	return signer{key.ID, ed25519.NewKeyFromSeed(seed)}, nil
}

// public finds the key of this name. One that was added elsewhere is found by
// reading the keys anew, at most once in signersAge however many tokens name keys
// that nobody has. ErrToken.
func (s *signers) public(ctx context.Context, name string) (ed25519.PublicKey, error) {
	for _, age := range []time.Duration{signerLife, signersAge} {
		known, err := s.keys(ctx, age)
		if err != nil {
			return nil, err
		}
		for i, k := range known.Keys {
			replaced := i > 0 && s.now().Sub(known.Keys[i-1].Created) >= signerRest
			if k.ID == name && !replaced && len(k.Public) == ed25519.PublicKeySize {
				return k.Public, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: nobody here has its key", ErrToken)
}

// JWK is a public key as RFC 7517 and 8037 write it.
type JWK struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	KeyID   string `json:"kid"`
	Alg     string `json:"alg"`
	Use     string `json:"use"`
}

// jwks are the public keys, for others who verify our tokens.
func (s *signers) jwks(ctx context.Context) ([]JWK, error) {
	known, err := s.keys(ctx, signerShy/2)
	if err != nil {
		return nil, err
	}
	set := make([]JWK, len(known.Keys))
	for i, k := range known.Keys {
		set[i] = JWK{KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Public), KeyID: k.ID, Alg: tokenAlg, Use: "sig"}
	}
	return set, nil
}
